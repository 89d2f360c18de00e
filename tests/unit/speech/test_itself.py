"""A service that shares its settings with those who use it does not ask itself."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError
from antiphon.run.speech_services import without_itself


@pytest.mark.parametrize(
    ("speech", "left"),
    [
        ({"stt": ("riva", "pocketsphinx")}, ("pocketsphinx",)),
        ({"stt": ("wyoming", "riva:localhost:50051", "pocketsphinx")}, ("pocketsphinx",)),
        ({"stt": ("riva:127.0.0.1:50052",)}, ("riva:127.0.0.1:50052",)),
        ({"stt": ("riva:elsewhere.example:50051",)}, ("riva:elsewhere.example:50051",)),
        ({"stt": ("riva",), "engines": {"riva": {"stt": {"address": "nim:50051"}}}}, ("riva",)),
    ],
)
def test_engines_that_are_the_service_itself_are_left_out(speech: dict[str, Any], left: tuple[str, ...]) -> None:
    assert without_itself("stt", Settings(speech=speech)).speech.stt == left


def test_with_nobody_else_it_does_not_start() -> None:
    settings = Settings(speech={"tts": ("riva", "wyoming:[::1]:10200")})
    with pytest.raises(ConfigError, match=r"would ask itself: .*ANTIPHON_SPEECH__TTS=espeak"):
        without_itself("tts", settings)
    assert without_itself("stt", settings).speech.tts == settings.speech.tts
