"""The processes: which parts run in them, and how they start and stop.

`up` is every role in one process. Alone, a role needs a database and a bus that other processes can reach; the console
needs neither, because its pages call the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError
from antiphon.run.asgi import CONTROL_PLANE, PROBES, AsgiApp
from antiphon.run.http_protocol import PatientHttpProtocol
from antiphon.run.pages import build_console_alone, console_announcement, settings_alone
from antiphon.run.tls import certificate_files
from antiphon.run.wiring import open_antiphon
from antiphon.store.lock import hold, make_folder
from antiphon.store.migrate import migrate
from antiphon.telemetry.logs import configure_logging, secrets_of
from antiphon.telemetry.recent import Recent, Watched

log = structlog.stdlib.get_logger(__name__)

HTTP_GRACE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Role:
    """What a process does besides answering `/health` and `/metrics`."""

    name: str
    api: bool
    pages: bool
    worker: bool
    alone: bool
    """Whether other processes do the rest, so that database and bus must be shared."""

    @property
    def only_pages(self) -> bool:
        """Whether it has no data at all."""
        return self.pages and not self.api and not self.worker


ROLES = {
    "up": Role("up", api=True, pages=True, worker=True, alone=False),
    "api": Role("api", api=True, pages=False, worker=False, alone=True),
    "console": Role("console", api=False, pages=True, worker=False, alone=True),
    "worker": Role("worker", api=False, pages=False, worker=True, alone=True),
}


def check_role(role: Role, settings: Settings) -> None:
    """Refuse a role alone that nobody else could work with."""
    if not role.alone or role.only_pages:
        return
    if not settings.database_url.get_secret_value().startswith("postgres"):
        raise ConfigError(
            source="settings",
            key="database_url",
            problem=f"`antiphon {role.name}` alone shares its work with other processes, which SQLite cannot",
            remedy="set DATABASE_URL to a PostgreSQL server, or run `antiphon up`",
        )
    if not settings.redis_url.get_secret_value():
        raise ConfigError(
            source="settings",
            key="redis_url",
            problem=f"`antiphon {role.name}` alone needs a bus to the other processes",
            remedy="set REDIS_URL to a Redis or Valkey server, or run `antiphon up`",
        )


def run_role(role: Role, settings: Settings, *, announce: Callable[[str], None] | None = None) -> None:
    """Run a role until SIGTERM or SIGINT. Raises `ConfigError` or `AntiphonError` when it cannot start.

    `announce` is given the start-up text once the port answers.
    """
    watched = Watched(lines=Recent(settings.log.recent))
    configure_logging(
        settings.log,
        secrets=secrets_of(settings),
        recent=watched.lines,
        otlp_endpoint=settings.telemetry.otlp_endpoint,
    )
    check_role(role, settings)
    _allow_many_connections()
    if role.only_pages:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve_console(settings, announce))
        return
    make_folder(settings.data_dir)
    with contextlib.ExitStack() as held:
        if not role.alone:
            held.enter_context(hold(settings.data_dir))
        migrate(settings)
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(role, settings, announce, watched))


def _allow_many_connections() -> None:
    """Open files up to the hard limit: each listener is one, and many systems start programs with 1024."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems refuse what they promise (macOS: "unlimited")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: our order of stopping is different."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(role: Role, settings: Settings, announce: Callable[[str], None] | None, watched: Watched) -> None:
    stop = _stop_signal()
    async with open_antiphon(settings, stop=stop, watched=watched) as antiphon:
        app = antiphon.build_asgi(control=CONTROL_PLANE if role.api else PROBES, pages=role.pages)
        has_link = role.pages or (role.api and settings.console.public_url)  # the link it prints leads to a page

        async def work(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                if role.worker:
                    group.create_task(antiphon.work(stop), name="worker")
                if role.api:
                    group.create_task(antiphon.keep_panels(stop), name="panels")

        async def announcement(address: str) -> str:
            return await antiphon.announcement(settings.console.public_url or address)

        await _serve_until(
            stop,
            settings,
            app,
            announce=announce if has_link else None,
            announcement=announcement,
            work=work if role.worker or role.api else None,
        )


async def _serve_console(settings: Settings, announce: Callable[[str], None] | None) -> None:
    async def announcement(address: str) -> str:
        return console_announcement(settings, address)

    app = build_console_alone(settings)
    await _serve_until(_stop_signal(), settings_alone(settings), app, announce=announce, announcement=announcement)


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def _serve_until(
    stop: asyncio.Event,
    settings: Settings,
    app: AsgiApp,
    *,
    announce: Callable[[str], None] | None,
    announcement: Callable[[str], Awaitable[str]],
    work: Callable[[asyncio.Event], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Answer on the port, and work beside it, until `stop` is set or one of the two ends."""
    server = _Server(_uvicorn_config(settings, app))
    listening = bind(settings)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.01)
    # The port first: loading the brain takes the processor for a second.
    working = asyncio.create_task(work(stop), name="work") if work else None
    if announce and server.started:
        announce(await announcement(_address(settings, listening)))
    waiting = {asyncio.create_task(stop.wait(), name="stop"), serving, *([working] if working else [])}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    stop.set()
    server.should_exit = True
    # The port closes first, so that nothing new is accepted while the workers finish what runs.
    results = await asyncio.gather(serving, *([working] if working else []), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def bind(settings: Settings) -> socket.socket:
    """The listening socket, so that a taken port is a clear refusal and port 0 shows its number."""
    http = settings.http
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((http.host, http.port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            source="settings",
            key="http.port",
            problem=f"cannot listen on {http.host}:{http.port} ({error.strerror})",
            remedy="stop the other program, or set ANTIPHON_HTTP__PORT to a free port",
        ) from error
    listening.listen(2048)
    listening.setblocking(False)
    return listening


def _address(settings: Settings, listening: socket.socket) -> str:
    if settings.http.public_url or settings.http.port:
        return settings.http.url
    http = settings.http.model_copy(update={"port": listening.getsockname()[1]})
    return http.url


def _uvicorn_config(settings: Settings, app: AsgiApp) -> uvicorn.Config:
    http = settings.http
    files = certificate_files(settings)
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType] - our ASGI types are plain dicts
        lifespan="off",
        http=PatientHttpProtocol,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=settings.limits.body_bytes,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=list(http.trusted_proxies),
        ssl_certfile=str(files[0]) if files else None,
        ssl_keyfile=str(files[1]) if files else None,
        timeout_graceful_shutdown=HTTP_GRACE_SECONDS,
    )
