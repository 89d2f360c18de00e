"""faster-whisper: Whisper models on this machine's processor or graphics card, a hundred languages, free speech.

The models are fetched once (`antiphon speech download faster_whisper:small`). Recognition runs in threads, as its
library lets others work meanwhile; what it hallucinates in silence is kept out by its voice detector and by not letting
it go on from what it said before.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, Transcript, Word
from antiphon.speech.buffered import BufferedStream
from antiphon.speech.engine import Download, SttEngine, Surroundings, check_ready, needs_model, package_missing, primary

_REPOSITORIES = {
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.*", "preprocessor_config.json")


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.faster_whisper]`."""

    model: str = Field(
        default="base",
        pattern=r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$",
        description="Size of the model (tiny, base, small, medium, large-v3, turbo; with .en for English alone), a "
        "repository of a hub like owner/name, or a folder in models_dir/faster_whisper.",
    )
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Where it computes.")
    compute_type: str = Field(
        default="int8", max_length=32, description="How it computes: int8, int8_float16, float16, float32, auto."
    )
    threads: int = Field(default=2, ge=1, le=64, description="Threads of one recognition.")
    parallel: int = Field(default=1, ge=1, le=16, description="Recognitions at the same time.")
    beam: int = Field(default=2, ge=1, le=10, description="Guesses that are followed at the same time.")
    words: bool = Field(default=False, description="Whether the times of words are found too; a little slower.")
    vad: bool = Field(default=True, description="Whether silence is cut out first.")


class FasterWhisper:
    """Implements `domain.speech.SpeechToText`."""

    name = "faster_whisper"
    interim = False

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._folder = folder(config, surroundings)
        self._model: Any = None
        self._loading = asyncio.Lock()
        self._turn = asyncio.Semaphore(config.parallel)

    async def status(self) -> EngineStatus:
        """Whether package and model are there."""
        if (missing := package_missing(self.name, "faster_whisper", "whisper")) is not None:
            return missing
        if not await asyncio.to_thread((self._folder / "model.bin").is_file):
            return needs_model(self.name, f"The model {self._config.model}", f"{self.name}:{self._config.model}")
        return EngineStatus(self.name, EngineState.READY, f"Model {self._config.model}, on {self._config.device}.")

    async def load(self) -> None:
        """Read the model into memory."""
        async with self._loading:
            if self._model is not None:
                return
            check_ready(await self.status())
            try:
                self._model = await asyncio.to_thread(self._load)
            except Exception as error:
                raise SpeechError(f"The model {self._config.model} of faster_whisper cannot be loaded.") from error

    def _load(self) -> Any:
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingTypeStubs]

        config = self._config
        return WhisperModel(
            str(self._folder),
            device=config.device,
            compute_type=config.compute_type,
            cpu_threads=config.threads,
            num_workers=config.parallel,
            local_files_only=True,
        )

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise a recording of any length."""
        await self.load()
        async with self._turn:
            return await asyncio.to_thread(self._recognize, pcm, language, hints)

    def _recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> Transcript:
        import numpy as np

        audio = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.float32) / 32768
        if not len(audio):
            return Transcript("", language=language)
        config = self._config
        try:
            found, facts = self._model.transcribe(
                audio,
                language=self._language(language),
                beam_size=config.beam,
                vad_filter=config.vad,
                condition_on_previous_text=False,
                word_timestamps=config.words,
                hotwords=" ".join(hints) or None,
            )
            segments = list(found)
        except Exception as error:
            raise SpeechError("faster_whisper failed to recognise a recording.") from error
        words = tuple(
            Word(str(word.word).strip(), float(word.start), float(word.end), float(word.probability))
            for segment in segments
            for word in segment.words or ()
        )
        weights = [max(segment.end - segment.start, 0.01) for segment in segments]
        likely = sum(math.exp(s.avg_logprob) * w for s, w in zip(segments, weights, strict=True))
        return Transcript(
            " ".join(text for segment in segments if (text := segment.text.strip())),
            language=str(facts.language),
            confidence=float(min(1.0, likely / sum(weights))) if weights else 0.0,
            words=words,
        )

    def _language(self, language: str) -> str | None:
        """Whisper's word for a language; None lets it find out."""
        wanted = primary(language)
        return wanted if wanted in self._model.supported_languages else None

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> BufferedStream:
        """Gathers an utterance and recognises it when it ends."""
        return BufferedStream(lambda pcm: self.recognize(pcm, language=language, hints=hints))

    async def aclose(self) -> None:
        """Let the model go."""
        self._model = None


def folder(config: Config, surroundings: Surroundings) -> Path:
    """Where a model lies."""
    return surroundings.models / "faster_whisper" / config.model.replace("/", "--")


def _downloads(config: Config) -> Sequence[Download]:
    size = config.model
    repository = size if "/" in size else _REPOSITORIES.get(size, f"Systran/faster-whisper-{size}")
    return [Download(repository=repository, into=f"faster_whisper/{size.replace('/', '--')}", patterns=_FILES)]


def _languages(config: Config) -> frozenset[str]:
    return frozenset({"en"}) if config.model.endswith(".en") else frozenset()


ENGINE = SttEngine(
    title="Whisper models, offline, a hundred languages, free speech; fetches a model of 75 MB to 3 GB",
    config=Config,
    argument="model",
    languages=_languages,
    downloads=_downloads,
    make=FasterWhisper,
)
