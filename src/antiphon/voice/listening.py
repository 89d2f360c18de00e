"""One person's words: sound goes to the recogniser only while they speak, with the half second before.

The voice activity detection says when (`started`, `stopped`); a recogniser therefore costs nothing in silence and
needs no detection of its own. Sound waits here until the detection has looked at it (`looked`): when much of it comes
at once, after a network or this program stood still, the beginnings and ends of what is said stay where they are. A
recogniser that fails or hangs is replaced by a new one with the next utterance.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable

import structlog

from antiphon.domain.errors import AntiphonError, InvalidInput
from antiphon.domain.speech import SAMPLE_BYTES, RecognitionStream, SpeechToText, Transcript

log = structlog.stdlib.get_logger(__name__)

BEFORE_FRAMES = 25
"""Frames from before speech was noticed that belong to it: half a second."""
AHEAD_FRAMES = 750
"""Frames that wait for the detection: fifteen seconds, more than ever comes at once."""
FINAL_SECONDS = 120.0
"""How long the recogniser may take for an utterance that is over. More than the chain of engines gives each of them
(`speech.timeout_seconds`): it asks the next one, and tells when none is left."""
NOT_UNDERSTOOD = "I did not catch that: the speech recognition did not answer. Please say it again."


class Listening:
    """The recogniser of one session."""

    def __init__(self, stt: SpeechToText, *, language: str, failed: Callable[[str, str], None]) -> None:
        """`failed` is told a code and words for the person when an utterance could not be understood."""
        self._stt = stt
        self._language = language
        self._failed = failed
        self._ahead: deque[bytes] = deque(maxlen=AHEAD_FRAMES)
        self._looked = 0
        """Bytes that the detection has looked at, and that are not handed on yet."""
        self._before: deque[bytes] = deque(maxlen=BEFORE_FRAMES)
        self._stream: RecognitionStream | None = None
        self._reading: asyncio.Task[None] | None = None
        self._speaking = False
        self._waiting: asyncio.TimerHandle | None = None
        self._found: asyncio.Queue[Transcript | None] = asyncio.Queue()
        self._closing: set[asyncio.Task[None]] = set()

    def hear(self, pcm: bytes) -> None:
        """A frame of 20 ms, whatever is in it."""
        self._ahead.append(pcm)
        self._hand_on()

    def looked(self, samples: int) -> None:
        """The detection has looked at so many samples more."""
        self._looked += samples * SAMPLE_BYTES
        self._hand_on()

    def _hand_on(self) -> None:
        while self._ahead and len(self._ahead[0]) <= self._looked:
            pcm = self._ahead.popleft()
            self._looked -= len(pcm)
            if self._speaking and self._stream is not None:
                self._stream.push(pcm)
            else:
                self._before.append(pcm)

    def started(self) -> None:
        """The person speaks."""
        self._stop_waiting()
        if self._stream is None:
            self._stream = self._stt.stream(language=self._language)
            self._reading = asyncio.create_task(self._read(self._stream), name="voice-recognition")
        if not self._speaking:
            self._speaking = True
            self._stream.push(b"".join(self._before))
            self._before.clear()

    def stopped(self) -> None:
        """The person is silent."""
        if not self._speaking:
            return
        self._speaking = False
        if self._stream is not None:
            self._stream.end_utterance()
            self._stop_waiting()
            self._waiting = asyncio.get_running_loop().call_later(FINAL_SECONDS, self._hangs)

    async def transcripts(self) -> AsyncIterator[Transcript]:
        """What was understood, until `aclose`."""
        while (found := await self._found.get()) is not None:
            yield found

    async def aclose(self) -> None:
        """Free the recogniser. Twice is once."""
        self._stop_waiting()
        self._drop()
        self._found.put_nowait(None)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _read(self, stream: RecognitionStream) -> None:
        try:
            async for transcript in stream:
                if transcript.final:
                    self._stop_waiting()
                self._found.put_nowait(transcript)
        except InvalidInput as error:  # nothing here understands the language
            self._broken(stream, error.code, error.message)
        except AntiphonError as error:
            log.warning("voice.recognition_failed", code=error.code)
            self._broken(stream, error.code, NOT_UNDERSTOOD)
        except Exception:
            log.exception("voice.recognition_failed")
            self._broken(stream, "speech_failed", NOT_UNDERSTOOD)

    def _hangs(self) -> None:
        self._waiting = None
        log.warning("voice.recognition_hangs", engine=self._stt.name)
        if self._stream is not None:
            self._broken(self._stream, "speech_timeout", NOT_UNDERSTOOD)

    def _broken(self, stream: RecognitionStream, code: str, words: str) -> None:
        if self._stream is stream:
            self._drop()
            self._failed(code, words)

    def _drop(self) -> None:
        """Let go of the recogniser; the next utterance gets another one."""
        stream, self._stream = self._stream, None
        reading, self._reading = self._reading, None
        self._speaking = False
        if stream is not None:
            task = asyncio.create_task(_close(stream, reading), name="voice-recognition-close")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


async def _close(stream: RecognitionStream, reading: asyncio.Task[None] | None) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(5):
            await stream.aclose()
    if reading is not None and reading is not asyncio.current_task():
        reading.cancel()
        await asyncio.wait({reading})
