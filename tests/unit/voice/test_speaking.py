"""Text becomes sound piece by piece: the first one early, nothing read aloud that is no word, failures told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config.speech import SpeechSettings
from antiphon.domain.speech import TextToSpeech
from antiphon.speech.chain import Link
from antiphon.speech.speaking import SpeakingChain
from antiphon.voice import speaking
from antiphon.voice.speaking import Speaking, next_piece, speakable
from antiphon.voice.spoken import Spoken
from antiphon.voice.transports.transport import RATE
from tests.fakes.speech import FakeSpeaker
from tests.fakes.virtual_time import run_virtually


@pytest.mark.parametrize(
    "text",
    ["**Bold** and `code`", "# Title\n- one\n- two", "See [the page](https://example.org/x) now", "Look: https://a.b/c",
     "Good 🎉 news"],
)  # fmt: skip
def test_marks_become_spaces_and_every_word_keeps_its_place(text: str) -> None:
    words = speakable(text)
    assert len(words) == len(text)
    assert not set("*`#[]🎉") & set(words)
    assert "https" not in words
    for word in ("Bold", "code", "Title", "one", "page", "now", "Look", "Good", "news"):
        if word in text:
            assert words.index(word) == text.index(word)


@pytest.mark.parametrize(
    ("text", "read"),
    [("12 * 3 = **36**", "12 \u00d7 3 =   36  "), ("9 - 3 = 6", "9 \u2212 3 = 6"),
     ("(1 + 2) / 4 = 0.75", "(1 + 2) \u00f7 4 = 0.75"), ("pages 3 - 5", "pages 3 - 5"),
     ("* one 2", "  one 2"), ("24/7", "24/7")],
)  # fmt: skip
def test_the_signs_of_a_sum_are_read(text: str, read: str) -> None:
    assert speakable(text) == read


@pytest.mark.parametrize(
    ("text", "first", "complete", "length"),
    [
        ("Sure. Here", False, False, 6),
        ("It costs 3.5 euro", False, False, 0),
        ("It costs 3.5 euro", False, True, 17),
        ("Well, I think so", True, False, 0),
        ("Well, what I think of that is this, and", True, False, 36),
        ("Well, what I think of that is this, and", False, False, 0),
        ("line one\nline two", False, False, 9),
        ("word " * 60, False, False, 240),
    ],
)
def test_where_a_piece_ends(text: str, first: bool, complete: bool, length: int) -> None:
    assert next_piece(text, first=first, complete=complete) == length


class Trouble(list[str]):
    """What people are told."""

    def __call__(self, code: str, words: str) -> None:
        self.append(code)


async def spoken_by(tts: TextToSpeech, *deltas: str, voice: str = "") -> tuple[Spoken, bytes, Trouble]:
    async def text() -> AsyncIterator[str]:
        for delta in deltas:
            yield delta

    spoken, trouble = Spoken(), Trouble()
    speaking = Speaking(tts, language="en", voice=voice, played=lambda one: one.samples / RATE, failed=trouble)
    sound = b"".join([pcm async for pcm in speaking.speak(text(), spoken)])
    return spoken, sound, trouble


def test_every_delta_is_spoken_once_and_words_have_their_samples() -> None:
    async def check() -> None:
        tts = FakeSpeaker()
        spoken, sound, trouble = await spoken_by(tts, "Sure. It", " is **noon**", " and", " sunny.")
        assert tts.spoken == ["Sure.", "It", "is", "noon", "and", "sunny."]
        assert spoken.text == "Sure. It is **noon** and sunny."
        assert len(sound) // 2 == spoken.samples == round(0.6 * RATE)
        assert spoken.complete
        assert trouble == []
        assert spoken.heard(round(0.34 * RATE)) == "Sure. It is"
        assert spoken.heard() == ""

    run_virtually(check())


def test_another_rate_is_brought_to_the_wire() -> None:
    async def check() -> None:
        spoken, sound, _ = await spoken_by(FakeSpeaker(rate=22_050), "One two three four five.")
        assert abs(len(sound) / 2 / RATE - 0.5) < 0.01
        assert spoken.samples == len(sound) // 2

    run_virtually(check())


def test_a_voice_that_dies_in_the_middle_is_told_and_the_rest_is_text() -> None:
    async def check() -> None:
        spoken, sound, trouble = await spoken_by(FakeSpeaker(fails_after=2), "One two three. And four.")
        assert trouble == ["speech_failed"]
        assert not spoken.complete
        assert len(sound) // 2 == round(0.2 * RATE)
        assert spoken.text == "One two three. And four."
        spoken.heard_samples = spoken.samples
        assert spoken.heard() == "One two"

    run_virtually(check())


def test_a_voice_that_hangs_is_followed_by_the_next_one() -> None:
    """With the times of the default settings: the chain's patience ends before that of the session."""

    async def check() -> None:
        first, second = FakeSpeaker("first", fails_after=1, hangs=True), FakeSpeaker("second")
        links: list[Link[TextToSpeech]] = [Link(first, "first"), Link(second, "second")]
        chain = SpeakingChain(links, language="en", timeout_seconds=SpeechSettings().timeout_seconds)
        spoken, _, trouble = await spoken_by(chain, "One two three.")
        assert (spoken.complete, trouble) == (True, [])
        assert second.spoken[-1] == "three."

    run_virtually(check())


def test_a_voice_that_there_is_not_is_told_once_and_the_engines_own_speaks() -> None:
    async def check() -> None:
        tts = FakeSpeaker(refuses=("anna",))
        spoken, sound, trouble = await spoken_by(tts, "One two. And three.", voice="anna")
        assert trouble == ["unknown_voice"]
        assert spoken.complete
        assert len(sound) // 2 == round(0.4 * RATE)
        assert tts.voices_used == ["anna", "", ""]

    run_virtually(check())


def test_a_voice_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "CHUNK_SECONDS", 5.0)

    async def check() -> None:
        tts = FakeSpeaker(fails_after=1, hangs=True)
        _, _, trouble = await spoken_by(tts, "One two.")
        assert trouble == ["speech_timeout"]
        assert tts.running == 0

    run_virtually(check())
