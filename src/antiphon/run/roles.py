"""The processes: which parts run in them, and how they start and stop.

`up` is every role in one process. Alone, a role needs a database and a bus that other processes can reach; the console
needs neither, because its pages call the API.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError
from antiphon.run.asgi import CONTROL_PLANE, PROBES, VOICE
from antiphon.run.pages import build_console_alone, console_announcement, settings_alone
from antiphon.run.serving import allow_many_connections, new_loop, serve_until, stop_signal
from antiphon.run.wiring import Extras, open_antiphon
from antiphon.store.lock import hold, make_folder
from antiphon.store.migrate import migrate
from antiphon.telemetry.logs import configure_logging, secrets_of
from antiphon.telemetry.recent import Recent, Watched


@dataclass(frozen=True, slots=True)
class Role:
    """What a process does besides answering `/health` and `/metrics`."""

    name: str
    api: bool
    pages: bool
    worker: bool
    discord: bool
    """Whether it holds the connection to Discord's gateway."""
    voice: bool
    """Whether it carries spoken sessions."""
    alone: bool
    """Whether other processes do the rest, so that database and bus must be shared."""

    @property
    def only_pages(self) -> bool:
        """Whether it has no data at all."""
        return self.pages and not (self.api or self.worker or self.discord or self.voice)


ROLES = {
    "up": Role("up", api=True, pages=True, worker=True, discord=True, voice=True, alone=False),
    "api": Role("api", api=True, pages=False, worker=False, discord=False, voice=True, alone=True),
    "console": Role("console", api=False, pages=True, worker=False, discord=False, voice=False, alone=True),
    "discord": Role("discord", api=False, pages=False, worker=False, discord=True, voice=False, alone=True),
    "voice": Role("voice", api=False, pages=False, worker=False, discord=False, voice=True, alone=True),
    "worker": Role("worker", api=False, pages=False, worker=True, discord=False, voice=False, alone=True),
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
    if role.name == "discord" and not settings.discord.token.get_secret_value():
        raise ConfigError(
            source="settings",
            key="discord.token",
            problem="`antiphon discord` has nothing to connect",
            remedy="set DISCORD_TOKEN to the bot's token",
        )
    if not settings.redis_url.get_secret_value():
        raise ConfigError(
            source="settings",
            key="redis_url",
            problem=f"`antiphon {role.name}` alone needs a bus to the other processes",
            remedy="set REDIS_URL to a Redis or Valkey server, or run `antiphon up`",
        )


Beforehand = Callable[[Settings], contextlib.AbstractAsyncContextManager[tuple[Settings, Extras]]]


def run_role(
    role: Role,
    settings: Settings,
    *,
    announce: Callable[[str], None] | None = None,
    beforehand: Beforehand | None = None,
) -> None:
    """Run a role until SIGTERM or SIGINT. Raises `ConfigError` or `AntiphonError` when it cannot start.

    `announce` is given the start-up text once the port answers. `beforehand` starts what the program is to find there,
    and may change its settings (not where its data is).
    """
    watched = Watched(lines=Recent(settings.log.recent))
    configure_logging(
        settings.log,
        secrets=secrets_of(settings),
        recent=watched.lines,
        otlp_endpoint=settings.telemetry.otlp_endpoint,
    )
    check_role(role, settings)
    allow_many_connections()
    if role.only_pages:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve_console(settings, announce))
        return
    make_folder(settings.data_dir)
    with contextlib.ExitStack() as held:
        if not role.alone:
            held.enter_context(hold(settings.data_dir))
        migrate(settings)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_prepared(role, settings, announce, watched, beforehand))


async def _prepared(
    role: Role,
    settings: Settings,
    announce: Callable[[str], None] | None,
    watched: Watched,
    beforehand: Beforehand | None,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        extras = Extras()
        if beforehand is not None:
            settings, extras = await stack.enter_async_context(beforehand(settings))
        await _serve(role, settings, announce, watched, extras)


async def _serve(
    role: Role, settings: Settings, announce: Callable[[str], None] | None, watched: Watched, extras: Extras
) -> None:
    stop = stop_signal()
    async with open_antiphon(settings, stop=stop, extras=extras, watched=watched) as antiphon:
        control = CONTROL_PLANE if role.api else VOICE if role.voice else PROBES
        app = antiphon.build_asgi(control=control, pages=role.pages)
        has_link = role.pages or (role.api and settings.console.public_url)  # the link it prints leads to a page

        async def work(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                if role.worker:
                    group.create_task(antiphon.work(stop), name="worker")
                if role.voice:
                    group.create_task(antiphon.carry_voice(stop, warm=not role.api), name="voice")
                if role.discord:
                    group.create_task(antiphon.connect_discord(stop), name="discord")
                if role.discord or (role.api and not settings.discord.token.get_secret_value()):
                    group.create_task(antiphon.keep_panels(stop), name="panels")
                elif role.api:  # the process that holds the connection to Discord keeps them
                    group.create_task(antiphon.read_panels(), name="panels")

        async def announcement(address: str) -> str:
            return await antiphon.announcement(settings.console.public_url or address)

        await serve_until(
            stop,
            settings,
            app,
            announce=announce if has_link else None,
            announcement=announcement,
            work=work if not role.only_pages else None,
        )


async def _serve_console(settings: Settings, announce: Callable[[str], None] | None) -> None:
    async def announcement(address: str) -> str:
        return console_announcement(settings, address)

    app = build_console_alone(settings)
    await serve_until(stop_signal(), settings_alone(settings), app, announce=announce, announcement=announcement)
