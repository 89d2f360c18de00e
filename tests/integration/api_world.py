"""A whole API over a real database, for the integration tests: two people, their keys, real stores, one bus."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from antiphon.api.asgi import Api, build_asgi
from antiphon.api.services import ApiServices
from antiphon.brain.paused import SnapshotReader
from antiphon.bus.memory import MemoryBus
from antiphon.bus.signals import LocalSignals
from antiphon.config import Configuration, Settings
from antiphon.dashboards.board import Board
from antiphon.domain.approvals import Approval
from antiphon.domain.events import BusEvent, turn_topic
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.identity import Principal, Requester, Role
from antiphon.domain.logins import User
from antiphon.domain.turns import Final, TextDelta
from antiphon.domain.work import Lease, Outcome, TaskState
from antiphon.platforms.web import WebAuthority
from antiphon.run.clock import SystemClock
from antiphon.run.live_settings import LiveSettings
from antiphon.run.probes.storage import list_backups, make_backup
from antiphon.run.probes.trials import Trials
from antiphon.store.settings import configure
from antiphon.telemetry.recent import Watched
from antiphon.telemetry.redaction import Redactor
from antiphon.threads.approvals import Approvals
from antiphon.threads.control import TaskControl
from antiphon.threads.inbox import Inbox
from antiphon.threads.live import LiveTurns
from antiphon.threads.moving import ThreadMover
from antiphon.tools.builtin.source import BuiltinTools
from antiphon.tools.catalog import Catalog
from antiphon.tools.policy import ToolPolicy
from antiphon.voice.service import VoiceSessions
from tests.fakes.brain import ScriptedBrain
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.status import FakeStatus

if TYPE_CHECKING:  # the stores' models can only be imported once Django is configured
    from antiphon.store.stores import Stores

ORIGIN = "http://localhost:8000"
FAR_AWAY = ("203.0.113.9", 40000)
"""The peer address of test clients: not this machine."""


@dataclass
class Someone:
    """A user with a key of each kind."""

    user: User
    key: str
    key_id: int

    @property
    def person(self) -> int:
        return self.user.person

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass
class World:
    """Everything a test needs: the API, what stands behind it, two people."""

    settings: Settings
    stores: Stores
    bus: MemoryBus
    services: ApiServices
    api: Api
    owner: Someone
    other: Someone
    stopping: list[bool] = field(default_factory=list)
    parts: list[PartHealth] = field(default_factory=list)

    def client(self, who: Someone | None = None, **kwargs: Any) -> httpx.AsyncClient:
        """An HTTP client in this process. Server errors are answers, not exceptions."""
        transport = httpx.ASGITransport(
            app=self.api, client=kwargs.pop("peer", FAR_AWAY), raise_app_exceptions=kwargs.pop("raises", True)
        )
        headers = {**(who.bearer if who else {}), **kwargs.pop("headers", {})}
        return httpx.AsyncClient(
            transport=transport, base_url=kwargs.pop("origin", ORIGIN), headers=headers, trust_env=False, **kwargs
        )

    @contextlib.asynccontextmanager
    async def signed_in(self, who: Someone, origin: str = ORIGIN) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a session cookie; its CSRF token is in `client.headers`."""
        async with self.client(headers={"Origin": origin}, origin=origin) as client:
            token = await self.stores.users.sign_in_token(who.user.id, timedelta(minutes=15))
            answer = await client.post("/api/session", json={"token": token})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRFToken"] = answer.json()["csrf"]
            yield client

    async def say(self, who: Someone, channel: str, text: str, **extra: str) -> dict[str, str]:
        """Post a message; the receipt."""
        async with self.client(who) as client:
            answer = await client.post(f"/api/channels/{channel}/messages", json={"text": text, **extra})
            assert answer.status_code in (200, 202), answer.text
            return answer.json()

    async def answer(self, text: str) -> Lease:
        """Work on the oldest queued task as a runner would, and finish it with `text`."""
        (work,) = await self.stores.tasks.claim("tester", 1, 30)
        await self.stores.tasks.finish(work.lease, Outcome(TaskState.DONE, text, (text,)))
        return work.lease

    async def publish(self, channel: str, name: str, **payload: object) -> int:
        """A turn event, as the runner publishes it."""
        return await self.bus.publish(turn_topic(channel), name, {"task": "1", "turn": "1.1", "attempt": 1, **payload})

    @contextlib.asynccontextmanager
    async def served(self, *, send_buffer: int | None = None) -> AsyncIterator[str]:
        """The API on a real port of this machine; gives host:port. `send_buffer`: bytes the system holds for a client
        that does not read."""
        listener = socket.socket()
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.api,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            self.stopping.append(True)
            server.should_exit = True
            await running
            self.stopping.clear()
            listener.close()


