"""A stream for engines that recognise whole utterances: it gathers what is said until the person stops.

Used by `stt/faster_whisper`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, Transcript

_LONGEST_BYTES = 120 * LISTENING_RATE * SAMPLE_BYTES
"""Nobody talks that long without a pause, but an open microphone may hum."""


class BufferedStream:
    """Implements `domain.speech.RecognitionStream` by `recognize`. One utterance is recognised after the other."""

    def __init__(self, recognize: Callable[[bytes], Awaitable[Transcript]]) -> None:
        self._recognize = recognize
        self._audio = bytearray()
        self._ended: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed = False

    def push(self, pcm: bytes) -> None:
        """Gather it. Of what goes on for too long, the last minutes are kept."""
        if self._closed:
            return
        self._audio += pcm
        if (beyond := len(self._audio) - _LONGEST_BYTES) > 0:
            del self._audio[: beyond + beyond % SAMPLE_BYTES]

    def end_utterance(self) -> None:
        """What was gathered is an utterance."""
        if not self._closed:
            self._ended.put_nowait(bytes(self._audio[: len(self._audio) & ~1]))
            self._audio.clear()

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        """A final for each utterance."""
        while (audio := await self._ended.get()) is not None:
            heard = await self._recognize(audio) if audio else Transcript("")
            if self._closed:
                return
            yield heard

    async def aclose(self) -> None:
        """Forget what was gathered."""
        self._closed = True
        self._audio.clear()
        self._ended.put_nowait(None)
