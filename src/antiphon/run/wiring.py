"""The only place that builds objects and connects the parts. Read it to see what the program consists of."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from antiphon.brain.context import ContextSources
from antiphon.brain.models import ModelChoice
from antiphon.brain.paused import SnapshotReader
from antiphon.brain.turn import TurnBrain
from antiphon.bus.memory import MemoryBus
from antiphon.bus.signals import LocalSignals
from antiphon.config import Configuration, Settings
from antiphon.config.experts import RoutingSettings
from antiphon.dashboards.board import Board
from antiphon.dashboards.keeper import Keeper
from antiphon.domain.approvals import Approval
from antiphon.domain.clock import Clock
from antiphon.domain.events import KEY_REVOKED, SESSION_ENDED, Bus, BusEvent
from antiphon.domain.health import PartHealth
from antiphon.domain.identity import Authority, Principal, Requester
from antiphon.domain.panels import PanelStore
from antiphon.domain.personal_data import ErasureReceipt
from antiphon.domain.platforms import Platform
from antiphon.platforms.authorities import PlatformAuthorities
from antiphon.platforms.discord.budget import SharedCounter
from antiphon.platforms.discord.ports import DiscordPorts
from antiphon.platforms.web import WebAuthority, WebPlatform
from antiphon.run.asgi import CONTROL_PLANE, AsgiApp, Door, OnePort
from antiphon.run.banner import SIGN_IN_VALID, banner
from antiphon.run.clock import SystemClock
from antiphon.run.current_brain import CurrentBrain
from antiphon.run.discord_part import DiscordPart
from antiphon.run.live_settings import LiveSettings
from antiphon.run.pages import build_pages
from antiphon.run.probes.storage import list_backups, make_backup
from antiphon.run.probes.trials import Trials
from antiphon.speech.engines import open_speech
from antiphon.store.settings import configure
from antiphon.telemetry.logs import configure_logging, secrets_of
from antiphon.telemetry.recent import Watched
from antiphon.telemetry.redaction import Redactor
from antiphon.telemetry.tracing import start_tracing, stop_tracing
from antiphon.threads.allowance import MeteredBrain
from antiphon.threads.approvals import Approvals
from antiphon.threads.audio import AudioReader
from antiphon.threads.control import TaskControl
from antiphon.threads.inbox import Inbox
from antiphon.threads.live import LiveTurns
from antiphon.threads.moving import ThreadMover
from antiphon.threads.outbox import Outbox, OutboxOptions
from antiphon.threads.retention import Retention
from antiphon.threads.runner import Runner, RunnerOptions
from antiphon.threads.schedule import Scheduler
from antiphon.threads.task_run import TurnParts
from antiphon.tools.builtin.source import BuiltinTools
from antiphon.tools.catalog import Catalog, ToolSource
from antiphon.tools.execute import ToolExecutor
from antiphon.tools.policy import ToolPolicy
from antiphon.voice.service import VoiceSessions
from antiphon.voice.tickets import LocalTickets, Tickets

if TYPE_CHECKING:
    from antiphon.api.services import DemoStage
    from antiphon.store.stores import Stores

log = structlog.stdlib.get_logger(__name__)

VOICE_AFTER = 5.0
"""Seconds after everything else that live voice is loaded, which takes the processor for more than one."""

PANELS_IN_REDIS_EVERY, PANELS_IN_DATABASE_EVERY = 1.0, 5.0
"""Seconds between two times the panels are stored, if they changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Parts from outside that join the built-in ones: other platforms, their authorities, more tools.

    A tool from here wins over a built-in one of the same name.
    """

    platforms: Mapping[str, Platform] = field(default_factory=dict[str, Platform])
    authorities: Mapping[str, Authority] = field(default_factory=dict[str, Authority])
    tools: Sequence[ToolSource] = ()
    demo: DemoStage | None = None


class Antiphon:
    """The whole program, connected. `work` is the worker's role, `build_asgi` the web's; `open_antiphon` makes it."""

    def __init__(
        self,
        settings: Settings,
        *,
        stores: Stores,
        bus: Bus,
        signals: LocalSignals,
        clock: Clock,
        stop: asyncio.Event,
        extras: Extras,
        closing: AsyncExitStack,
        watched: Watched,
        board: Board,
        panels: PanelStore,
        counter: SharedCounter | None = None,
        tickets: Tickets | None = None,
    ) -> None:
        self.settings = settings
        self.board = board
        self._extras = extras
        self._panels = panels
        self._closing = closing
        self._watched = watched
        self._talks = False
        self.stores = stores
        self.bus = bus
        self.stop = stop
        self.clock = clock
        self._shares = settings.database_url.get_secret_value().startswith("postgres")
        """Whether other processes may be at work on the same data."""
        owner = f"{socket.gethostname()[:20]}:{os.getpid()}:{secrets.token_hex(4)}"
        platforms: dict[str, Platform] = {"web": WebPlatform(bus), **extras.platforms}
        authority = PlatformAuthorities({"web": WebAuthority(stores.people), **extras.authorities})
        policy = ToolPolicy(authority)
        builtin = BuiltinTools(
            stores.schedule,
            stores.memories,
            stores.proposals,
            stores.personal_data,
            bus,
            stores.people,
            stores.threads,
            stores.polls,
            status=self,
            policy=policy,
            catalog=lambda: catalog,
        )
        catalog = Catalog([*extras.tools, builtin])
        self.executor = ToolExecutor(catalog, policy, stores.executions, clock, Redactor(secrets_of(settings)))
        sources = ContextSources(
            threads=stores.threads,
            people=stores.people,
            memories=stores.memories,
            feedback=stores.feedback,
            attachments=stores.attachments,
            places=stores.places,
            summaries=stores.summaries,
            clock=clock,
        )
        self.brain = CurrentBrain(
            lambda chosen: TurnBrain(chosen, self.executor, sources, polls=stores.polls), settings
        )
        alone = settings.model_copy(update={"experts": (), "routing": RoutingSettings()})
        # Loaded when a limit is reached.
        offline = TurnBrain(alone, self.executor, sources, choice=ModelChoice(), polls=stores.polls)
        self.metered = MeteredBrain(self.brain, offline, stores.usage, clock, settings.limits)
        self.mover = ThreadMover(
            stores.thread_files,
            SnapshotReader(),
            lambda: catalog,
            policy,
            clock,
            Redactor(secrets_of(settings)),
            file_bytes=settings.limits.thread_file_bytes,
            expire_minutes=settings.approvals.expire_minutes,
        )
        closing.push_async_callback(self.brain.close)
        closing.push_async_callback(offline.close)
        self.inbox = Inbox(stores.inbox, message_chars=settings.limits.message_chars)
        self.control = TaskControl(stores.tasks, bus)
        self.approvals = Approvals(stores.approvals, stores.tasks, authority, bus)
        self.live = LiveTurns(
            store=stores.live,
            tasks=stores.tasks,
            brain=self.metered,
            lease_seconds=settings.threads.lease_seconds,
            message_chars=settings.limits.message_chars,
        )
        self.speech = open_speech(settings, phrases=_phrases)
        closing.push_async_callback(self.speech.aclose)
        listener = AudioReader(
            stores.platforms,
            stores.attachments,
            self.speech.stt,
            _decoded,
            {"discord": lambda url, most: self.discord.download(url, most)},
            most_bytes=settings.attachments.max_bytes,
        )
        self.runner = Runner(
            tasks=stores.tasks,
            bus=bus,
            signals=signals,
            parts=TurnParts(stores.tasks, stores.outbox, self.metered, bus, platforms, clock, listener),
            owner=owner,
            options=RunnerOptions(
                slots=settings.threads.slots,
                lease_seconds=settings.threads.lease_seconds,
                max_attempts=settings.threads.max_attempts,
            ),
        )
        self.outbox = Outbox(
            store=stores.outbox,
            platforms=platforms,
            signals=signals,
            clock=clock,
            owner=owner,
            options=OutboxOptions(
                lease_seconds=settings.outbox.lease_seconds,
                max_attempts=settings.outbox.max_attempts,
                doubtful=settings.outbox.doubtful,
            ),
        )
        self.retention = Retention(stores.retention, stores.attachments, clock, settings.retention)
        self.scheduler = Scheduler(stores.schedule, signals, clock)
        self.discord = DiscordPart(settings, self._discord_ports(owner, counter), platforms, authority)
        closing.push_async_callback(self.discord.aclose)
        self.voice = VoiceSessions(
            settings,
            store=stores.voice,
            live=self.live,
            approvals=self.approvals,
            bus=bus,
            clock=clock,
            speech=lambda: (self.speech.stt, self.speech.tts),
            check_language=self.speech.check_language,
            load=self.speech.load,
            name_of=self._name_of,
            owner=owner if self._shares else "",
            tickets=tickets,
        )
        closing.push_async_callback(self.voice.aclose)
        self.live_settings = LiveSettings(Configuration(settings), bus, self._apply)
        self.trials = Trials(lambda: self.live_settings.configuration.stored, self.brain.warm_up)

    async def _apply(self, settings: Settings) -> None:
        """Work by changed settings from now on. What only a restart changes is as before in them."""
        secrets = secrets_of(settings)
        configure_logging(
            settings.log,
            secrets=secrets,
            recent=self._watched.lines,
            otlp_endpoint=settings.telemetry.otlp_endpoint,
        )
        self.executor.redact_by(Redactor(secrets))
        await self.brain.replace(settings)
        self.voice.replace(settings)
        await self.discord.replace(settings)
        self.settings = settings

    def _discord_ports(self, owner: str, counter: SharedCounter | None) -> DiscordPorts:
        stores = self.stores
        return DiscordPorts(
            bus=self.bus,
            clock=self.clock,
            store=stores.platforms,
            leases=stores.leases,
            people=stores.people,
            approval_store=stores.approvals,
            memories=stores.memories,
            approvals=self.approvals,
            receive=self.inbox.receive,
            cancel=self.control.cancel,
            forget=stores.personal_data.forget,
            erase=self._erase,
            parts=self.parts,
            board=self.board,
            panels=self._panels,
            owner=owner,
            counter=counter,
        )

    async def _erase(self, person: int) -> ErasureReceipt:
        """Erase a person on their word from a platform; what they were signed in with ends too."""
        receipt = await self.stores.personal_data.erase(person)
        for key in receipt.keys:
            await self.bus.publish(KEY_REVOKED, KEY_REVOKED, {"key": str(key)})
        for session in receipt.sessions:
            digest = hashlib.sha256(session.encode()).hexdigest()
            await self.bus.publish(SESSION_ENDED, SESSION_ENDED, {"session": digest})
        return receipt

    async def work(self, stop: asyncio.Event) -> None:
        """The worker's role: run turns, deliver replies and start what is due, until `stop` is set.

        The outbox stops last, so that what the turns under way still answer can leave.
        """
        if not self._shares:
            # The lock on the data folder says that we are alone: whoever held a lease here is gone.
            await self.stores.tasks.reap(owners_are_gone=True)
            await self.stores.outbox.reap()
        runner_ended, loaded = asyncio.Event(), asyncio.Event()

        async def run_turns() -> None:
            try:
                # Not before: a task claimed while the brain still loads would lose an attempt to every early crash.
                await self._warm_up()
                loaded.set()
                await self.runner.run(stop)
            finally:
                runner_ended.set()

        async def watch_experts() -> None:
            # Not before: what a check needs is loaded with the brain, in a thread.
            await loaded.wait()
            await self.brain.watch(stop)

        async def warm_voice() -> None:
            await loaded.wait()
            await asyncio.sleep(VOICE_AFTER)
            await self.voice.warm_up()

        async with asyncio.TaskGroup() as group:
            group.create_task(run_turns(), name="runner")
            group.create_task(self.outbox.run(runner_ended), name="outbox")
            group.create_task(self.scheduler.run(stop), name="scheduler")
            group.create_task(self.retention.run(stop), name="retention")
            beside = [group.create_task(watch_experts(), name="expert health")]
            if self._talks:
                beside.append(group.create_task(warm_voice(), name="voice warm-up"))
            await runner_ended.wait()
            for task in beside:
                task.cancel()
        await self.executor.drain(1.0)

    async def carry_voice(self, stop: asyncio.Event, *, warm: bool) -> None:
        """The voice role: look after spoken sessions until `stop` is set. `warm`: nobody else loads what they need."""

        async def be_ready() -> None:
            await self._warm_up()
            await self.voice.warm_up()
            await self.brain.watch(stop)

        async with asyncio.TaskGroup() as group:
            readying = group.create_task(be_ready(), name="voice warm-up") if warm else None
            await self.voice.keep(stop)
            if readying is not None:
                readying.cancel()

    async def _warm_up(self) -> None:
        """Load what the first turn needs. A turn that comes without it loads it again, and fails with the reason."""
        try:
            await self.brain.warm_up()
        except Exception:
            log.exception("brain.warm_up_failed")

    async def connect_discord(self, stop: asyncio.Event) -> None:
        """The role that holds the connection to Discord, until `stop` is set. Without a token it waits for one."""
        if not self._shares:
            await self.stores.leases.clear()  # nobody else can be there: see `work`
        await self.discord.run(stop)

    async def keep_panels(self, stop: asyncio.Event) -> None:
        """Keep the dashboard's panels over restarts, until `stop` is set."""
        every = PANELS_IN_REDIS_EVERY if self.settings.redis_url.get_secret_value() else PANELS_IN_DATABASE_EVERY
        await Keeper(self.board, self._panels, every=every).run(stop)

    async def read_panels(self) -> None:
        """Take back what another process keeps of the panels."""
        await Keeper(self.board, self._panels, every=PANELS_IN_DATABASE_EVERY).load()

    def build_asgi(self, *, control: Sequence[str] = CONTROL_PLANE, pages: bool = True) -> AsgiApp:
        """The web faces of a process on one port: the given paths of the control plane, and the pages."""
        from antiphon.api.asgi import build_asgi
        from antiphon.api.services import ApiServices

        self._talks = True
        api = build_asgi(
            ApiServices(
                settings=self.settings,
                clock=self.clock,
                bus=self.bus,
                stores=self.stores,
                receive=self.inbox.receive,
                cancel=self.control.cancel,
                retry=self.control.retry,
                voice=self.voice,
                export_thread=self.mover.export,
                import_thread=self.mover.import_file,
                decide=self._decide,
                parts=self.parts,
                should_stop=self.stop.is_set,
                board=self.board,
                demo=self._extras.demo,
                watched=self._watched,
                configuration=self.live_settings.configuration,
                change_settings=self.live_settings.change,
                try_out=self.trials.run,
                backups=lambda: asyncio.to_thread(list_backups, self.settings.data_dir),
                make_backup=lambda: asyncio.to_thread(make_backup, self.settings),
            )
        )
        self._closing.push_async_callback(api.aclose)
        hanging_up = asyncio.get_running_loop().create_task(self._hang_up(), name="voice-hang-up")
        self._closing.push_async_callback(_ended, hanging_up)
        following = asyncio.get_running_loop().create_task(self.live_settings.follow(self.stop), name="settings")
        self._closing.push_async_callback(_ended, following)
        pages_app = None
        if pages:
            demo = self._extras.demo is not None
            pages_app = build_pages(self.settings, livekit_url=lambda: self.settings.livekit.browser_url, demo=demo)
        door = api.edge_around(Door(pages_app, api.principal_of)) if pages_app else None
        return OnePort(control_plane=api, control=control, pages=door)

    async def _decide(self, approval: int, principal: Principal, approve: bool) -> Approval:
        """An answer that came over the API: the credential says who answers."""
        who = Requester(person=principal.person, platform="web", channel="")
        return await self.approvals.decide(approval, who, approve=approve)

    async def _hang_up(self) -> None:
        """End spoken sessions as soon as the program is asked to stop: their sockets would hold the port open."""
        await self.stop.wait()
        await self.voice.aclose()

    async def _name_of(self, person: int) -> str:
        return (await self.stores.people.person(person)).name

    async def parts(self) -> list[PartHealth]:
        """The state of every part, for people: the banner, the status page and the status tool."""
        own = [await self.stores.health.health(), await self.bus.health()]
        return [*own, *await self.brain.health.parts(), *await self.voice.parts(), self.discord.health()]

    async def announcement(self, address: str) -> str:
        """The start-up banner, with a sign-in link while the owner has never signed in."""
        link: str | None = None
        demo = self._extras.demo is not None
        owner = await self.stores.users.ensure_owner()
        if not owner.signed_in:
            link = f"{address}/welcome/{await self.stores.users.sign_in_token(owner.id, SIGN_IN_VALID)}"
            link += "?next=/demo" if demo else ""
        return banner(address, await self.parts(), link, demo=demo)


