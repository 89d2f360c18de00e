"""Speech: what engines that listen and speak take and give. The ports stand here beside their nouns.

All audio between parts is **PCM, 16 bit signed little-endian, mono**. Recognition takes 16,000 samples a second,
whatever the transport has; synthesis says which rate it gives (`TextToSpeech.sample_rate`). Times are seconds.

`speech/` implements the ports, one file per engine; `voice/` and `threads/audio` use them; `run/wiring` chooses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

LISTENING_RATE = 16_000
"""Samples a second of everything that is recognised."""
SAMPLE_BYTES = 2


class EngineState(StrEnum):
    """Whether an engine can be used."""

    READY = "ready"
    NEEDS_MODEL = "needs model"
    NEEDS_PACKAGE = "needs package"
    NEEDS_SETTING = "needs setting"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What people are told about an engine. `remedy` says how to make it ready, "" when it is."""

    name: str
    state: EngineState
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; times count from the beginning of its utterance. `confidence` is 0 to 1, 0 when unknown."""

    text: str
    start: float
    end: float
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. `final` False means that it may still change."""

    text: str
    final: bool = True
    language: str = ""
    confidence: float = 0.0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where a word begins in synthesised audio: `at` seconds from the beginning, `start` and `end` in the text."""

    at: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of synthesised audio, at the engine's `sample_rate`, with the words that begin in it, when it knows."""

    pcm: bytes
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """A voice that an engine offers. `name` is what the settings and sessions call it; `language` is like `en-US`."""

    name: str
    language: str
    title: str = ""


class RecognitionStream(Protocol):
    """One person being listened to. Iterating yields interim transcripts and one final for each `end_utterance`.

    Several utterances may follow each other. An engine that fails raises `SpeechError` from the iteration, one that
    has too much to do `SpeechBusy`. An interim transcript without text says that it is at work, on others maybe.
    """

    def push(self, pcm: bytes) -> None:
        """Take audio (16 kHz), any number of whole samples. Never blocks; what cannot be kept up with is bounded."""
        ...

    def end_utterance(self) -> None:
        """The person stopped speaking: the final of what was pushed since the last one is wanted now."""
        ...

    def __aiter__(self) -> AsyncIterator[Transcript]:
        """Transcripts until `aclose`."""
        ...

    async def aclose(self) -> None:
        """Free everything, at once; nothing is recognised any more. Twice is once."""
        ...


class SpeechToText(Protocol):
    """An engine that listens."""

    @property
    def name(self) -> str:
        """The engine's word in the settings."""
        ...

    @property
    def interim(self) -> bool:
        """Whether its streams yield transcripts before the final one."""
        ...

    async def status(self) -> EngineStatus:
        """Whether it can be used, without loading it. Never raises."""
        ...

    async def load(self) -> None:
        """Load what the first use needs, once. `SpeechError` says what is missing and how to get it."""
        ...

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one utterance (16 kHz). Empty text when nothing was said. `hints` are words that may well come.

        `language` is like `en` or `de-DE`; "" lets the engine find out, or its default.
        """
        ...

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> RecognitionStream:
        """Begin to listen to one person. Cheap: a session makes one per speaker."""
        ...

    async def aclose(self) -> None:
        """End it with everything it holds. Twice is once."""
        ...


class TextToSpeech(Protocol):
    """An engine that speaks."""

    @property
    def name(self) -> str:
        """The engine's word in the settings."""
        ...

    @property
    def sample_rate(self) -> int:
        """Samples a second of its audio; known after `load`."""
        ...

    async def status(self) -> EngineStatus:
        """Whether it can be used, without loading it. Never raises."""
        ...

    async def load(self) -> None:
        """Load what the first use needs, once. `SpeechError` says what is missing and how to get it."""
        ...

    async def voices(self) -> Sequence[VoiceInfo]:
        """The voices it offers, the default first."""
        ...

    def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak `text` as chunks, the first as soon as it is there. Closing the iterator stops the engine.

        Raises `SpeechError`. Without `voice` the engine's default for `language` speaks.
        """
        ...

    async def aclose(self) -> None:
        """End it with everything it holds. Twice is once."""
        ...
