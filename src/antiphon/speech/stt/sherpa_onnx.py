"""sherpa-onnx: many families of recognisers as ONNX models, some of which give interim transcripts. Offline.

A model is a folder in `models_dir/sherpa_onnx`; `sherpa_models` tells what kind it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import (
    LISTENING_RATE,
    SAMPLE_BYTES,
    EngineState,
    EngineStatus,
    Transcript,
)
from antiphon.speech.by_utterance import UtteranceStream
from antiphon.speech.engine import Download, SttEngine, Surroundings, check_ready, needs_model, package_missing, primary
from antiphon.speech.sherpa_models import SherpaModel, sherpa_model, sherpa_tokens

_TAIL_SECONDS = 0.5
"""Silence after an utterance, so that a streaming model says its last word; more for one that takes more at once."""

_OTHER_LANGUAGES = frozenset(
    ("zh", "yue", "cantonese", "ja", "ko", "ru", "de", "es", "fr", "it", "pt", "ar", "vi", "th")
)
"""Parts of a model's name that tell that it knows more than English."""


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.sherpa_onnx]`."""

    model: str = Field(
        default="sherpa-onnx-streaming-zipformer-en-20M-2023-02-17",
        pattern=r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$",
        description="Folder in models_dir/sherpa_onnx, or the repository of a hub that it is fetched from.",
    )
    languages: tuple[str, ...] = Field(
        default=(), description="Languages the model knows. Empty: those that its name tells, else any."
    )
    threads: int = Field(default=2, ge=1, le=64, description="Threads of one recognition.")
    parallel: int = Field(default=1, ge=1, le=16, description="Recognitions at the same time.")


class SherpaOnnx:
    """Implements `domain.speech.SpeechToText`."""

    name = "sherpa_onnx"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._folder = surroundings.models / "sherpa_onnx" / config.model.rpartition("/")[2]
        self._recognizer: Any = None
        self._model: SherpaModel | None = None
        self._loading = asyncio.Lock()
        self._turn = asyncio.Semaphore(config.parallel)

    @property
    def interim(self) -> bool:
        """Whether the model hears while one speaks. Before it is loaded its name tells."""
        return "streaming" in self._config.model if self._model is None else self._model.streaming

    async def status(self) -> EngineStatus:
        """Whether package and model are there."""
        if (missing := package_missing(self.name, "sherpa_onnx", "sherpa")) is not None:
            return missing
        if not await asyncio.to_thread(lambda: any(self._folder.glob("*tokens.txt"))):
            return needs_model(self.name, f"The model {self._config.model}", f"{self.name}:{self._config.model}")
        return EngineStatus(self.name, EngineState.READY, f"Model {self._config.model}.")

    async def load(self) -> None:
        """Read the model into memory."""
        async with self._loading:
            if self._recognizer is not None:
                return
            check_ready(await self.status())
            try:
                self._model, self._recognizer = await asyncio.to_thread(_open, self._folder, self._config)
            except SpeechError:
                raise
            except Exception as error:
                raise SpeechError(f"The model {self._config.model} of sherpa_onnx cannot be loaded.") from error

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one recording."""
        del hints
        await self.load()
        if len(pcm) < SAMPLE_BYTES:
            return Transcript("")
        async with self._turn:
            return await asyncio.to_thread(self._recognize, pcm, language)

    def _recognize(self, pcm: bytes, language: str) -> Transcript:
        try:
            stream = self._recognizer.create_stream()
            stream.accept_waveform(LISTENING_RATE, _floats(pcm))
            if self.interim:
                return Transcript(self.finish(stream), language=language)
            self._recognizer.decode_stream(stream)
            return Transcript(str(stream.result.text).strip(), language=language)
        except Exception as error:
            raise SpeechError("sherpa_onnx failed to recognise a recording.") from error

    def finish(self, stream: Any) -> str:
        """The final text of a streaming model."""
        frames = self._model.frames if self._model is not None else 0
        seconds = max(_TAIL_SECONDS, (frames + 2) / 100)
        stream.accept_waveform(LISTENING_RATE, _floats(bytes(int(seconds * LISTENING_RATE) * SAMPLE_BYTES)))
        stream.input_finished()
        return self.decode(stream)

    def decode(self, stream: Any) -> str:
        """What a streaming model makes of what it has."""
        while self._recognizer.is_ready(stream):
            self._recognizer.decode_stream(stream)
        return str(self._recognizer.get_result(stream)).strip()

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Interim transcripts with a streaming model, else finals alone."""
        del hints
        return _Stream(self, language)

    def begin(self) -> Any:
        """A stream of the library, once the model is loaded."""
        return self._recognizer.create_stream()

    @property
    def turn(self) -> asyncio.Semaphore:
        """Bounds how many recognise at the same time."""
        return self._turn

    async def aclose(self) -> None:
        """Let the model go."""
        self._recognizer = None


class _Stream(UtteranceStream):
    """With a streaming model, what came while it decoded is taken together, so that a slow machine gives fewer interim
    transcripts."""

    def __init__(self, engine: SherpaOnnx, language: str) -> None:
        super().__init__(engine.name)
        self._sherpa = engine
        self._language = language

    def abort(self) -> None:
        """The model decodes what it has, and nobody is told of it."""

    async def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """Interim transcripts when they change, and the final; or the final alone."""
        await self._sherpa.load()
        if not self._sherpa.interim:
            yield await self._sherpa.recognize(await self.all(first), language=self._language)
            return
        stream, said = self._sherpa.begin(), ""
        piece: bytes | None = first
        while not self.closed:
            audio, ended = await self.at_hand(piece)
            async with self._sherpa.turn:
                text = await asyncio.to_thread(self._work, stream, audio, ended)
            if ended:
                yield Transcript(text, language=self._language)
                return
            if text != said:
                said = text
                yield Transcript(text, final=False, language=self._language)
            piece = await self.next()

    def _work(self, stream: Any, pcm: bytes, ended: bool) -> str:
        try:
            if pcm:
                stream.accept_waveform(LISTENING_RATE, _floats(pcm))
            return self._sherpa.finish(stream) if ended else self._sherpa.decode(stream)
        except Exception as error:
            raise SpeechError("sherpa_onnx failed while it listened.") from error


def _floats(pcm: bytes) -> Any:
    import numpy as np

    return np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.float32) / 32768


def _open(folder: Path, config: Config) -> tuple[SherpaModel, Any]:
    """The model in a folder, and the recogniser for it."""
    import sherpa_onnx  # pyright: ignore[reportMissingTypeStubs]

    library: Any = sherpa_onnx
    model = sherpa_model(folder)
    kind = library.OnlineRecognizer if model.streaming else library.OfflineRecognizer
    common = {"tokens": sherpa_tokens(folder), "num_threads": config.threads}
    return model, getattr(kind, model.factory)(**model.files, **model.more, **common)


def _downloads(config: Config) -> Sequence[Download]:
    repository = config.model if "/" in config.model else f"csukuangfj/{config.model}"
    return [
        Download(
            repository=repository,
            into=f"sherpa_onnx/{config.model.rpartition('/')[2]}",
            patterns=("*.onnx", "*tokens.txt"),
        )
    ]


def _languages(config: Config) -> frozenset[str]:
    if config.languages:
        return frozenset(map(primary, config.languages))
    parts = config.model.casefold().split("-")
    return frozenset({"en"}) if "en" in parts and not _OTHER_LANGUAGES.intersection(parts) else frozenset()


ENGINE = SttEngine(
    title="offline, many families of models, interim transcripts with streaming ones; fetches a model",
    config=Config,
    argument="model",
    languages=_languages,
    downloads=_downloads,
    make=SherpaOnnx,
)
