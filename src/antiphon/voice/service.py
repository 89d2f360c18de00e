"""The spoken sessions of this process: rooms, tickets, beginning and ending. What `api` and `run` call.

Where several processes carry sessions, a request may arrive at another one than its session is at; `processes` reaches
across, and a session whose person's sound arrives here is carried on here.

Nothing heavy is imported here. The engine (`session`, and LiveKit's library with it) is loaded in a thread, when the
program has time or with the first session.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.config import Settings
from antiphon.domain.clock import Clock
from antiphon.domain.errors import AntiphonError, InvalidInput, NotFound, Unavailable
from antiphon.domain.events import Bus
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.speech import EngineState, EngineStatus, SpeechToText, TextToSpeech, VoiceInfo
from antiphon.domain.voice import (
    EndReason,
    NewVoiceSession,
    VoiceRecord,
    VoiceSession,
    VoiceStore,
    check_room,
    room_channel,
)
from antiphon.threads.approvals import Approvals
from antiphon.threads.live import LiveTurns
from antiphon.voice.detectors import Detectors, Make, detector_status
from antiphon.voice.later import imported_later
from antiphon.voice.processes import Processes
from antiphon.voice.recording import Recording, Recordings
from antiphon.voice.tickets import Credential, LocalTickets, Ticket, Tickets
from antiphon.voice.transports.livekit_tokens import ENTER_SECONDS, LiveKitAccess
from antiphon.voice.transports.transport import Transport

if TYPE_CHECKING:
    from antiphon.voice.session import Session

log = structlog.stdlib.get_logger(__name__)

ENTER_AT_LEAST = 15.0
"""Seconds a page has for entering a room, whatever `voice.reconnect_seconds` is."""
LOAD_SECONDS = 30.0
"""How long loading an engine may take while somebody waits to talk."""
STATUS_SECONDS = 0.5
SWEEP_SECONDS = 600.0
"""How often recordings are looked for whose sessions are no more."""
_FULL = "Too many people are talking here just now. Try again in a moment."
_STOPPING = "The program is being stopped."
_NO_SESSION = "There is no such session."
_NOT_LET_GO = "The process that carries this session does not answer. Try again in a moment, or begin another one."
_NO_ENGINE = "Nothing to listen and speak with is ready yet. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Pass:
    """What opens the way for a person's sound. `token` is a secret."""

    token: str
    transport: str
    url: str
    expires_in: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody who wants to talk asks for. `identity` is a label."""

    room: str
    identity: str
    language: str = ""
    voice: str = ""
    system_prompt: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen here."""

    voices: Sequence[VoiceInfo]
    stt: str
    tts: str
    turns: EngineStatus
    """What decides that a person is done; not ready when silence alone decides in its stead."""
    transport: str