async def _decoded(content: bytes, seconds: float) -> bytes:
    from antiphon.speech.codec import decode  # late: wanted with the first recording

    return (await decode(content, max_seconds=seconds)).pcm


def _phrases() -> Sequence[str]:
    from antiphon.brain.offline.phrases import spoken_phrases  # late: wanted with the first word that is heard

    return spoken_phrases()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@asynccontextmanager
async def open_antiphon(
    settings: Settings, *, stop: asyncio.Event, extras: Extras | None = None, watched: Watched | None = None
) -> AsyncIterator[Antiphon]:
    """Build everything on a migrated database, and take it down again. `stop` is set when the process shall end.

    `watched` is what operators see of this process; whoever configured the log has begun to fill it.
    """
    watched = watched or Watched()
    open_stores = _configured(settings)
    clock, signals = SystemClock(), LocalSignals()
    board = Board(clock, watched.lines)

    def tap(event: BusEvent) -> None:
        watched.events.add(event)
        board.hear(event)

    async with AsyncExitStack() as closing:
        start_tracing(settings)
        closing.push_async_callback(asyncio.to_thread, stop_tracing)
        bus: Bus
        panels: PanelStore | None = None
        counter: SharedCounter | None = None
        tickets: Tickets | None = None
        if url := settings.redis_url.get_secret_value():
            from antiphon.bus.redis import RedisBus  # late: a tenth of the start-up time
            from antiphon.bus.redis_counter import RedisCounter
            from antiphon.bus.tail import follow_redis
            from antiphon.dashboards.redis_store import RedisPanelStore

            redis_bus = RedisBus(url, clock)
            await redis_bus.start()
            closing.push_async_callback(redis_bus.close)
            bus = redis_bus
            panels = RedisPanelStore(url, bus, clock)
            closing.push_async_callback(panels.close)
            counter = RedisCounter(url)
            closing.push_async_callback(counter.close)
            tickets = _shared_tickets(url, settings.voice.ticket_seconds)
            watching = asyncio.create_task(follow_redis(url, tap), name="watched-events")
            closing.callback(watching.cancel)
        else:
            bus = MemoryBus(clock, tap=tap)
        stores = open_stores(settings, clock, signals)
        closing.push_async_callback(stores.close)
        yield Antiphon(
            settings,
            stores=stores,
            bus=bus,
            signals=signals,
            clock=clock,
            stop=stop,
            extras=extras or Extras(),
            closing=closing,
            watched=watched,
            board=board,
            panels=panels or stores.panels,
            counter=counter,
            tickets=tickets,
        )


def _shared_tickets(url: str, seconds: float) -> Tickets:
    from antiphon.voice.redis_tickets import RedisTickets  # late, as all that Redis needs

    return RedisTickets(url, seconds=seconds, local=LocalTickets(asyncio.get_running_loop().time, seconds=seconds))


@asynccontextmanager
async def open_stores_alone(settings: Settings) -> AsyncIterator[Stores]:
    """Only the (migrated) database, for commands; closed afterwards."""
    open_stores = _configured(settings)
    stores = open_stores(settings, SystemClock(), LocalSignals())
    try:
        yield stores
    finally:
        await stores.close()


def _configured(settings: Settings) -> Callable[[Settings, Clock, LocalSignals], Stores]:
    """Django's models can only be imported once it is configured, and the stores import them."""
    configure(settings)
    from antiphon.store.stores import open_stores

    return open_stores
