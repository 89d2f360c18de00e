"""The chain of engines that listen. What was pushed since the last final is kept, so that when an engine fails in the
middle of a sentence the next one hears all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, RecognitionStream, SpeechToText, Transcript
from antiphon.speech.chain import Chain, Link
from antiphon.speech.child import ChildGone

_KEPT_BYTES = 120 * LISTENING_RATE * SAMPLE_BYTES
"""How much unfinished speech is kept for the next engine; the oldest is dropped."""


class ListeningChain(Chain[SpeechToText]):
    """Implements `domain.speech.SpeechToText` with several engines."""

    kind = "stt"

    @property
    def interim(self) -> bool:
        """Whether the engine whose turn it is gives interim transcripts."""
        return self.links[0].engine.interim

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise with the first engine that can. Each has its time, and as long again as the recording lasts."""
        spoken = language or self._language
        seconds = len(pcm) / SAMPLE_BYTES / LISTENING_RATE
        errors: list[tuple[str, BaseException]] = []
        links = deque(self.candidates(spoken))
        again: Link[SpeechToText] | None = None
        while links:
            link = links.popleft()
            try:
                async with asyncio.timeout(self._timeout + 2 * seconds):
                    return await link.engine.recognize(pcm, language=spoken, hints=hints)
            except InvalidInput as error:
                self.refused(link, error)
                errors.append((link.choice, error))
            except Exception as error:
                if isinstance(error, ChildGone) and again is not link:
                    again = link  # a new process may do better: once
                    links.appendleft(link)
                    continue
                self.failed(link, error, next_one=bool(links))
                errors.append((link.choice, _named(error, link.choice)))
        raise self.all_failed(errors)

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> ChainStream:
        """Listen with the first engine, and with the next ones when it fails."""
        return ChainStream(self, language or self._language, hints)

    def begin(self, link: Link[SpeechToText], language: str, hints: Sequence[str]) -> RecognitionStream:
        """A stream of one engine."""
        return link.engine.stream(language=language, hints=hints)

    @property
    def timeout(self) -> float:
        """Seconds a final may take."""
        return self._timeout


class ChainStream:
    """Implements `domain.speech.RecognitionStream`."""

    def __init__(self, chain: ListeningChain, language: str, hints: Sequence[str]) -> None:
        self._chain = chain
        self._language = language
        self._hints = hints
        self._kept: deque[bytes | None] = deque()
        """What has had no final yet; None is an end of an utterance."""
        self._kept_bytes = 0
        self._inner: RecognitionStream | None = None
        self._heard: asyncio.Queue[Transcript | BaseException | None] = asyncio.Queue()
        self._late: asyncio.TimerHandle | None = None
        self._closed = False

    def push(self, pcm: bytes) -> None:
        """Keep the audio and hand it on."""
        if self._closed or not pcm:
            return
        self._kept.append(pcm)
        self._kept_bytes += len(pcm)
        while self._kept_bytes > _KEPT_BYTES and (oldest := self._kept[0]) is not None:
            self._kept.popleft()
            self._kept_bytes -= len(oldest)
        if self._inner is not None:
            self._inner.push(pcm)

    def end_utterance(self) -> None:
        """Hand it on, and expect the final in time."""
        if self._closed:
            return
        self._kept.append(None)
        if self._inner is not None:
            self._inner.end_utterance()
            self._expect()

    def _expect(self) -> None:
        if self._late is None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_later(self._chain.timeout, self._heard.put_nowait, TimeoutError())

    def _goes_on(self) -> None:
        """The engine does something: it has the time anew that it may be silent."""
        if self._late is not None:
            self._relax()
            self._expect()

    def _relax(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        """Transcripts of whichever engine works. Raises `SpeechError` or `InvalidInput` when none is left."""
        errors: list[tuple[str, BaseException]] = []
        links = deque(self._chain.candidates(self._language))
        again: Link[SpeechToText] | None = None
        while links and not self._closed:
            link = links.popleft()
            inner = self._chain.begin(link, self._language, self._hints)
            self._heard = asyncio.Queue()
            pump = asyncio.create_task(_pump(inner, self._heard), name=f"listening {link.choice}")
            try:
                self._replay(inner)
                while not self._closed:
                    heard = await self._heard.get()
                    if heard is None:
                        return
                    if isinstance(heard, BaseException):
                        raise heard
                    if heard.final:
                        self._finished()
                        again = None
                    else:
                        self._goes_on()
                    if heard.final or heard.text:
                        yield heard
            except InvalidInput as error:
                self._chain.refused(link, error)
                errors.append((link.choice, error))
            except Exception as error:
                if isinstance(error, ChildGone) and again is not link:
                    again = link  # a new process may do better: once
                    links.appendleft(link)
                else:
                    self._chain.failed(link, error, next_one=bool(links))
                    errors.append((link.choice, _named(error, link.choice)))
            finally:
                self._inner = None
                self._relax()
                pump.cancel()
                await asyncio.wait({pump})
                await _close(inner)
        if not self._closed:
            raise self._chain.all_failed(errors)

    def _replay(self, inner: RecognitionStream) -> None:
        for piece in self._kept:
            if piece is None:
                inner.end_utterance()
                self._expect()
            else:
                inner.push(piece)
        self._inner = inner

    def _finished(self) -> None:
        """The first utterance of what is kept has its final."""
        if None not in self._kept:
            return
        while (piece := self._kept.popleft()) is not None:
            self._kept_bytes -= len(piece)
        self._relax()
        if None in self._kept:
            self._expect()

    async def aclose(self) -> None:
        """Stop listening, whoever does."""
        self._closed = True
        self._kept.clear()
        self._relax()
        self._heard.put_nowait(None)
        if self._inner is not None:
            await self._inner.aclose()


async def _pump(inner: RecognitionStream, heard: asyncio.Queue[Transcript | BaseException | None]) -> None:
    try:
        async for transcript in inner:
            heard.put_nowait(transcript)
        heard.put_nowait(SpeechError("The engine stopped listening."))
    except Exception as error:
        heard.put_nowait(error)


async def _close(inner: RecognitionStream) -> None:
    """An engine that hangs must not hold up the next one."""
    try:
        async with asyncio.timeout(2.0):
            await inner.aclose()
    except Exception:  # noqa: S110 - it failed already, and was said to have
        pass


def _named(error: BaseException, choice: str) -> BaseException:
    return SpeechError(f"The engine {choice} did not answer in time.") if isinstance(error, TimeoutError) else error
