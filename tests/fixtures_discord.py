"""The simulated Discord for tests: a fresh one per test, and clients of the unmodified library connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    import discord

    from antiphon.sim.discord import DiscordSim

Connect = Callable[..., Awaitable["discord.Client"]]


@asynccontextmanager
async def running_client(
    sim: DiscordSim,
    *,
    token: str | None = None,
    ready: bool = True,
    kind: type[discord.Client] | None = None,
    **options: object,
) -> AsyncIterator[discord.Client]:
    """A `discord.Client` (or `kind`) that is ready, and closed at the end."""
    import discord

    options.setdefault("intents", discord.Intents.all())
    options.setdefault("guild_ready_timeout", 0.05)
    client = (kind or discord.Client)(connector=sim.connector(), **options)  # type: ignore[arg-type]
    running = asyncio.create_task(client.start(token or sim.token))
    try:
        if ready:
            await _ready(client, running)
        yield client
    finally:
        await client.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _ready(client: discord.Client, running: asyncio.Task[None]) -> None:
    """Until the client is ready; raises what its start raised."""
    ready = asyncio.Event()

    async def on_ready() -> None:
        ready.set()

    client.event(on_ready)
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()
    assert ready.is_set(), "not ready after 10 seconds"


@pytest_asyncio.fixture
async def discord_sim() -> AsyncIterator[DiscordSim]:
    """A simulated Discord with its small world, where neither identifying again nor talking takes a wait."""
    from antiphon.sim.discord import DiscordSim, Limits

    async with DiscordSim(limits=Limits(identify_every=0.0, routes={})) as sim:
        yield sim


@pytest_asyncio.fixture
async def discord_client(discord_sim: DiscordSim) -> AsyncIterator[Connect]:
    """`await discord_client(**options)` gives another connected client."""
    async with AsyncExitStack() as stack:

        async def connect(**options: object) -> discord.Client:
            return await stack.enter_async_context(running_client(discord_sim, **options))  # type: ignore[arg-type]

        yield connect