class VoiceSessions:
    """Every session of this process."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: VoiceStore,
        live: LiveTurns,
        approvals: Approvals,
        bus: Bus,
        clock: Clock,
        speech: Callable[[], tuple[SpeechToText, TextToSpeech]],
        name_of: Callable[[int], Awaitable[str]],
        check_language: Callable[[str], None] = lambda language: None,
        load: Callable[[str], Awaitable[object]] | None = None,
        owner: str = "",
        tickets: Tickets | None = None,
    ) -> None:
        """`speech` makes the engines, cheaply; it is called once. `name_of` gives what a person is called.

        `check_language` raises `InvalidInput` for a language that the engines do not know, `load` loads those that know
        it, where that is not all the same. `owner` is the name of this
        process where others may carry sessions too, and "" where it is alone. `tickets` are those that all of them
        know; without, this process keeps its own.
        """
        self._settings = settings
        self._store = store
        self._live = live
        self._approvals = approvals
        self._bus = bus
        self._clock = clock
        self._make_speech = speech
        self._name_of = name_of
        self._check_language = check_language
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._speech: tuple[SpeechToText, TextToSpeech] | None = None
        self._sessions: dict[str, Session] = {}
        self._rooms: dict[str, str] = {}
        self._opening: dict[str, EndReason | None] = {}
        """What is being opened, and why it is to end at once."""
        self._taking: dict[str, asyncio.Task[Session]] = {}
        self._loading: asyncio.Task[Any] | None = None
        self._detectors = Detectors()
        self._closed = False
        self._beside: set[asyncio.Task[Any]] = set()
        self.recordings = Recordings(settings.data_dir)
        self.tickets = tickets or LocalTickets(self._loop.time, seconds=settings.voice.ticket_seconds)
        self._processes = (
            Processes(store, bus, _Here(self), owner=owner, lease_seconds=settings.voice.lease_seconds)
            if owner
            else None
        )

    # --- what the API calls -------------------------------------------------------------------------------------------

    async def token(self, person: int, room: str, identity: str, name: str, *, credential: Credential = ()) -> Pass:
        """A way in for a person's sound. The room becomes theirs; `NotFound` when it is somebody else's.

        `credential` is kept with a ticket (`voice.tickets`).
        """
        check_room(room)
        await self._store.claim_room(room, person)
        livekit = self._settings.livekit
        if livekit.url:
            return self._room_pass(room, identity, name)
        ticket = await self.tickets.issue(Ticket(person, room, credential))
        return Pass(ticket, "embedded", "/ws/voice/", self._settings.voice.ticket_seconds)

    def _room_pass(self, room: str, identity: str, name: str) -> Pass:
        token = self._access.person_token(room, identity, name)
        return Pass(token, "livekit", self._settings.livekit.browser_url, ENTER_SECONDS)

    @property
    def _access(self) -> LiveKitAccess:
        livekit = self._settings.livekit
        return LiveKitAccess(livekit.url, livekit.api_key, livekit.api_secret.get_secret_value())

    async def start(self, person: int, wish: Wish, *, carrier: str = "") -> Session:
        """Begin a session. One that goes on in the same room ends: its owner speaks from elsewhere now.

        With `carrier`, the caller connects a transport of that name; else the settings say what carries it.
        """
        check_room(wish.room)
        if self._closed:
            raise Unavailable(_STOPPING)
        self._check_language(wish.language)  # now, and not when somebody speaks and is not understood
        await self._store.claim_room(wish.room, person)
        if (earlier := self._sessions.get(self._rooms.get(wish.room, ""))) is not None:
            await asyncio.wait({earlier.end(EndReason.REPLACED)})
        if len(self._sessions) >= self._settings.voice.sessions:
            raise Unavailable(_FULL)
        means = await self._means(wish.language)
        if self._processes is not None:
            self._processes.start()
        beginning = asyncio.create_task(self._begin(person, wish, carrier, means), name="voice-begin")
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:  # whoever asked has gone; half a session cannot be taken back, a whole one can
            self._beside_all(self._end_unasked(beginning), "voice-unasked")
            raise

    async def _end_unasked(self, beginning: asyncio.Task[Session]) -> None:
        await asyncio.wait({beginning})
        if not beginning.cancelled() and beginning.exception() is None:
            await asyncio.wait({beginning.result().end(EndReason.LEFT)})

    async def _begin(self, person: int, wish: Wish, carrier: str, means: _Means) -> Session:
        begun = await self._store.begin(
            NewVoiceSession(
                key=secrets.token_hex(12),
                room=wish.room,
                person=person,
                identity=wish.identity,
                channel=room_channel(wish.room),
                transport=carrier or ("livekit" if self._settings.livekit.url else "embedded"),
                language=wish.language,
                voice=wish.voice,
                system_prompt=wish.system_prompt,
                owner=self._processes.owner if self._processes else "",
                lease_seconds=self._processes.lease_seconds if self._processes else 0.0,
            )
        )
        return await self._opened(begun.session, means, earlier=begun.earlier)

    async def take(self, row: VoiceSession, begun: Callable[[Session], None]) -> Session:
        """Carry on here what another process carries: the person's sound has arrived here. `begun` is called once.

        Raises `NotFound` when it is over, `Unavailable` when it cannot be had now.
        """
        if self._processes is None or row.ended_at is not None or row.transport != "embedded":
            raise NotFound(_NO_SESSION)
        taking = self._taking.get(row.key)
        if taking is None:
            taking = self._taking[row.key] = asyncio.create_task(
                self._take(self._processes, row, begun), name=f"voice-take-{row.key}"
            )
            taking.add_done_callback(lambda _: self._taking.pop(row.key, None))
            taking.add_done_callback(_seen)
        return await asyncio.shield(taking)

    async def _take(self, processes: Processes, row: VoiceSession, begun: Callable[[Session], None]) -> Session:
        if self._closed or len(self._sessions) >= self._settings.voice.sessions:
            raise Unavailable(_STOPPING if self._closed else _FULL)
        means = await self._means(row.language)
        processes.start()
        taken = await processes.take(row.key, row.person)
        if taken is None:
            if (await self._store.get(row.key, row.person)).ended_at is not None:
                raise NotFound(_NO_SESSION)
            raise Unavailable(_NOT_LET_GO)
        log.info("voice.taken_over", session=row.key)
        session = await self._opened(taken, means, go_on=True)
        begun(session)
        return session

    async def _means(self, language: str) -> _Means:
        """Everything that a session needs of this process, loaded."""
        module = await self._engine()
        stt, tts = await self._engines(language)
        _, detector = await self._detectors.ready(self._settings.voice.turn_detection, self._settings.models_path)
        return _Means(module, stt, tts, detector)

    async def _opened(
        self, row: VoiceSession, means: _Means, *, earlier: Sequence[str] = (), go_on: bool = False
    ) -> Session:
        """The session of a row that is this process's. With `go_on` some of it was said elsewhere."""
        self._opening[row.key] = None
        try:
            for key in earlier:
                await self._end(key, row.person, EndReason.REPLACED)
            before = await self._store.record(row.key, row.person) if go_on else None
            return await self._open(row, means, before)
        except BaseException:
            with contextlib.suppress(AntiphonError):
                await self._store.end(row.key, EndReason.FAILED, recording=False)
            raise
        finally:
            del self._opening[row.key]

    async def _open(self, row: VoiceSession, means: _Means, before: VoiceRecord | None) -> Session:
        settings = self._settings.voice
        around = means.module.Surroundings(
            settings=settings,
            store=self._store,
            live=self._live,
            approvals=self._approvals,
            bus=self._bus,
            clock=self._clock,
            stt=means.stt,
            tts=means.tts,
            detector=means.detector,
        )
        path = self.recordings.path(row.key)
        session: Session = means.module.Session(
            row,
            around,
            name=await self._name_of(row.person),
            language=row.language or self._settings.speech.language,
            recording=Recording(path, self._loop.time()) if settings.record else None,
            ended=self._forget,
            before=before,
        )
        # In a task of its own: the library leaves marks in the context it is started in.
        await asyncio.create_task(session.start(), name=f"voice-start-{row.key}")
        # Looked at before all this took time, and others began meanwhile.
        if (unwanted := self._opening[row.key]) is not None:
            await asyncio.wait({session.end(unwanted)})
            return session
        if self._closed or len(self._sessions) >= settings.sessions:
            await asyncio.wait({session.end(EndReason.SHUTDOWN if self._closed else EndReason.FAILED)})
            raise Unavailable(_STOPPING if self._closed else _FULL)
        self._sessions[row.key] = session
        self._rooms[row.room] = row.key
        if row.transport == "livekit":
            try:
                await self._carry_by_room(session)
            except AntiphonError:
                await asyncio.wait({session.end(EndReason.FAILED)})
                raise
        return session

    async def _carry_by_room(self, session: Session) -> None:
        """The agent enters the room. Nobody can bring another transport there, so the session ends with this one."""
        from antiphon.voice.transports.livekit import LiveKitTransport

        row = session.row
        transport = LiveKitTransport(
            self._access,
            room=row.room,
            person=row.identity,
            session=row.key,
            patience=max(ENTER_AT_LEAST, self._settings.voice.reconnect_seconds),
            control=session.control,
        )

        async def end_with_it() -> None:
            await transport.closed.wait()
            session.end(EndReason.LEFT)

        await session.connect(transport)
        ending = asyncio.create_task(end_with_it(), name=f"voice-room-{row.key}")

        def stop() -> None:
            ending.cancel()

        session.on_end(stop)

    def find(self, key: str, person: int) -> Session | None:
        """A person's session that goes on in this process."""
        session = self._sessions.get(key)
        return session if session is not None and session.row.person == person else None

    async def stop(self, key: str, person: int) -> None:
        """End a session, wherever it goes on; one that is over stays so. `NotFound`."""
        if self.find(key, person) is not None or (await self._store.get(key, person)).ended_at is None:
            await self._end(key, person, EndReason.STOPPED)

    async def _end(self, key: str, person: int, reason: EndReason) -> None:
        if (session := self._sessions.get(key)) is not None:
            await asyncio.wait({session.end(reason)})
            if not session.moved:
                return
        if key in self._opening:
            self._opening[key] = reason
        elif self._processes is not None:
            await self._processes.end(key, person, reason)
        else:
            await self._store.end(key, reason, recording=False)

    async def delete(self, key: str, person: int) -> None:
        """End a session and delete what was said in it, with its recording. `NotFound`."""
        await self.stop(key, person)
        await self._store.delete(key, person)
        await asyncio.to_thread(self.recordings.drop, key)
        if self._processes is not None:
            await self._processes.deleted(key)

    async def tell_state(self, key: str) -> None:
        """Let the state of a session that goes on elsewhere be told to whoever listens."""
        if self._processes is not None:
            await self._processes.ask_state(key)

    async def connect(self, session: Session, transport: Transport) -> None:
        """Carry a session by a transport."""
        await session.connect(transport)

    async def options(self) -> Options:
        """What can be chosen: voices, and which engines do the work."""
        stt, tts = self._both()
        voices: Sequence[VoiceInfo] = ()
        with contextlib.suppress(AntiphonError):
            voices = await tts.voices()
        transport = "livekit" if self._settings.livekit.url else "embedded"
        return Options(voices, stt.name, tts.name, await self._turns(), transport)

    def knows(self, language: str) -> bool:
        """Whether a session may be in this language."""
        try:
            self._check_language(language)
        except InvalidInput:
            return False
        return True

    async def _turns(self) -> EngineStatus:
        return await asyncio.to_thread(detector_status, self._settings.voice.turn_detection, self._settings.models_path)

    async def parts(self) -> list[PartHealth]:
        """The state of live voice, for people."""
        stt, tts = self._both()
        parts = list(await asyncio.gather(_part("listening", stt), _part("speaking", tts)))
        turns = await self._turns()
        if turns.state is not EngineState.READY:
            parts.append(PartHealth("turns", PartState.OFF, f"{turns.name}: {turns.detail}", turns.remedy))
        return parts

    # --- life ---------------------------------------------------------------------------------------------------------

    def replace(self, settings: Settings) -> None:
        """Work by changed settings from now on; sessions that go on stay as they are."""
        self._settings = settings

    @property
    def talking(self) -> int:
        """How many sessions go on here."""
        return len(self._sessions)

    async def keep(self, stop: asyncio.Event) -> None:
        """Until `stop` is set: end what processes that died left open, delete the recordings of what was deleted."""
        if self._processes is not None:
            self._processes.start()
        elif forgotten := await self._store.end_forgotten(owners_are_gone=True):
            log.info("voice.ended_forgotten", sessions=len(forgotten))
        while not stop.is_set():
            try:
                if swept := await self.recordings.sweep(self._store.known):
                    log.info("voice.recordings_swept", recordings=swept)
            except (AntiphonError, OSError) as error:
                log.warning("voice.recordings_not_swept", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await stop.wait()

    async def warm_up(self) -> None:
        """Load what the first session needs of this program. Called when it has nothing better to do.

        The engines are loaded with the first session: they take memory that nobody may ever need.
        """
        try:
            await self._engine()
        except Exception as error:
            log.warning("voice.warm_up_failed", error=type(error).__name__)

    async def aclose(self) -> None:
        """End every session, and the engines."""
        self._closed = True
        if ending := {session.end(EndReason.SHUTDOWN) for session in list(self._sessions.values())}:
            await asyncio.wait(ending, timeout=4.0)
        if self._processes is not None:
            await self._processes.aclose()
        await self.tickets.aclose()
        if others := {*self._taking.values(), *self._beside}:
            await asyncio.wait(others, timeout=1.0)
        if self._loading is not None:
            await asyncio.wait({self._loading})
        await self._detectors.aclose()
        if self._speech is not None:
            for engine in self._speech:
                with contextlib.suppress(Exception):
                    await engine.aclose()

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.row.key, None)
        if self._rooms.get(session.row.room) == session.row.key:
            del self._rooms[session.row.room]

    def _beside_all(self, deed: Coroutine[Any, Any, None], name: str) -> None:
        """Do something that nobody waits for."""
        task = asyncio.create_task(deed, name=name)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _engine(self) -> Any:
        """The module `session`, loaded once."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(_load), name="voice-loading")
        try:
            return await asyncio.shield(self._loading)
        except ImportError as error:
            self._loading = None
            raise Unavailable(
                "Live voice needs the package livekit-agents; .venv/bin/pip install 'antiphon[voice]'."
            ) from error

    def _both(self) -> tuple[SpeechToText, TextToSpeech]:
        if self._speech is None:
            self._speech = self._make_speech()
        return self._speech

    async def _engines(self, language: str) -> tuple[SpeechToText, TextToSpeech]:
        """The engines, loaded. Raises `SpeechError` or `Unavailable`."""
        language = language or self._settings.speech.language
        stt, tts = self._both()
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await (self._load(language) if self._load else asyncio.gather(stt.load(), tts.load()))
        except TimeoutError:
            raise Unavailable(_NO_ENGINE) from None
        return stt, tts


@dataclass(frozen=True, slots=True)
class _Means:
    """What a session is made with."""

    module: Any
    """`voice.session`, which is loaded late."""
    stt: SpeechToText
    tts: TextToSpeech
    detector: Make


class _Here:
    """What other processes may want of the sessions of this one. Implements `processes.Here`."""

    def __init__(self, service: VoiceSessions) -> None:
        self._service = service

    def carried(self) -> Collection[str]:
        service = self._service
        return {*service._opening, *(key for key, session in service._sessions.items() if not session.ending)}

    def end(self, key: str, reason: EndReason) -> None:
        if (session := self._service._sessions.get(key)) is not None:
            session.end(reason)
        elif key in self._service._opening:
            self._service._opening[key] = reason

    def lost(self, key: str) -> None:
        self._service._beside_all(self._end_as_stored(key), f"voice-lost-{key}")

    async def _end_as_stored(self, key: str) -> None:
        reason = EndReason.CRASHED
        if (session := self._service._sessions.get(key)) is None:
            self.end(key, reason)
            return
        with contextlib.suppress(AntiphonError):
            reason = (await self._service._store.get(key, session.row.person)).reason or reason
        session.end(reason, told=True)

    def let_go(self, key: str, taker: str) -> None:
        session = self._service._sessions.get(key)
        if session is not None and session.row.transport == "embedded":
            session.let_go(taker)

    def tell(self, key: str) -> None:
        if (session := self._service._sessions.get(key)) is not None:
            session.tell_state()

    def drop(self, key: str) -> None:
        self._service._beside_all(asyncio.to_thread(self._service.recordings.drop, key), f"voice-drop-{key}")


def _seen(task: asyncio.Task[Any]) -> None:
    """Whoever waited for it may have gone meanwhile: that is no reason to complain."""
    if not task.cancelled():
        task.exception()


def _load() -> Any:
    with imported_later("av", "av.container"):
        from antiphon.voice import session, turn_taking  # late: more than a second of imports

    turn_taking.prepare()
    return session


async def _part(name: str, engine: SpeechToText | TextToSpeech) -> PartHealth:
    """The state of one engine. It is no part that others need, so that nothing is degraded without it."""
    try:
        async with asyncio.timeout(STATUS_SECONDS):
            status = await engine.status()
    except TimeoutError:
        return PartHealth(name, PartState.OFF, f"{engine.name} does not say how it is")
    ready = status.state is EngineState.READY
    detail = f"{status.name}: {status.detail}" if status.detail else status.name
    return PartHealth(name, PartState.OK if ready else PartState.OFF, detail, "" if ready else status.remedy)
