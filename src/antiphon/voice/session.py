"""READ FIRST. One spoken session: a person, a line to them, and everything between their words and ours.

    transport -> line -> turn_taking -> listening (recogniser)
                              |              |
                              v              v
                            turns  <----  words            turns -> threads/live: rows, tools, approvals
                              |
                              v
    transport <- line <- playout <- speaking (voice)       transcript -> telling: events, stored segments

`service` makes sessions and ends them. A session outlives its transport: a browser that lost its connection comes back
within `reconnect_seconds`, also to another process, which then carries the session on from what is stored of it.
Whatever ends a session, it leaves no task, no socket and no engine behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from antiphon.config.voice import VoiceSettings
from antiphon.domain.clock import Clock
from antiphon.domain.errors import NotFound
from antiphon.domain.events import Bus
from antiphon.domain.speech import SpeechToText, TextToSpeech
from antiphon.domain.voice import EndReason, VoiceRecord, VoiceSession, VoiceStore
from antiphon.telemetry import metrics
from antiphon.threads.approvals import Approvals
from antiphon.threads.live import LiveTurns
from antiphon.voice.line import Line
from antiphon.voice.listening import Listening
from antiphon.voice.playout import Playout
from antiphon.voice.recording import Recording
from antiphon.voice.speaking import Speaking
from antiphon.voice.spoken import Spoken
from antiphon.voice.telling import Teller
from antiphon.voice.transcript import Transcript
from antiphon.voice.transports.transport import RATE, Transport
from antiphon.voice.turn_taking import Parts, TurnTaking
from antiphon.voice.turns import Turns

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every session of a process shares."""

    settings: VoiceSettings
    store: VoiceStore
    live: LiveTurns
    approvals: Approvals
    bus: Bus
    clock: Clock
    stt: SpeechToText
    tts: TextToSpeech
    detector: Callable[[], Any]
    """Makes what decides that a person is done."""