both_engines = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
"""Runs a test on SQLite and PostgreSQL: for what reads or writes in its own words."""


@contextlib.asynccontextmanager
async def a_world(settings: Settings) -> AsyncIterator[World]:
    """Build a world over a migrated database and take it down again."""
    configure(settings, extra={"PASSWORD_HASHERS": ["tests.fakes.hasher.QuickArgon2"]})
    from antiphon.store.stores import open_stores

    clock = SystemClock()
    stores = open_stores(settings, clock, LocalSignals())
    watched = Watched()
    board = Board(clock, watched.lines)

    def tap(event: BusEvent) -> None:
        watched.events.add(event)
        board.hear(event)

    bus = MemoryBus(clock, tap=tap)
    control = TaskControl(stores.tasks, bus)
    approvals = Approvals(stores.approvals, stores.tasks, WebAuthority(stores.people), bus)
    stopping: list[bool] = []
    parts = [PartHealth("database", PartState.OK, "SQLite")]

    async def decide(approval: int, principal: Principal, approve: bool) -> Approval:
        who = Requester(person=principal.person, platform="web", channel="")
        return await approvals.decide(approval, who, approve=approve)

    async def all_parts() -> list[PartHealth]:
        return list(parts)

    mover = mover_of(settings, stores, clock)

    async def nothing_to_apply(changed: Settings) -> None:
        del changed

    async def nothing_to_wait_for() -> None:
        pass

    async def name_of(person: int) -> str:
        return (await stores.people.person(person)).name

    brain = ScriptedBrain(lambda _: [TextDelta("It is sunny "), TextDelta("in Paris."), Final("It is sunny in Paris.")])
    live = LiveTurns(store=stores.live, tasks=stores.tasks, brain=brain, lease_seconds=30, message_chars=1000)
    voice = VoiceSessions(
        settings,
        store=stores.voice,
        live=live,
        approvals=approvals,
        bus=bus,
        clock=clock,
        speech=lambda: (FakeListener(), FakeSpeaker()),
        name_of=name_of,
    )
    configuration = Configuration(settings)
    services = ApiServices(
        settings=settings,
        clock=clock,
        bus=bus,
        stores=stores,
        receive=Inbox(stores.inbox, message_chars=settings.limits.message_chars).receive,
        cancel=control.cancel,
        retry=control.retry,
        voice=voice,
        export_thread=mover.export,
        import_thread=mover.import_file,
        decide=decide,
        parts=all_parts,
        should_stop=lambda: bool(stopping),
        board=board,
        watched=watched,
        configuration=configuration,
        change_settings=LiveSettings(configuration, bus, nothing_to_apply).change,
        try_out=Trials(lambda: configuration.stored, nothing_to_wait_for).run,
        backups=lambda: asyncio.to_thread(list_backups, settings.data_dir),
        make_backup=lambda: asyncio.to_thread(make_backup, settings),
    )
    api = build_asgi(services)
    try:
        yield World(
            settings=settings,
            stores=stores,
            bus=bus,
            services=services,
            api=api,
            owner=await _someone(stores, await stores.users.ensure_owner(), ("chat", "admin", "metrics")),
            other=await _someone(stores, await stores.users.create("other", Role.MEMBER), ("chat",)),
            stopping=stopping,
            parts=parts,
        )
    finally:
        await voice.aclose()
        await api.aclose()
        await stores.close()


def mover_of(settings: Settings, stores: Stores, clock: SystemClock) -> ThreadMover:
    """What moves threads, with the built-in tools alone."""
    policy = ToolPolicy(WebAuthority(stores.people))
    builtin = BuiltinTools(
        stores.schedule,
        stores.memories,
        stores.proposals,
        stores.personal_data,
        MemoryBus(clock),
        stores.people,
        stores.threads,
        stores.polls,
        FakeStatus(),
        policy,
        lambda: catalog,
    )
    catalog = Catalog([builtin])
    return ThreadMover(
        stores.thread_files,
        SnapshotReader(),
        lambda: catalog,
        policy,
        clock,
        Redactor(),
        file_bytes=settings.limits.thread_file_bytes,
        expire_minutes=settings.approvals.expire_minutes,
    )


async def _someone(stores: Stores, user: User, scopes: tuple[str, ...]) -> Someone:
    key, secret = await stores.keys.create(f"key of {user.name}", scopes, user.person)
    return Someone(user, secret, key.id)
