"""Sounds of listening interrupt nobody; a doubt is never a yes."""

from __future__ import annotations

import pytest

from antiphon.voice.backchannels import is_backchannel, yes_or_no


@pytest.mark.parametrize(
    ("text", "language"),
    [("Mhm.", "en"), ("uh-huh", "en"), ("Yeah, right", "en"), ("oh I see", "en"), ("ja genau", "de-DE"),
     ("Ach so", "de"), ("sí, claro", "es"), ("d'accord", "fr"), ("hmm", "xx")],
)  # fmt: skip
def test_these_only_mean_that_somebody_listens(text: str, language: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    "text", ["", "stop", "no", "yes but wait", "okay what about tomorrow", "right now please do it"]
)
def test_these_mean_something(text: str) -> None:
    assert not is_backchannel(text)


@pytest.mark.parametrize(
    ("text", "language", "answer"),
    [("yes", "en", True), ("Yes, please do.", "en", True), ("ja gerne", "de", True), ("sí", "es", True),
     ("no", "en", False), ("No, don't", "en", False), ("please don't", "en", False), ("nein", "de", False),
     ("ja, aber nicht heute", "de", None), ("yes and no", "en", None), ("what was the question", "en", None),
     ("uh, yes", "en", True), ("uh", "en", None), ("hmm, yes", "en", None),
     ("yes do it", "en", True), ("okay, go ahead", "en", True), ("Ja, mach das bitte.", "de", True),
     ("claro que sí", "es", True), ("oui, bien sûr", "fr", True), ("sì, va bene", "it", True), ("non", "it", False),
     ("okay what time is it", "en", None), ("do you know the time", "en", None), ("yes tomorrow", "en", None),
     ("sure about that", "en", None), ("yes but only Bob", "en", None), ("okay wait", "en", None),
     ("ja was denn", "de", None), ("mach das Licht an", "de", None), ("si me dices por qué", "es", None),
     ("oui mais attends", "fr", None), ("", "en", None),
     ("I would say yes if it were not so late already", "en", None)],
)  # fmt: skip
def test_what_counts_as_an_answer(text: str, language: str, answer: bool | None) -> None:
    assert yes_or_no(text, language) is answer
