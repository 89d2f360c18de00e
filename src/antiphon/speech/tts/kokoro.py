"""Kokoro, by sherpa-onnx: a small neural model with many fine voices of a few languages. Offline.

It runs in a process of its own, one piece of text after the other. A voice is the number of a speaker of the model, or
one of the names below for the model of the default.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

from pydantic import BaseModel, Field

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.child import Child, Frame
from antiphon.speech.child_voice import speak
from antiphon.speech.engine import Download, Surroundings, TtsEngine, check_ready, needs_model, package_missing, primary

_DEFAULT = "kokoro-en-v0_19"
_VOICES = {
    _DEFAULT: (
        *("af", "af_bella", "af_nicole", "af_sarah", "af_sky"),
        *("am_adam", "am_michael", "bf_emma", "bf_isabella", "bm_george", "bm_lewis"),
    )
}
_LANGUAGES = {"a": "en-US", "b": "en-GB"}
_ACCENTS = {"en": "en-us", "en-GB": "en"}
"""Where espeak-ng names a voice otherwise than by its language."""
_PIECE = 250


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.kokoro]`."""

    model: str = Field(
        default=_DEFAULT,
        pattern=r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$",
        description="Folder in models_dir/kokoro, or the repository of a hub that it is fetched from.",
    )
    languages: tuple[str, ...] = Field(
        default=("en",), description="Languages the model speaks; kokoro-multi-lang-v1_0 also speaks zh."
    )
    voice: str = Field(default="0", max_length=40, description="Number of the speaker, or its name.")
    speed: float = Field(default=1.0, gt=0.3, lt=3, description="How fast it speaks; 1 is the voice's own.")
    threads: int = Field(default=2, ge=1, le=64, description="Threads it computes with.")
    idle_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="Seconds of silence after which its process ends."
    )


class Kokoro:
    """Implements `domain.speech.TextToSpeech`."""

    name = "kokoro"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._folder = surroundings.models / "kokoro" / config.model.rpartition("/")[2]
        self._child = Child(
            self.name,
            "antiphon.speech.children.kokoro",
            set_up=self._set_up,
            ready_seconds=60.0,
            still_seconds=60.0,
            idle_seconds=config.idle_seconds,
        )

    @property
    def sample_rate(self) -> int:
        """That of the model."""
        return int(self._child.facts.get("rate", 0))

    async def _set_up(self) -> Frame:
        return {"threads": self._config.threads, "files": await asyncio.to_thread(_files, self._folder)}, b""

    async def status(self) -> EngineStatus:
        """Whether package and model are there."""
        if (missing := package_missing(self.name, "sherpa_onnx", "sherpa")) is not None:
            return missing
        if not await asyncio.to_thread((self._folder / "voices.bin").is_file):
            return needs_model(self.name, f"The model {self._config.model}", f"{self.name}:{self._config.model}")
        return EngineStatus(self.name, EngineState.READY, f"Model {self._config.model}.")

    async def load(self) -> None:
        """Start the process."""
        check_ready(await self.status())
        await self._child.start()

    async def voices(self) -> Sequence[VoiceInfo]:
        """The speakers of the model, that of the settings first."""
        await self.load()
        names = _VOICES.get(self._config.model) or tuple(map(str, range(int(self._child.facts["speakers"]))))
        chosen = self._speaker(self._config.voice)
        usual = self._config.languages[0] if self._config.languages else ""
        order = sorted(range(len(names)), key=lambda number: number != chosen)
        return [VoiceInfo(names[number], _LANGUAGES.get(names[number][0], usual)) for number in order]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak, sentence by sentence."""
        del language
        await self.load()
        speaker = self._speaker(voice or self._config.voice)
        how = {"speaker": speaker, "speed": self._config.speed, "accent": self._accent(speaker)}
        async with aclosing(speak(self._child, text, how, longest=_PIECE)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _speaker(self, voice: str) -> int:
        names = _VOICES.get(self._config.model, ())
        number = names.index(voice) if voice in names else int(voice) if voice.isdecimal() and len(voice) < 5 else -1
        if not 0 <= number < int(self._child.facts.get("speakers", 1)):
            kind = SpeechError if voice == self._config.voice else InvalidInput
            raise kind(f"The model {self._config.model} has no voice {voice[:40]}.")
        return number

    def _accent(self, speaker: int) -> str:
        """The voice of espeak-ng that pronounces as a speaker does."""
        names = _VOICES.get(self._config.model, ())
        usual = self._config.languages[0] if self._config.languages else "en"
        language = _LANGUAGES.get(names[speaker][0], usual) if names else usual
        return _ACCENTS.get(language, language.lower())

    async def aclose(self) -> None:
        """End the process."""
        await self._child.aclose()


def _files(folder: Path) -> dict[str, str]:
    """The files of a model as the library calls them."""
    models = sorted(folder.glob("model*.onnx"), key=lambda path: ("int8" in path.name, path.name))
    found = {"voices": folder / "voices.bin", "tokens": folder / "tokens.txt"}
    lexicons = ",".join(str(path) for path in sorted(folder.glob("lexicon*.txt")))
    return {
        "model": str(models[0]) if models else "",
        **{name: str(path) for name, path in found.items() if path.exists()},
        **({"lexicon": lexicons} if lexicons else {}),
    }


def _downloads(config: Config) -> Sequence[Download]:
    repository = config.model if "/" in config.model else f"csukuangfj/{config.model}"
    patterns = ("model*.onnx", "voices.bin", "tokens.txt", "lexicon*.txt")
    return [Download(repository=repository, into=f"kokoro/{config.model.rpartition('/')[2]}", patterns=patterns)]


ENGINE = TtsEngine(
    title="Kokoro by sherpa-onnx, offline, fine voices; fetches a model of 350 MB",
    config=Config,
    argument="model",
    languages=lambda config: frozenset(map(primary, config.languages)),
    downloads=_downloads,
    make=Kokoro,
)
