"""Any recogniser that has a plugin for LiveKit Agents: `livekit:deepgram`, once livekit-plugins-deepgram is installed.

A plugin that streams gets a stream for each utterance, which ends with it: only then does every service say its last
word at once. One that does not stream gets the utterance as a recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, EngineStatus, RecognitionStream, Transcript
from antiphon.speech.buffered import BufferedStream
from antiphon.speech.engine import SttEngine, Surroundings
from antiphon.speech.livekit_plugins import PluginConfig, PluginMaker

_EARLY_BYTES = 60 * LISTENING_RATE * SAMPLE_BYTES


class Config(PluginConfig, extra="forbid"):
    """`[speech.engines.livekit]`, and `[speech.engines.livekit.stt]` for listening alone."""


class LiveKitListener:
    """Implements `domain.speech.SpeechToText`."""

    name = "livekit"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._maker = PluginMaker("STT", config, surroundings.secret)
        self._plugin: Any = None

    @property
    def interim(self) -> bool:
        """Whether the plugin gives interim transcripts; known after `load`."""
        return self._plugin is not None and bool(self._plugin.capabilities.interim_results)

    async def status(self) -> EngineStatus:
        """Whether the plugin is installed."""
        return await asyncio.to_thread(self._maker.status)

    async def load(self) -> None:
        """Make the plugin's object."""
        if self._plugin is None:
            self._plugin = self._maker.make()

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise a recording: at once, or as one utterance of a stream."""
        await self.load()
        if self._plugin.capabilities.streaming:
            async with aclosing(_Stream(self, language)) as stream:
                stream.push(pcm)
                stream.end_utterance()
                async for transcript in stream:
                    if transcript.final:
                        return transcript
            raise SpeechError("The plugin gave no transcript.")
        options = {"language": language} if language else {}
        try:
            event = await self._plugin.recognize(frame(pcm), **options)
        except Exception as error:
            raise SpeechError(f"The plugin failed ({type(error).__name__}).") from error
        return _transcript([event], language)

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> RecognitionStream:
        """Listen to one person."""
        del hints
        if self._plugin is not None and not self._plugin.capabilities.streaming:
            return BufferedStream(lambda pcm: self.recognize(pcm, language=language))
        return _Stream(self, language)

    @property
    def streams(self) -> bool:
        """Whether the plugin streams."""
        return bool(self._plugin.capabilities.streaming)

    def begin(self, language: str) -> Any:
        """A stream of the plugin."""
        options = {"language": language} if language else {}
        return self._plugin.stream(**options)

    async def aclose(self) -> None:
        """Close plugin and session."""
        if self._plugin is not None:
            await self._plugin.aclose()
            self._plugin = None
        await self._maker.aclose()


class _Stream:
    """Implements `domain.speech.RecognitionStream`: a stream of the plugin for each utterance, in turn."""

    def __init__(self, engine: LiveKitListener, language: str) -> None:
        self._engine = engine
        self._language = language
        self._early: list[bytes | None] = []
        """What came before the plugin was loaded; None ends an utterance."""
        self._early_bytes = 0
        self._loaded = False
        self._speaking: Any = None
        self._utterances: asyncio.Queue[Any] = asyncio.Queue()
        self._open: set[Any] = set()
        self._closed = False
        self._failed = False

    def push(self, pcm: bytes) -> None:
        """Hand it to the plugin."""
        if self._closed or not pcm:
            return
        if not self._loaded:
            self._early_bytes += len(pcm)
            if self._early_bytes <= _EARLY_BYTES:
                self._early.append(pcm)
            return
        if self._speaking is None:
            self._begin()
        self._to_plugin("push_frame", frame(pcm))

    def end_utterance(self) -> None:
        """Let the plugin's stream end."""
        if self._closed:
            return
        if not self._loaded:
            self._early.append(None)
            return
        if self._speaking is None:
            self._begin()
        self._to_plugin("end_input")
        self._speaking = None

    def _to_plugin(self, method: str, *arguments: Any) -> None:
        """A stream that has failed is closed: whoever reads it meets the reason."""
        try:
            getattr(self._speaking, method)(*arguments)
        except RuntimeError:
            self._failed = True

    def _begin(self) -> None:
        self._speaking = self._engine.begin(self._language)
        self._open.add(self._speaking)
        self._utterances.put_nowait(self._speaking)

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        """Interim transcripts and a final for each utterance."""
        await self._engine.load()
        if not self._engine.streams:
            raise SpeechError("The plugin does not stream; load it before listening.")
        self._loaded = True
        for piece in self._early:
            if piece is None:
                self.end_utterance()
            else:
                self.push(piece)
        self._early.clear()
        while (utterance := await self._utterances.get()) is not None:
            finals: list[Any] = []
            last: Any = None
            try:
                async for event in utterance:
                    kind = str(event.type.value)
                    if kind == "final_transcript":
                        finals.append(event)
                        last = None
                    elif kind == "interim_transcript" and event.alternatives:
                        last = event
                        yield _transcript([*finals, event], self._language, final=False)
            except Exception as error:
                if self._closed:
                    return
                raise SpeechError(f"The plugin failed ({type(error).__name__}).") from error
            finally:
                self._open.discard(utterance)
            if self._closed:
                return
            if self._failed:
                raise SpeechError("The plugin ended its stream too early.")
            yield _transcript([*finals, *([last] if last is not None else [])], self._language)

    async def aclose(self) -> None:
        """Close what is open."""
        self._closed = True
        self._early.clear()
        self._utterances.put_nowait(None)
        for stream in list(self._open):
            await stream.aclose()
        self._open.clear()


def frame(pcm: bytes) -> Any:
    """PCM as the framework's frame."""
    from livekit import rtc

    whole = pcm[: len(pcm) & ~1]
    return rtc.AudioFrame(whole, LISTENING_RATE, 1, len(whole) // SAMPLE_BYTES)


def _transcript(events: Sequence[Any], language: str, *, final: bool = True) -> Transcript:
    best = [event.alternatives[0] for event in events if event.alternatives]
    return Transcript(
        " ".join(text for one in best if (text := str(one.text).strip())),
        final=final,
        language=str(best[-1].language or language) if best else language,
        confidence=min((float(one.confidence) for one in best), default=0.0),
    )


ENGINE = SttEngine(
    title="any recogniser with a plugin for LiveKit Agents; most are services on the internet",
    config=Config,
    argument="plugin",
    make=LiveKitListener,
)
