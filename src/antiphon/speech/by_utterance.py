"""A stream of recognition for engines that are asked anew for each utterance: servers, and models that hear while one
speaks.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from antiphon.domain.errors import AntiphonError, SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, Transcript

_MOST_BYTES = 120 * LISTENING_RATE * SAMPLE_BYTES
"""What may wait for an engine that does not keep up."""


class UtteranceStream(ABC):
    """Implements `domain.speech.RecognitionStream`. `utterance` is given the first audio; the rest comes by `next`."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._refused = False
        self.closed = False

    @abstractmethod
    def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """Ask the engine: interim transcripts, and one final as the last. Its errors are `SpeechError`, and
        `InvalidInput` for what the caller asked."""

    @abstractmethod
    def abort(self) -> None:
        """End at once what `utterance` is waiting for."""

    async def next(self) -> bytes | None:
        """More audio of the utterance, None at its end."""
        piece = await self._waiting.get()
        if self._refused:
            raise SpeechError(f"The engine {self._engine} does not keep up with what is said.")
        if piece is not None:
            self._waiting_bytes -= len(piece)
        return piece

    async def all(self, first: bytes) -> bytes:
        """All audio of the utterance."""
        pieces = [first]
        size = len(first)
        while (piece := await self.next()) is not None:
            pieces.append(piece)
            size += len(piece)
            if size > 4 * _MOST_BYTES:
                raise SpeechError(f"An utterance is too long for the engine {self._engine}.")
        return b"".join(pieces)

    async def whole(self, pcm: bytes) -> Transcript:
        """The final of a recording, which may be longer than what waits for an engine while somebody speaks."""
        self.end_utterance()
        async with aclosing(self.utterance(pcm)) as transcripts:
            async for transcript in transcripts:
                if transcript.final:
                    return transcript
        raise SpeechError(f"The engine {self._engine} is closed.")

    async def at_hand(self, piece: bytes | None) -> tuple[bytes, bool]:
        """`piece` and all that has come since; whether the utterance ends with it."""
        audio = bytearray()
        while piece is not None:
            audio += piece
            if self._waiting.empty():
                return bytes(audio), False
            piece = await self.next()
        return bytes(audio), True

    def push(self, pcm: bytes) -> None:
        """Queue audio."""
        if self.closed or self._refused or not pcm:
            return
        self._waiting_bytes += len(pcm)
        self._refused = self._waiting_bytes > _MOST_BYTES
        self._waiting.put_nowait(pcm)

    def end_utterance(self) -> None:
        """What follows is another utterance."""
        if not self.closed:
            self._waiting.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        """Interim and final transcripts until it is closed."""
        while not self.closed:
            first = await self.next()
            if self.closed:
                return
            if first is None:
                yield Transcript("")
                continue
            try:
                async with aclosing(self.utterance(first)) as transcripts:
                    async for transcript in transcripts:
                        if self.closed:
                            return
                        yield transcript
            except AntiphonError:
                if self.closed:
                    return
                raise

    async def aclose(self) -> None:
        """Forget what was said, and let the engine off."""
        if self.closed:
            return
        self.closed = True
        self._waiting.put_nowait(None)
        self.abort()
