"""Any recogniser that has a plugin for LiveKit Agents: `livekit:deepgram`, once livekit-plugins-deepgram is installed.

A plugin that streams gets a stream for each utterance, which ends with it: only then does every service say its last
word at once. One that does not stream gets the utterance as a recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, EngineStatus, Transcript
from antiphon.speech.by_utterance import UtteranceStream
from antiphon.speech.engine import SttEngine, Surroundings
from antiphon.speech.livekit_plugins import PluginConfig, PluginMaker

_PIECE_BYTES = LISTENING_RATE * SAMPLE_BYTES
"""Longest frame: of recordings a second at a time."""


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
        async with aclosing(self.stream(language=language, hints=hints)) as stream:
            return await stream.whole(pcm)

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Listen to one person; the plugin is asked with the first audio."""
        del hints
        return _Stream(self, language)

    @property
    def streams(self) -> bool:
        """Whether the plugin streams; known after `load`."""
        return bool(self._plugin.capabilities.streaming)

    def begin(self, language: str) -> Any:
        """A stream of the plugin."""
        return self._plugin.stream(**_options(language))

    async def at_once(self, pcm: bytes, language: str) -> Transcript:
        """What a plugin that does not stream makes of an utterance."""
        try:
            event = await self._plugin.recognize(frame(pcm), **_options(language))
        except Exception as error:
            raise SpeechError(f"The plugin failed ({type(error).__name__}).") from error
        return _transcript([event], language)

    async def aclose(self) -> None:
        """Close plugin and session."""
        if self._plugin is not None:
            await self._plugin.aclose()
            self._plugin = None
        await self._maker.aclose()


class _Stream(UtteranceStream):
    """A stream of the plugin for each utterance. What is said before the plugin is loaded waits for it."""

    def __init__(self, engine: LiveKitListener, language: str) -> None:
        super().__init__(engine.name)
        self._listener = engine
        self._language = language
        self._open: Any = None

    def abort(self) -> None:
        """`aclose` closes the plugin's stream."""

    async def aclose(self) -> None:
        """Forget what was said, and close the plugin's stream."""
        await super().aclose()
        if self._open is not None:
            await self._open.aclose()

    async def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """Interim transcripts and a final, or the final alone."""
        engine, language = self._listener, self._language
        await engine.load()
        if not engine.streams:
            yield await engine.at_once(await self.all(first), language)
            return
        stream = self._open = engine.begin(language)
        feeding = asyncio.create_task(self._feed(stream, first), name="livekit feeding")
        finals: list[Any] = []
        last: Any = None
        try:
            async for event in stream:
                kind = str(event.type.value)
                if kind == "final_transcript":
                    finals.append(event)
                    last = None
                elif kind == "interim_transcript" and event.alternatives:
                    last = event
                    yield _transcript([*finals, event], language, final=False)
            if not feeding.done():
                raise SpeechError("The plugin ended its stream too early.")
            feeding.result()
        except SpeechError:
            raise
        except Exception as error:
            raise SpeechError(f"The plugin failed ({type(error).__name__}).") from error
        finally:
            feeding.cancel()
            await asyncio.wait({feeding})
            if not feeding.cancelled():
                feeding.exception()  # told by the reading
            await stream.aclose()
            self._open = None
        yield _transcript([*finals, *([last] if last is not None else [])], language)

    async def _feed(self, stream: Any, first: bytes) -> None:
        """Hand the utterance to the plugin's stream, which then ends."""
        piece: bytes | None = first
        try:
            while piece is not None:
                for at in range(0, len(piece), _PIECE_BYTES):
                    stream.push_frame(frame(piece[at : at + _PIECE_BYTES]))
                piece = await self.next()
        finally:
            with suppress(RuntimeError):  # it has failed: whoever reads it meets the reason
                stream.end_input()


def _options(language: str) -> dict[str, str]:
    return {"language": language} if language else {}


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
