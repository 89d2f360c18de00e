"""espeak-ng: speaks over a hundred languages at once and without a model, in a plain voice. The default.

It runs in a process of its own (`children/espeak`), which speaks one piece of text after the other; a piece takes it
about a thousandth of the time it lasts, so that one process serves every session.
"""

from __future__ import annotations

import asyncio
import ctypes.util
import importlib.util
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.child import Child, Frame
from antiphon.speech.child_voice import speak
from antiphon.speech.engine import Surroundings, TtsEngine, primary

_RATE = 22_050
_USUAL = {"en": "en-us+f2", "de": "de+f2", "es": "es+f2"}
"""A language that is not here speaks with the voice of its own name."""


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.espeak]`."""

    voices: Mapping[str, str] = Field(
        default={}, description="Voice for a language, as espeak-ng calls it: { de = 'de+f2', en = 'en-gb' }."
    )
    rate: int = Field(default=150, ge=80, le=450, description="Words a minute.")
    pitch: int = Field(default=50, ge=0, le=99, description="Pitch; 50 is the voice's own.")
    volume: int = Field(default=100, ge=0, le=200, description="Loudness; 100 is the voice's own.")


class Espeak:
    """Implements `domain.speech.TextToSpeech`."""

    name = "espeak"
    sample_rate = _RATE

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._language = surroundings.language
        self._child = Child("espeak", "antiphon.speech.children.espeak", set_up=_nothing, still_seconds=10.0)

    async def status(self) -> EngineStatus:
        """Whether the library is there, from its package or from the system."""
        if importlib.util.find_spec("espeakng_loader") is not None:
            return EngineStatus(self.name, EngineState.READY, "Speaks offline, over a hundred languages.")
        if await asyncio.to_thread(ctypes.util.find_library, "espeak-ng"):
            return EngineStatus(self.name, EngineState.READY, "Speaks offline, with this system's espeak-ng.")
        return EngineStatus(
            self.name,
            EngineState.NEEDS_PACKAGE,
            "The library espeak-ng is not installed.",
            "install it: apt-get install libespeak-ng1 (macOS: brew install espeak-ng)",
        )

    async def load(self) -> None:
        """Start the process."""
        await self._child.start()
        if self._child.facts.get("rate") != _RATE:
            raise SpeechError("This espeak-ng has another sample rate than 22050; install the package espeakng-loader.")

    async def voices(self) -> Sequence[VoiceInfo]:
        """The voice of each language; those of the settings first."""
        await self.load()
        line = self._child.line()
        try:
            line.ask({"list": True})
            header, _ = await line.receive()
        finally:
            line.close()
        listed = [VoiceInfo(name, _tag(language), title) for name, language, title in header["list"] if name]
        chosen = dict.fromkeys([self._voices("", self._language)[0], *self._config.voices.values(), *_USUAL.values()])
        return [VoiceInfo(voice, _tag(voice.partition("+")[0])) for voice in chosen] + listed

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak, with the times of words."""
        await self.load()
        config = self._config
        how = {
            "voices": self._voices(voice, language or self._language),
            "rate": config.rate,
            "pitch": config.pitch,
            "volume": config.volume,
        }
        async with aclosing(speak(self._child, text, how)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _voices(self, voice: str, language: str) -> Sequence[str]:
        """The voices that may speak, the best first."""
        if voice:
            return [voice]
        named: Mapping[str, str] = {**_USUAL, **self._config.voices}
        exact, general = language.casefold(), primary(language)
        chosen = [self._config.voices.get(language), None if "-" in exact else named.get(general)]
        return [found for found in (*chosen, exact, named.get(general), general) if found]

    async def aclose(self) -> None:
        """End the process."""
        await self._child.aclose()


async def _nothing() -> Frame:
    header: Mapping[str, Any] = {}
    return header, b""


def _tag(language: str) -> str:
    """`en-us` as `en-US`."""
    first, *rest = language.split("-")
    return "-".join([first, *(part.upper() if len(part) == 2 else part for part in rest)])


ENGINE = TtsEngine(title="offline, plain voice, over a hundred languages", config=Config, make=Espeak)
