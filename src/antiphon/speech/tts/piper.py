"""Piper: voices of neural models that speak faster than in real time on a processor. Offline, under the GPL (extra).

Each voice is a model of its own (`antiphon speech download piper:de_DE-thorsten-medium`) and runs in a process of its
own. A language speaks with the voice that `voices` names for it, else with the first voice in models_dir that is in it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from pydantic import BaseModel, Field

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.child import Child, Frame
from antiphon.speech.child_voice import speak
from antiphon.speech.engine import Download, Surroundings, TtsEngine, check_ready, needs_model, package_missing, primary
from antiphon.speech.resampling import Resampler

_REPOSITORY = "rhasspy/piper-voices"
_NAME = re.compile(r"([a-z]{2,3})_([A-Z]{2})-([\w+]+)-(x_low|low|medium|high)")
_PIECE = 250


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.piper]`."""

    voice: str = Field(
        default="en_US-lessac-medium",
        pattern=r"^[A-Za-z0-9][\w.+-]*$",
        description="The voice, as the hub rhasspy/piper-voices calls it: a file NAME.onnx in models_dir/piper.",
    )
    voices: Mapping[str, str] = Field(default={}, description="Voices of other languages: { de = 'NAME' }.")
    speaker: int | None = Field(default=None, ge=0, description="Number of the speaker, in a voice that has several.")
    length: float = Field(default=1.0, gt=0.2, lt=5, description="How long sounds are held: above 1 is slower.")
    idle_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="Seconds of silence after which the process of a voice ends."
    )


class Piper:
    """Implements `domain.speech.TextToSpeech`."""

    name = "piper"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._language = surroundings.language
        self._folder = surroundings.models / "piper"
        self._children: dict[str, Child] = {}

    @property
    def sample_rate(self) -> int:
        """That of the voice of the settings; other voices are brought to it."""
        child = self._children.get(self._config.voice)
        return int(child.facts.get("rate", 0)) if child is not None else 0

    async def status(self) -> EngineStatus:
        """Whether package and voice are there."""
        if (missing := package_missing(self.name, "piper", "piper")) is not None:
            return missing
        voice = self._config.voice
        if not await asyncio.to_thread(self._file(voice).is_file):
            return needs_model(self.name, f"The voice {voice}", f"{self.name}:{voice}")
        return EngineStatus(self.name, EngineState.READY, f"Voice {voice}.")

    def _file(self, voice: str) -> Path:
        return self._folder / f"{voice}.onnx"

    async def load(self) -> None:
        """Start the process of the voice of the settings."""
        check_ready(await self.status())
        await self._child(self._config.voice).start()

    def _child(self, voice: str) -> Child:
        child = self._children.get(voice)
        if child is None:

            async def set_up() -> Frame:
                return {"model": str(self._file(voice))}, b""

            child = Child(
                self.name,
                "antiphon.speech.children.piper",
                set_up=set_up,
                ready_seconds=60.0,
                idle_seconds=self._config.idle_seconds,
            )
            self._children[voice] = child
        return child

    async def voices(self) -> Sequence[VoiceInfo]:
        """The voices whose models are there, that of the settings first."""
        return [VoiceInfo(voice, _language(voice)) for voice in await asyncio.to_thread(self._here)]

    def _here(self) -> Sequence[str]:
        found = sorted(path.stem for path in self._folder.glob("*.onnx"))
        return sorted(found, key=lambda voice: voice != self._config.voice)

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak, sentence by sentence."""
        await self.load()
        chosen = await asyncio.to_thread(self._choose, voice, language or self._language)
        child = self._child(chosen)
        await child.start()
        rate = int(child.facts["rate"])
        resampler = Resampler(rate, self.sample_rate) if rate != self.sample_rate else None
        how = {"speaker": self._config.speaker, "length": self._config.length}
        async with aclosing(speak(child, text, how, longest=_PIECE)) as chunks:
            async for chunk in chunks:
                yield chunk if resampler is None else SpeechChunk(resampler.process(chunk.pcm), chunk.words)
        if resampler is not None:
            yield SpeechChunk(resampler.flush())

    def _choose(self, voice: str, language: str) -> str:
        here = self._here()
        if voice:
            if voice not in here:
                raise InvalidInput(f"There is no voice {voice[:40]}; fetch it: antiphon speech download piper:{voice}")
            return voice
        named = self._config.voices.get(language) or self._config.voices.get(primary(language))
        if named is not None and named in here:
            return named
        if primary(_language(self._config.voice)) == primary(language):
            return self._config.voice
        fitting = [one for one in here if primary(_language(one)) == primary(language)]
        if not fitting:
            raise InvalidInput(
                f"Piper has no voice for {language[:40]} here; fetch one of {_REPOSITORY}: antiphon speech download "
                "piper:VOICE"
            )
        return fitting[0]

    async def aclose(self) -> None:
        """End the processes."""
        for child in self._children.values():
            await child.aclose()


def _language(voice: str) -> str:
    """`en-US` of `en_US-lessac-medium`; "" where the name does not tell."""
    match = _NAME.fullmatch(voice)
    return f"{match[1]}-{match[2]}" if match else ""


def _downloads(config: Config) -> Sequence[Download]:
    found: list[Download] = []
    for voice in dict.fromkeys((config.voice, *config.voices.values())):
        match = _NAME.fullmatch(voice)
        if match is None:
            raise SpeechError(f"{voice} is no voice of {_REPOSITORY}; one is called like en_US-lessac-medium.")
        folder = f"{match[1]}/{match[1]}_{match[2]}/{match[3]}/{match[4]}"
        patterns = (f"{folder}/{voice}.onnx", f"{folder}/{voice}.onnx.json")
        found.append(Download(repository=_REPOSITORY, into="piper", patterns=patterns, below=folder))
    return found


ENGINE = TtsEngine(
    title="offline, neural voices in thirty languages; fetches a voice of 60 MB; GPL",
    config=Config,
    argument="voice",
    downloads=_downloads,
    make=Piper,
)
