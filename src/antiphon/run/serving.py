"""Serving HTTP on the port of a process, and working beside it, until the process is told to stop.

What each process serves and does is said in `roles` and `speech_services`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError
from antiphon.run.asgi import AsgiApp
from antiphon.run.http_protocol import PatientHttpProtocol
from antiphon.run.tls import certificate_files

log = structlog.stdlib.get_logger(__name__)

HTTP_GRACE_SECONDS = 2


def allow_many_connections() -> None:
    """Open files up to the hard limit: each listener is one, and many systems start programs with 1024."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems refuse what they promise (macOS: "unlimited")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: our order of stopping is different."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def serve_until(
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
