"""One caller's stream of audio on its way through an engine, whatever protocol it came by.

The stream is cut into utterances, each of which gets its final. No more is taken than the engine keeps up with, so that
what waits here is bounded and the protocol slows the caller down; whoever does nothing for too long is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import RecognitionStream, SpeechToText, Transcript
from antiphon.speech.incoming import Incoming
from antiphon.speech.utterances import Utterances

_OWED = 2
"""Utterances that may wait for their finals before more is taken."""
_LOOK_SECONDS = 0.5
_TURN_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Heard:
    """A transcript with the seconds of the stream at which its audio begins, and up to which it was heard."""

    transcript: Transcript
    begins: float
    ends: float


@dataclass(slots=True)
class _Owed:
    """An utterance that has no final yet."""

    begins: float
    ends: float
    since: float


class Dictation:
    """Listens to one stream. `said` is given each transcript, and may take its time.

    `listen`, which `run` is given, calls `hear` with audio as `incoming` takes it, until there is no more.
    """

    def __init__(
        self,
        engine: SpeechToText,
        settings: SpeechServiceSettings,
        said: Callable[[Heard], Awaitable[None]],
        incoming: Incoming,
        *,
        language: str = "",
        hints: Sequence[str] = (),
        pause: float | None = None,
        interim: bool = True,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._tell = said
        self._incoming = incoming
        self._language = language
        self._hints = hints
        self._interim = interim
        self._utterances = Utterances(pause=pause or settings.pause_seconds, longest=settings.utterance_seconds)
        self._stream: RecognitionStream | None = None
        self._owed: deque[_Owed] = deque()
        self._paid = asyncio.Event()
        self._heard_all = False
        self._moved = self._telling = 0.0
        self._latest = ""

    @property
    def position(self) -> float:
        """Seconds of audio that were taken."""
        return self._utterances.position

    async def run(self, listen: Callable[[], Awaitable[None]]) -> None:
        """Until the caller has sent everything and was told every final. Cancelling it frees the engine."""
        self._moved = self._now()
        async with aclosing(self._engine.stream(language=self._language, hints=self._hints)) as stream:
            self._stream = stream
            tasks = {
                asyncio.create_task(self._listen(listen), name="service listening"),
                asyncio.create_task(self._answer(stream), name="service answering"),
            }
            try:
                waiting = set(tasks)
                while waiting:
                    done, waiting = await asyncio.wait(
                        waiting, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        task.result()
                    if self._heard_all and not self._owed:
                        return
                    if waiting:
                        self._look()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def hear(self, audio: bytes) -> None:
        """Take audio; waits while the engine is behind. Much of it at once is taken in turns with other callers."""
        self._moved = self._now()
        for at in range(0, len(audio), _TURN_BYTES):
            if at:
                await asyncio.sleep(0)
            piece = audio[at : at + _TURN_BYTES] if len(audio) > _TURN_BYTES else audio
            await self._hand_on(self._utterances.feed(self._incoming.process(piece)))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _look(self) -> None:
        """End a call in which somebody does nothing any more."""
        now, settings = self._now(), self._settings
        if self._telling and now - self._telling > settings.idle_seconds:
            raise TimeoutError("What was answered is not read.")
        if not self._telling and self._owed and now - self._owed[0].since > settings.answer_seconds:
            raise SpeechError("The engine did not answer in time.")
        if not self._owed and now - self._moved > settings.idle_seconds:
            raise TimeoutError("No audio was sent.")

    async def _listen(self, listen: Callable[[], Awaitable[None]]) -> None:
        await listen()
        await self._hand_on(self._utterances.feed(self._incoming.flush()))
        await self._hand_on(self._utterances.finish())
        self._heard_all = True

    async def _hand_on(self, pieces: Iterable[bytes | None]) -> None:
        stream = self._stream
        assert stream is not None  # noqa: S101 - `run` has begun
        for piece in pieces:
            if piece is not None:
                stream.push(piece)
                continue
            stream.end_utterance()
            self._owed.append(_Owed(self._utterances.begins, self._utterances.position, self._now()))
            while len(self._owed) >= _OWED:
                self._paid.clear()
                await self._paid.wait()

    async def _answer(self, stream: RecognitionStream) -> None:
        async for transcript in stream:
            if transcript.final:
                await self._say_final(transcript)
                if self._heard_all and not self._owed:
                    return
            elif self._interim and transcript.text and transcript.text != self._latest:
                self._latest = transcript.text
                begins = self._owed[0].begins if self._owed else self._utterances.begins
                await self._say(Heard(transcript, begins, self.position))
        if not self._heard_all or self._owed:
            raise SpeechError("The engine stopped listening.")

    async def _say_final(self, transcript: Transcript) -> None:
        owed = self._owed[0] if self._owed else None
        if transcript.text:
            begins, ends = (owed.begins, owed.ends) if owed else (self._utterances.begins, self.position)
            await self._say(Heard(transcript, begins, ends))
        self._latest = ""
        self._moved = self._now()
        if owed is not None:
            self._owed.popleft()
        if self._owed:  # whose time begins when it is the engine's turn to hear it
            self._owed[0].since = self._moved
        self._paid.set()

    async def _say(self, heard: Heard) -> None:
        self._telling = self._now()
        await self._tell(heard)
        self._telling = 0.0