class Session:
    """One conversation. `ended` is called once when everything of it is freed."""

    def __init__(
        self,
        session: VoiceSession,
        around: Surroundings,
        *,
        name: str,
        language: str,
        recording: Recording | None,
        ended: Callable[[Session], None],
        before: VoiceRecord | None = None,
    ) -> None:
        """`name` is the person's; `language` is what is spoken.

        `before` is what was said already, in another process that has let the session go.
        """
        self.row = session
        self._around = around
        self._name = name
        self._language = language
        self._recording = recording
        self._ended = ended
        self._before = before
        self._loop = asyncio.get_running_loop()
        self._muted = False
        self._held: bool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last = self._loop.time()
        self._away_since: float | None = self._last
        self._ending: asyncio.Task[None] | None = None
        self._on_end: list[Callable[[], None]] | None = []
        self.moved = False
        """Whether another process has been given it."""
        self.over = asyncio.Event()
        """Set when everything is freed."""

    async def start(self) -> None:
        """Be ready for a transport. Raises what the engines raise; nothing is left then."""
        around, row, before = self._around, self.row, self._before
        detector = around.detector()
        self._teller = Teller(around.bus, row.key)
        self._transcript = Transcript(
            self._teller,
            around.store,
            around.clock,
            session=row.key,
            identity=row.identity or self._name,
            after=max((segment.number for segment in before.segments), default=0) if before else 0,
        )
        self._taking = TurnTaking(
            around.settings,
            language=self._language,
            detector=detector,
            activity=self._active,
            failed=lambda: self.end(EndReason.FAILED),
        )
        self._line = Line(heard=self._hear, said=self._said, changed=self._line_changed)
        self._playout = Playout(self._line, started=self._taking.sounded, finished=self._heard_out)
        listening = Listening(around.stt, language=self._language, failed=self._trouble)
        speaking = Speaking(
            around.tts,
            language=self._language,
            voice=row.voice,
            played=lambda spoken: self._heard_of(spoken) / RATE,
            failed=self._trouble,
        )
        turns = Turns(
            row,
            live=around.live,
            approvals=around.approvals,
            bus=around.bus,
            clock=around.clock,
            transcript=self._transcript,
            teller=self._teller,
            name=self._name,
            language=self._language,
            say=self._taking.say,
            heard=self._heard_of,
            after=max((times.turn for times in before.turns), default=0) if before else 0,
        )
        self._parts = Parts(turns, self._transcript, listening, speaking, self._playout)
        turns.follow()
        try:
            if before is not None:
                await turns.recall()
            await self._taking.start(self._parts)
        except BaseException:
            await self._free()
            await self._teller.aclose()
            raise
        metrics.VOICE_SESSIONS.labels(transport=row.transport).inc()
        self._timer = self._loop.call_later(1.0, self._look)
        log.info("voice.started", session=row.key, transport=row.transport)

    def _heard_of(self, spoken: Spoken) -> int:
        """Samples of an answer that the person has heard by now."""
        return self._playout.heard if self._playout.active is spoken else spoken.heard_samples

    def on_end(self, deed: Callable[[], None]) -> None:
        """Do something when the session ends; at once when it has."""
        if self._on_end is None:
            deed()
        else:
            self._on_end.append(deed)

    @property
    def connected(self) -> bool:
        """Whether a transport carries it now."""
        return self._line.open

    @property
    def ending(self) -> bool:
        """Whether it is on its way out, or over."""
        return self._ending is not None

    @property
    def state(self) -> str:
        """What the agent does now: listening, thinking, speaking or waiting."""
        return self._taking.state

    async def connect(self, transport: Transport) -> None:
        """Be carried by this transport from now on."""
        if self._ending is None:
            await self._line.connect(transport)
        if self._ending is not None:  # perhaps meanwhile: nobody would close it any more
            await transport.aclose()
            await self._line.disconnect()

    def control(self, message: Mapping[str, Any]) -> None:
        """What the person's side says beside the sound."""
        match message.get("type"):
            case "mute":
                self._muted = bool(message.get("muted", True))
            case "ptt":
                self._held = bool(message.get("down", False))
            case _:
                return
        if self._muted or self._held is False:
            self._taking.hushed()
        self._active()

    def tell_state(self) -> None:
        """Tell what the agent does now, for somebody who has just begun to listen."""
        self._transcript.tell("state", state=self.state)

    def end(self, reason: EndReason, *, told: bool = False) -> asyncio.Task[None]:
        """End it. Returns the one task that does; twice is once. `told`: whoever ended its row has told so."""
        return self._farewell(lambda recorded: self._ended_for(reason, recorded, told))

    def let_go(self, taker: str) -> asyncio.Task[None]:
        """Free everything here, and let the process `taker` carry it on. Nothing happens when it ends already."""
        return self._farewell(lambda recorded: self._handed_to(taker, recorded))

    def _farewell(self, farewell: Callable[[bool], None]) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(farewell), name=f"voice-end-{self.row.key}")
        return self._ending

    def _ended_for(self, reason: EndReason, recorded: bool, told: bool) -> None:
        self._teller.do(lambda: self._around.store.end(self.row.key, reason, recording=recorded))
        if not told:
            self._transcript.tell("ended", reason=reason.value)
        metrics.VOICE_ENDED.labels(reason=reason.value).inc()
        log.info("voice.ended", session=self.row.key, reason=reason.value)

    def _handed_to(self, taker: str, recorded: bool) -> None:
        self.moved = True
        # Behind everything that is to be stored, so that the other process finds it.
        self._teller.do(lambda: self._around.store.hand(self.row.key, self.row.owner, taker, recording=recorded))
        log.info("voice.handed_over", session=self.row.key)

    async def _end(self, farewell: Callable[[bool], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            deeds, self._on_end = self._on_end or [], None
            for deed in deeds:
                await self._freed(_done(deed), "what was to be done at the end")
            await self._free()
            self._transcript.close_all()
            recorded = False
            if self._recording is not None:
                recorded = bool(await self._freed(self._recording.aclose(), "recording"))
            farewell(recorded)
            await self._freed(self._teller.done(), "telling")
            if recorded:
                await self._freed(self._drop_what_was_deleted(), "recording")
            await self._freed(self._line.disconnect(), "line")
            await self._teller.aclose()
        finally:
            metrics.VOICE_SESSIONS.labels(transport=self.row.transport).dec()
            self.over.set()
            self._ended(self)

    async def _free(self) -> None:
        """Everything that listens, thinks and speaks."""
        await self._freed(self._taking.aclose(), "engine")
        await self._freed(self._playout.aclose(), "playout")
        await self._freed(self._parts.listening.aclose(), "recogniser")
        await self._freed(self._parts.turns.aclose(), "turns")

    async def _drop_what_was_deleted(self) -> None:
        """A session that was deleted while it went on, with its person, leaves no sound of them."""
        try:
            await self._around.store.get(self.row.key, self.row.person)
        except NotFound:
            if self._recording is not None:
                await self._recording.drop()

    async def _freed(self, deed: Awaitable[T], what: str) -> T | None:
        """One part of ending. Whatever it does, the others are freed too."""
        try:
            async with asyncio.timeout(6):
                return await deed
        except TimeoutError:
            log.error("voice.not_freed_in_time", part=what, session=self.row.key)
        except Exception:
            log.exception("voice.not_freed", part=what, session=self.row.key)
        return None

    # --- sound --------------------------------------------------------------------------------------------------------

    def _hear(self, pcm: bytes) -> None:
        if self._muted or self._held is False:
            return
        if self._recording is not None:
            self._recording.person(pcm, self._loop.time())
        self._taking.hear(pcm)

    def _said(self, pcm: bytes) -> None:
        if self._recording is not None:
            self._recording.agent(pcm, self._loop.time())

    def _heard_out(self, spoken: Spoken) -> None:
        self._taking.played(spoken)

    def _line_changed(self, there: bool) -> None:
        if there:
            self._away_since = None
            self._playout.reconnected()
        else:
            self._away_since = self._loop.time()
            self._playout.lost()
            self._taking.interrupt()
            self._muted, self._held = False, None

    # --- time ---------------------------------------------------------------------------------------------------------

    def _active(self) -> None:
        self._last = self._loop.time()

    def _look(self) -> None:
        """Once a second: has everybody gone, or gone to sleep?"""
        now, settings = self._loop.time(), self._around.settings
        self._timer = self._loop.call_later(1.0, self._look)
        if self._away_since is not None and now - self._away_since > settings.reconnect_seconds:
            self.end(EndReason.LEFT)
        elif now - self._last > settings.idle_minutes * 60:
            self.end(EndReason.IDLE)

    def _trouble(self, code: str, words: str) -> None:
        self._transcript.tell("error", code=code, message=words)


async def _done(deed: Callable[[], None]) -> None:
    deed()
