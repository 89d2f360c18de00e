"""What was heard of an answer: words belong to samples, with and without the engine's help."""

from __future__ import annotations

import pytest

from antiphon.domain.speech import SpokenWord
from antiphon.voice.spoken import Spoken
from antiphon.voice.transports.transport import RATE

TEXT = "It is noon, and sunny."


def answer(*, words: bool = True, complete: bool = True) -> Spoken:
    """An answer of five words, half a second each."""
    spoken = Spoken()
    spoken.text = TEXT
    piece = spoken.begin(0, TEXT)
    spoken.sounded(round(2.5 * RATE))
    if words:
        at = 0
        for number, word in enumerate(TEXT.split()):
            at = TEXT.index(word, at)
            piece.words.append(SpokenWord(number * 0.5, at, at + len(word)))
            at += len(word)
    piece.end = spoken.samples
    spoken.complete = complete
    return spoken


@pytest.mark.parametrize(
    ("seconds", "heard"),
    [
        (0.0, ""),
        (0.2, ""),
        (0.25, "It"),
        (0.74, "It"),
        (0.76, "It is"),
        (1.3, "It is noon,"),
        (1.8, "It is noon, and"),
        (2.5, TEXT),
        (9.0, TEXT),
    ],
)
def test_a_word_was_heard_once_half_of_it_was_played(seconds: float, heard: str) -> None:
    spoken = answer()
    assert spoken.heard(round(seconds * RATE)) == heard


def test_without_word_times_the_letters_are_counted() -> None:
    spoken = answer(words=False)
    assert spoken.heard(0) == ""
    assert spoken.heard(round(1.3 * RATE)) == "It is noon,"
    assert spoken.heard(spoken.samples) == TEXT


def test_what_is_still_being_made_is_not_heard() -> None:
    spoken = Spoken()
    spoken.text = "One two three. Four five six."
    first = spoken.begin(0, "One two three. ")
    spoken.sounded(RATE)
    first.end = spoken.samples
    spoken.begin(15, "Four five six.")  # not a sample of it yet
    assert spoken.heard(RATE) == "One two three."
    spoken.heard_samples = RATE
    assert spoken.unheard == "Four five six."
    spoken.sounded(RATE // 2)
    assert spoken.heard(round(1.4 * RATE)) == "One two three. Four"


def test_an_answer_that_broke_off_was_not_heard_whole() -> None:
    spoken = answer(complete=False)
    spoken.text += " Bring a hat."
    spoken.heard_samples = spoken.samples
    assert spoken.heard() == TEXT
    assert spoken.unheard == "Bring a hat."
