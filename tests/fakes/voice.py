"""Everything a spoken session needs, in memory: stores, a transport with a virtual ear, speech to feed it with."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.bus.memory import MemoryBus
from antiphon.config import Settings
from antiphon.domain.approvals import Approval, ApprovalState, ApproverRule, PauseRequest
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.errors import Conflict, Forbidden, NotFound
from antiphon.domain.events import BusEvent, voice_topic
from antiphon.domain.identity import Requester
from antiphon.domain.speech import SpeechToText, TextToSpeech
from antiphon.domain.turns import Brain, Final, Paused, TextDelta, TurnRequest
from antiphon.domain.voice import Begun, EndReason, NewVoiceSession, Segment, TurnTimes, VoiceRecord, VoiceSession
from antiphon.domain.work import Lease, Outcome, Pause, Work
from antiphon.threads.live import LiveTurns
from antiphon.voice.service import VoiceSessions, Wish
from antiphon.voice.transports.transport import FRAME_BYTES, RATE
from tests.fakes.brain import ScriptedBrain, Step

PERSON = 7
ANSWER = "It is noon and sunny today."


class FakeVoiceStore:
    """Implements `domain.voice.VoiceStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rooms: dict[str, int] = {}
        self.sessions: dict[str, VoiceSession] = {}
        self.kept: dict[str, dict[int, Segment]] = {}
        self.turns: dict[str, dict[int, TurnTimes]] = {}
        self.broken: Exception | None = None
        self.leases: dict[str, datetime] = {}
        self.went: list[str] = []
        """Processes that gave their lease back."""

    async def claim_room(self, room: str, person: int) -> None:
        if self.rooms.setdefault(room, person) != person:
            raise NotFound("There is no such room.")

    async def begin(self, session: NewVoiceSession) -> Begun:
        await self.claim_room(session.room, session.person)
        if session.owner:
            await self.keep(session.owner, session.lease_seconds)
        going_on = [row.key for row in self.sessions.values() if row.room == session.room and row.ended_at is None]
        row = VoiceSession(
            key=session.key,
            room=session.room,
            person=session.person,
            identity=session.identity,
            channel=session.channel,
            transport=session.transport,
            language=session.language,
            voice=session.voice,
            system_prompt=session.system_prompt,
            started_at=self._clock.now(),
            owner=session.owner,
        )
        self.sessions[session.key] = row
        self.kept[session.key], self.turns[session.key] = {}, {}
        return Begun(row, tuple(going_on))

    async def get(self, key: str, person: int) -> VoiceSession:
        row = self.sessions.get(key)
        if row is None or row.person != person:
            raise NotFound("There is no such spoken session.")
        return row

    async def record(self, key: str, person: int) -> VoiceRecord:
        row = await self.get(key, person)
        return VoiceRecord(row, tuple(await self.segments(key, 0)), tuple(self.turns[key].values()))

    async def segments(self, key: str, after: int) -> Sequence[Segment]:
        return [segment for number, segment in sorted(self.kept.get(key, {}).items()) if number > after]

    async def add_segment(self, key: str, segment: Segment) -> None:
        if self.broken is not None:
            raise self.broken
        if key in self.kept:
            self.kept[key][segment.number] = segment

    async def add_turn(self, key: str, times: TurnTimes) -> None:
        if key in self.turns:
            self.turns[key][times.turn] = times

    async def end(self, key: str, reason: EndReason, *, recording: bool) -> None:
        if (row := self.sessions.get(key)) is None:
            return
        if row.ended_at is None:
            row = replace(row, ended_at=self._clock.now(), reason=reason)
        self.sessions[key] = replace(row, recording=row.recording or recording)

    async def keep(self, owner: str, seconds: float) -> Sequence[str]:
        self.leases[owner] = self._clock.now() + timedelta(seconds=seconds)
        return [row.key for row in self._open() if row.owner == owner]

    async def leave(self, owner: str) -> None:
        del self.leases[owner]
        self.went.append(owner)

    async def hand(self, key: str, giver: str, taker: str, *, recording: bool) -> bool:
        row = self.sessions[key]
        if row.ended_at is not None or row.owner != giver:
            return False
        self.sessions[key] = replace(row, owner=taker, recording=row.recording or recording)
        return True

    def _open(self) -> list[VoiceSession]:
        return [row for row in self.sessions.values() if row.ended_at is None]

    async def known(self, keys: Collection[str]) -> Collection[str]:
        return {key for key in keys if key in self.sessions}

    async def end_forgotten(self, *, owners_are_gone: bool = False) -> Sequence[str]:
        living = {owner for owner, until in self.leases.items() if until > self._clock.now() and not owners_are_gone}
        forgotten = [row.key for row in self._open() if row.owner not in living]
        for key in forgotten:
            await self.end(key, EndReason.CRASHED, recording=False)
        return forgotten

    async def delete(self, key: str, person: int) -> None:
        await self.get(key, person)
        del self.sessions[key], self.kept[key], self.turns[key]


class FakeLive:
    """Implements `domain.work.LiveStore` and what `threads.live` uses of `TaskStore`."""

    def __init__(self) -> None:
        self.begun: list[InboundMessage] = []
        self.finished: list[Outcome] = []
        self.paused: list[Pause] = []
        self.given_back: list[int] = []
        self.log: list[str] = []
        self.busy: list[Exception] = []
        self.approvals: Sequence[Approval] = ()

    async def begin(self, message: InboundMessage, owner: str, lease_seconds: float) -> Work:
        if self.busy:
            raise self.busy.pop(0)
        self.begun.append(message)
        task = len(self.begun)
        self.log.append(f"begin {task}")
        return Work(
            lease=Lease(task, owner, 1),
            channel=message.channel,
            thread=1,
            message=task,
            text=message.text,
            requester=Requester(message.person or 0, "web", message.channel),
        )

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        self.finished.append(outcome)
        self.log.append(f"finish {lease.task}")

    async def pause(self, lease: Lease, pause: Pause) -> Sequence[Approval]:
        self.paused.append(pause)
        self.log.append(f"pause {lease.task}")
        return self.approvals

    async def give_back(self, owner: str, tasks: Sequence[int]) -> None:
        self.given_back.extend(tasks)

    async def renew(self, owner: str, tasks: Sequence[int], lease_seconds: float) -> Mapping[int, bool]:
        return dict.fromkeys(tasks, False)


class FakeApprovals:
    """What a session uses of `threads.approvals.Approvals`."""

    def __init__(self) -> None:
        self.decided: list[tuple[int, int, bool]] = []
        self.known: dict[int, Approval] = {}
        self.forbidden = False

    async def pending(self, who: Requester, channel: str | None = None) -> Sequence[Approval]:
        return list(self.known.values())

    async def decide(self, approval_id: int, who: Requester, *, approve: bool) -> Approval:
        if self.forbidden:
            raise Forbidden("This approval is not yours to answer.")
        if approval_id not in self.known:
            raise Conflict("decided")
        self.decided.append((approval_id, who.person, approve))
        state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
        return replace(self.known.pop(approval_id), state=state)


class Ear:
    """A transport in memory: `say` speaks to the session in real time, `heard` is what came back and was played.

    With `reports` it tells what it has played like a browser does, else it is taken to play at once.
    """

    name = "embedded"

    def __init__(self) -> None:
        self.heard = bytearray()
        self.events: list[dict[str, Any]] = []
        self.cleared: list[float] = []
        self.first_sound: list[float] = []
        self.late = 0.0
        """Seconds by which a busy machine kept this ear from speaking in time, all frames together."""
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._until = 0.0
        self._written = 0
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        return

    async def receive(self) -> bytes | None:
        return await self._frames.get()

    def hear(self, pcm: bytes) -> None:
        """A frame of the person's microphone."""
        self._frames.put_nowait(pcm)

    async def write(self, pcm: bytes) -> None:
        now = self._loop.time()
        if now > self._until:
            self.first_sound.append(now)
        self._until = max(self._until, now) + len(pcm) / 2 / RATE
        self._written += len(pcm) // 2
        self.heard += pcm

    def clear(self) -> None:
        ahead = max(0, self._written - self.played)
        if ahead:
            del self.heard[-2 * ahead :]
        self._written = self.played
        self._until = 0.0
        self.cleared.append(self._loop.time())

    @property
    def played(self) -> int:
        ahead = max(0.0, self._until - self._loop.time())
        return max(0, self._written - round(ahead * RATE))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(dict(event))

    @property
    def closed(self) -> asyncio.Event:
        return self._closed

    async def aclose(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._frames.put_nowait(None)

    def hang_up(self) -> None:
        self._closed.set()
        self._frames.put_nowait(None)

    async def say(self, pcm: bytes, *, then: float = 0.0) -> float:
        """Speak, then stay silent for `then` seconds; returns the loop's time of the last sample."""
        began, number = self._loop.time(), 0
        end = 0.0
        for sound, seconds in ((pcm, None), (b"", then)):
            whole = sound + bytes(-len(sound) % FRAME_BYTES) if seconds is None else bytes(round(seconds * 50) * 640)
            for at in range(0, len(whole), FRAME_BYTES):
                self._frames.put_nowait(whole[at : at + FRAME_BYTES])
                number += 1
                if (wait := began + number * 0.02 - self._loop.time()) > 0:
                    await asyncio.sleep(wait)
                self.late += max(0.0, self._loop.time() - began - number * 0.02 - 0.005)
            if seconds is None:
                end = self._loop.time()
        return end

    async def silence(self, seconds: float) -> None:
        """Say nothing, as a microphone does."""
        await self.say(b"", then=seconds)

    @property
    def energy(self) -> float:
        """How loud what was heard is, on average."""
        sound = np.frombuffer(bytes(self.heard), np.int16).astype(np.float64)
        return float(np.sqrt((sound**2).mean())) if len(sound) else 0.0


class Heard:
    """The events of a session, as they are told on the bus."""

    def __init__(self, bus: MemoryBus, session: str) -> None:
        self.events: list[BusEvent] = []
        self._bus = bus
        self._session = session
        self._listening = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async with self._bus.subscribe(voice_topic(self._session)) as events:
            self._listening.set()
            async for event in events:
                self.events.append(event)

    async def ready(self) -> None:
        await self._listening.wait()

    def named(self, name: str) -> list[dict[str, object]]:
        return [event.payload for event in self.events if event.name == name]

    def final(self, role: str = "") -> list[str]:
        said = [one for one in self.named("transcript") if one["final"] and role in ("", one["role"])]
        return [str(one["text"]) for one in said]

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


class Voices:
    """`VoiceSessions` over fakes, for tests: those of a process that is alone, or of one `beside` others."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        brain: Brain,
        stt: SpeechToText,
        tts: TextToSpeech,
        *,
        owner: str = "",
        beside: Voices | None = None,
        load: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self.store = beside.store if beside else FakeVoiceStore(clock)
        self.live = beside.live if beside else FakeLive()
        self.approvals = beside.approvals if beside else FakeApprovals()
        self.bus = beside.bus if beside else MemoryBus(clock)
        self.service = VoiceSessions(
            settings,
            store=self.store,
            live=LiveTurns(
                store=self.live,
                tasks=self.live,  # type: ignore[arg-type]
                brain=brain,
                lease_seconds=30,
                message_chars=1000,
            ),
            approvals=self.approvals,  # type: ignore[arg-type]
            bus=self.bus,
            clock=clock,
            speech=lambda: (stt, tts),
            name_of=self._name,
            load=load,
            owner=owner,
        )

    async def _name(self, person: int) -> str:
        return "Ada"

    def forget(self) -> None:
        """Drop what a database would hold of sessions that are over."""
        store, live = self.store, self.live
        for kept in (store.rooms, store.sessions, store.kept, store.turns):
            kept.clear()
        for said in (live.begun, live.finished, live.paused, live.given_back, live.log):
            said.clear()

    async def talk(self, room: str = "r1", person: int = PERSON, **wish: str) -> tuple[Any, Ear, Heard]:
        """A session with an ear at the other end."""
        session = await self.service.start(person, Wish(room, "ada", **wish))
        heard = Heard(self.bus, session.row.key)
        await heard.ready()
        ear = Ear()
        await session.connect(ear)
        return session, ear, heard


def answers(text: str = ANSWER) -> ScriptedBrain:
    """A brain that says this, word by word."""
    return ScriptedBrain(lambda _: [*(TextDelta(f"{word} ") for word in text.split()), Final(text)])


def an_approval(number: int = 9) -> Approval:
    now = datetime.now(UTC)
    return Approval(
        number, 1, "web:voice:r1", "call-1", "memory.forget_all", {}, "0" * 64, "Forget everything about you",
        ApproverRule(), PERSON, ApprovalState.PENDING, now, now + timedelta(minutes=5),
    )  # fmt: skip


def asks(_: TurnRequest) -> list[Step]:
    """A brain's turn that needs an approval."""
    request = PauseRequest(
        "call-1", "memory.forget_all", {}, "0" * 64, "Forget everything about you", ApproverRule(), datetime.now(UTC)
    )
    return [Paused(b"{}", (request,), "")]


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    """A sound that is no speech."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * hertz * at) * 8000).astype("<i2").tobytes()


def wav(path: Path) -> bytes:
    """The samples of a file at the wire's rate."""
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())
