"""What commands open before they work: the settings, the stores alone, or the whole program."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from antiphon.config import Settings, load_settings

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon
    from antiphon.store.stores import Stores

T = TypeVar("T")


def read_settings(options: argparse.Namespace) -> Settings:
    """The settings, with the port of the command line where one is given."""
    port = getattr(options, "port", None)
    key = "console.port" if getattr(options, "role", "") == "console" else "http.port"
    return load_settings(config_file=options.config, overrides={} if port is None else {key: port})


def with_stores(options: argparse.Namespace, action: Callable[[Stores, Settings], Awaitable[T]]) -> T:
    """Run `action(stores, settings)` on the database of the configuration, beside a running server if there is one."""
    settings = _ready_database(options)
    from antiphon.run.wiring import open_stores_alone

    async def run() -> T:
        async with open_stores_alone(settings) as stores:
            return await action(stores, settings)

    return asyncio.run(run())


def with_program(options: argparse.Namespace, action: Callable[[Antiphon], Awaitable[T]]) -> T:
    """Run `action` on the whole program, built but not started, beside a running server if there is one."""
    settings = _ready_database(options)
    from antiphon.run.wiring import open_antiphon

    async def run() -> T:
        async with open_antiphon(settings, stop=asyncio.Event()) as antiphon:
            return await action(antiphon)

    return asyncio.run(run())


def _ready_database(options: argparse.Namespace) -> Settings:
    settings = read_settings(options)
    from antiphon.store.migrate import migrate
    from antiphon.telemetry.logs import configure_logging, for_commands, secrets_of

    configure_logging(for_commands(settings.log), secrets=secrets_of(settings))
    migrate(settings)
    return settings


async def person_of(stores: Stores, options: argparse.Namespace) -> int:
    """Whom a command acts for: the person that was named, or the owner. `NotFound`."""
    if options.person is None:
        return (await stores.users.ensure_owner()).person
    return (await stores.people.person(options.person)).id
