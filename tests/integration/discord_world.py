"""The whole program on the simulated Discord, for the integration tests: real stores, the real library, real TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from antiphon.config import Settings
from antiphon.domain.events import BusEvent
from antiphon.domain.health import PartHealth
from antiphon.domain.turns import Final, TurnRequest
from tests.fakes.brain import ScriptedBrain, Step

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon, Extras
    from antiphon.sim.discord import DiscordSim
    from antiphon.sim.discord.control.player import Player
    from antiphon.sim.discord.limits import Limits
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.messages import Message

Script = Callable[[TurnRequest], list[Step]]


@dataclass
class DiscordWorld:
    """A running program and the simulated server it is connected to."""

    sim: DiscordSim
    antiphon: Antiphon
    settings: Settings
    events: list[BusEvent] = field(default_factory=list)

    @property
    def ada(self) -> Player:
        return self.sim.control.user("ada")

    @property
    def bot(self) -> str:
        """How people mention the bot."""
        return f"<@{self.sim.control.bot.user.id}>"

    def replies(self, channel: Any = "general") -> list[str]:
        return [message.content for message in self.sim.control.replies(channel)]

    async def replied(self, number: int = 1, channel: Any = "general", seconds: float = 15.0) -> list[Message]:
        """Wait for so many messages of the bot there."""
        return await self.sim.control.wait_for(
            lambda: found if len(found := self.sim.control.replies(channel)) >= number else None, seconds
        )

    async def until(self, found: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Wait until something is true here."""
        async with asyncio.timeout(seconds):
            while not (result := found()):  # noqa: ASYNC110 - many kinds of things are waited for
                await asyncio.sleep(0.02)
            return result

    async def quiet(self) -> None:
        """Wait until everything that was said is worked off and delivered."""
        async with asyncio.timeout(20):
            while True:
                await asyncio.sleep(0.15)
                counts = await self.antiphon.stores.tasks.counts()
                service = self.antiphon.discord.service
                if service is not None:
                    await service.inbound.idle()
                if not any(counts.get(state) for state in ("queued", "running")) and not await self._unsent():
                    return

    async def _unsent(self) -> int:
        return await self.antiphon.stores.database.read(
            lambda tx: tx.value("SELECT count(*) FROM antiphon_reply WHERE state NOT IN ('sent', 'dead')")
        )

    async def health(self) -> PartHealth:
        return next(part for part in await self.antiphon.parts() if part.name == "discord")

    def refused(self) -> list[dict[str, Any]]:
        """Requests that the server answered with 429."""
        return [entry for entry in self.sim.control.log("rest") if entry.get("status") == 429]

    def script(self, steps: Script) -> ScriptedBrain:
        """Let this decide what the turns do."""
        brain = ScriptedBrain(steps)
        self.antiphon.metered.turn = brain.turn  # type: ignore[method-assign]
        return brain


def echo(request: TurnRequest) -> list[Step]:
    """A brain's turn that repeats what was said."""
    return [Final(f"You said: {request.text}")]


def roomy() -> Limits:
    """Rate limits that tests of other things do not meet."""
    from antiphon.sim.discord.limits import Limits

    limits = Limits()
    limits.routes |= {route: (100, 5.0) for route in limits.routes if "messages" in route}
    limits.identify_every = 0.1
    return limits


def discord_settings(settings: Settings, sim: DiscordSim, **changes: Any) -> Settings:
    """The settings of a program that is to talk to the simulator."""
    discord = settings.discord.model_copy(
        update={
            "token": SecretStr(sim.token),
            "ca_file": sim.ca_file,
            "loopback": sim.port,
            "lease_seconds": 2.0,
            **changes,
        }
    )
    outbox = settings.outbox.model_copy(update={"lease_seconds": 4.0})
    return settings.model_copy(update={"discord": discord, "outbox": outbox})


def place_in(sim: DiscordSim, shard: int) -> Channel:
    """A channel in which nobody ever spoke, in a server that this one of two shards tells of."""
    from antiphon.platforms.discord.hearing import shard_of

    while True:
        guild = sim.control.create_guild("Choir")
        if shard_of(str(guild.id), 2) == shard:
            sim.control.user("ada").join(guild)
            return sim.control.create_channel("quiet", guild=guild)
        del sim.world.guilds[guild.id]


@asynccontextmanager
async def running(
    settings: Settings, *, script: Script | None = None, extras: Extras | None = None
) -> AsyncIterator[Antiphon]:
    """A program with the worker and Discord's connection, ended as SIGTERM does. `script` decides what turns do."""
    from antiphon.run.wiring import open_antiphon

    stop = asyncio.Event()
    async with open_antiphon(settings, stop=stop, extras=extras) as antiphon:
        if script is not None:
            antiphon.metered.turn = ScriptedBrain(script).turn  # type: ignore[method-assign]
        jobs = [asyncio.create_task(antiphon.connect_discord(stop)), asyncio.create_task(antiphon.work(stop))]
        try:
            yield antiphon
        finally:
            stop.set()
            results = await asyncio.gather(*jobs, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result


@asynccontextmanager
async def discord_world(
    settings: Settings, sim: DiscordSim, *, ready: bool = True, script: Script | None = None, **changes: Any
) -> AsyncIterator[DiscordWorld]:
    """The program, connected (unless `ready` is False)."""
    from antiphon.platforms.discord import gateway

    gateway.IDENTIFY_SECONDS = sim.limits.identify_every
    wanted = discord_settings(settings, sim, **changes)
    async with running(wanted, script=script) as antiphon:
        world = DiscordWorld(sim, antiphon, wanted)

        async def listen() -> None:
            topics = ("discord.gateway", "discord.state", "discord.server", "discord.message", "discord.voice")
            async with antiphon.bus.subscribe(*topics, "discord.api", "command.used") as events:
                async for event in events:
                    world.events.append(event)

        listening = asyncio.create_task(listen())
        try:
            if ready:
                await connected(world)
            yield world
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


async def connected(world: DiscordWorld) -> None:
    """Wait until the gateway's session is whole and the servers are known."""

    def ready() -> bool:
        service = world.antiphon.discord.service
        client = service.client if service else None
        return client is not None and client.is_ready()

    await world.until(ready)
