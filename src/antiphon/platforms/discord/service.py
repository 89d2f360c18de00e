"""The connection to Discord of one process: holds shards, runs the gateway for them, and starts over when it must.

Read it first. Nothing that Discord does ends the program: a token that is refused, intents that are not switched on, an
outage, a session that cannot be resumed all become a state that people can read (`health`), and are tried again. Of
several processes with one database each shard has one holder; whoever gets none stands by.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from antiphon.config.discord import DiscordSettings
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import DISCORD_STATE, Bus
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.platforms import LeaseStore
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.dispatch import Dispatch
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused, GatewayRefused, TokenRefused
from antiphon.platforms.discord.inbound import Inbound
from antiphon.platforms.discord.rest import DiscordRest, Json
from antiphon.platforms.discord.transport import open_connector

if TYPE_CHECKING:
    from antiphon.platforms.discord.gateway import GatewayClient

log = structlog.stdlib.get_logger(__name__)

MEMBERS, CONTENT = (1 << 14) | (1 << 15), (1 << 18) | (1 << 19)
"""Flags of an application that may use the privileged intents: verified, or in fewer than 100 servers."""
_FIRST_RETRY, _LAST_RETRY = 2.0, 300.0
_LATENCY_SECONDS = 10.0
_LEFT = 0.2
"""The part of a lease that is left for ending the connection, when it could not be renewed."""
_PORTAL = "developer portal, page Bot"


class DiscordService:
    """One process's part of the gateway. `run` it until the program stops; `replace` it when settings changed."""

    def __init__(
        self,
        settings: DiscordSettings,
        *,
        api: DiscordRest,
        leases: LeaseStore,
        bus: Bus,
        dispatch: Dispatch,
        owner: str,
    ) -> None:
        self._settings = settings
        self._api = api
        self._leases = leases
        self._bus = bus
        self._dispatch = dispatch
        self._owner = owner
        self._state = PartHealth("discord", PartState.DEGRADED, "Connecting.")
        self._missing: list[str] = []
        self._refused_intents = False
        self._held_until = 0.0
        self._missed = False
        self._down: set[int] = set()
        self.client: GatewayClient | None = None

    @property
    def inbound(self) -> Inbound:
        """The way in: for whoever waits until everything that was heard is worked off."""
        return self._dispatch.inbound

    def health(self) -> PartHealth:
        """How the connection is, for people."""
        return self._state

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the shards of this process connected until `stop` is set."""
        stopping = asyncio.create_task(stop.wait(), name="discord-stop")
        delay = _FIRST_RETRY
        try:
            while not stop.is_set():
                began = time.monotonic()
                session = asyncio.create_task(self._session(), name="discord-session")
                try:
                    await asyncio.wait({session, stopping}, return_when=asyncio.FIRST_COMPLETED)
                finally:  # also when this is cancelled: the connection would go on without anybody
                    if stopped := not session.done():
                        session.cancel()
                        await asyncio.wait({session})
                if stopped:
                    break
                wait = self._judge(session.exception())
                if time.monotonic() - began > 60.0:
                    delay = _FIRST_RETRY
                wait = delay * random.uniform(0.8, 1.2) if wait is None else wait  # noqa: S311 - no secret
                delay = min(delay * 2, _LAST_RETRY)
                await asyncio.wait({stopping}, timeout=wait)
        finally:
            stopping.cancel()
            with contextlib.suppress(StoreUnavailable):
                await self._leases.release(self._owner)

    def _judge(self, error: BaseException | None) -> float | None:
        """Say what ended a session, and how long to wait before the next; None: longer each time."""
        from antiphon.platforms.discord.gateway import IntentsRefused

        match error:
            case None:
                return 0.5
            case TokenRefused():
                self._say(PartState.DEGRADED, "Discord refuses the bot's token.", f"reset it: {_PORTAL}")
            case IntentsRefused():
                first, self._refused_intents = not self._refused_intents, True
                self._say(PartState.DEGRADED, "Discord refuses the privileged intents (close code 4014).", _switch_on())
                return 1.0 if first else None
            case GatewayRefused():
                self._say(PartState.DEGRADED, *error.words)
            case DiscordAway():
                self._say(PartState.DEGRADED, error.message, "it is tried again by itself")
                return error.retry_after
            case StoreUnavailable():
                self._say(PartState.DEGRADED, "The database does not answer.", "")
                return 1.0
            case DiscordRefused():
                self._say(PartState.DEGRADED, f"Discord: {error.reason}.", "it is tried again by itself")
            case _:
                log.error("discord.session_failed", exc_info=error)
                self._say(PartState.DEGRADED, f"The connection broke ({type(error).__name__}).", "see the log")
        return None

    def _say(self, state: PartState, detail: str, remedy: str) -> None:
        if (state, detail) != (self._state.state, self._state.detail):
            tell = log.warning if remedy else log.info
            tell("discord.state", state=state.value, detail=detail, remedy=remedy)
        self._state = PartHealth("discord", state, detail, remedy)

    async def _session(self) -> None:
        """From asking Discord what it proposes to the end of the connection."""
        me = await self._api.me()
        application: Json = await self._api.call(rest.APPLICATION)
        gateway: Json = await self._api.call(rest.GATEWAY)
        start: Json = gateway.get("session_start_limit") or {}
        if start.get("remaining") == 0:
            raise DiscordAway(
                "Discord allows no more sessions today.", retry_after=float(start.get("reset_after", 60000)) / 1000
            )
        count = self._settings.shards or max(1, int(gateway.get("shards") or 1))
        names = [f"discord {me['id']} shard {number}/{count}" for number in range(count)]
        most = self._settings.shards_per_process or count
        held = await self._hold(names, most)
        while not held:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            held = await self._hold(names, most)
        await self._dispatch.begin(str(me["id"]), str(application["id"]), held, count)
        try:
            await self._connected(names, held, most, int(application.get("flags") or 0))
        finally:
            await asyncio.shield(self._dispatch.close())

    async def _hold(self, names: Sequence[str], most: int) -> list[int]:
        """The shards that are this process's now. None while others connect with another number of shards.

        All with the same number hold one lease together: beside them nobody can hold a shard of another division,
        which would hear of the same servers.
        """
        began, seconds = time.monotonic(), self._settings.lease_seconds
        division = names[0].rpartition(" shard ")[0] + " shards"
        if not await self._leases.hold([division], f"{len(names)} shards", 1, seconds):
            self._say(PartState.OK, "Standing by: others are connected with another number of shards.", "")
            return []
        held = await self._leases.hold(names, self._owner, most, seconds)
        if held:
            self._held_until = began + seconds
        else:
            self._say(PartState.OK, "Standing by: another process holds the connection.", "")
        return [names.index(name) for name in held]

    def _hear(self, name: str, data: object) -> None:
        """A dispatch, as long as the shards are surely ours: a process that slept may wake up beside its successor."""
        if time.monotonic() < self._held_until:
            self._dispatch.hear(name, data)
        else:
            self._missed = True
            self._dispatch.inbound.lost()

    async def _connected(self, names: Sequence[str], held: list[int], most: int, flags: int) -> None:
        """Run the client for the held shards until it ends, or the shards of this process change."""
        from antiphon.platforms.discord.gateway import GatewayClient, intents

        members = bool(flags & MEMBERS) and not self._refused_intents
        content = bool(flags & CONTENT) and not self._refused_intents
        self._missing = [
            name for name, there in (("Server Members", members), ("Message Content", content)) if not there
        ]
        client = GatewayClient(
            shard_ids=held,
            shard_count=len(names),
            wanted=intents(members=members, content=content),
            connector=open_connector(self._settings),
            budget=self._api.budget,
            hear=self._hear,
            told=lambda shard, state: self._told(client, shard, state),
        )
        self.client, self._down, self._missed = client, set(held), False
        self._dispatch.connect(client)
        self._say(PartState.DEGRADED, "Connecting.", "")
        for shard in held:
            await self._tell(client, shard, "connecting")
        connection = asyncio.create_task(
            client.connect_until_closed(self._settings.token.get_secret_value()), name="discord-gateway"
        )
        keeping = asyncio.create_task(self._keep(names, held, most, client), name="discord-leases")
        try:
            await asyncio.wait({connection, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            keeping.cancel()
            await asyncio.shield(self._dispatch.leave())
            await asyncio.shield(_closed(client, connection))
            self.client = None
            for shard in held:
                await self._tell(None, shard, "closed")
        await connection
        if keeping.done() and not keeping.cancelled():
            keeping.result()

    async def _keep(self, names: Sequence[str], held: list[int], most: int, client: GatewayClient) -> None:
        """Renew the leases and tell the latency; returns when the shards of this process are others now.

        Also when they could not be renewed: the connection ends before somebody else may begin one.
        """
        told, seconds = time.monotonic(), self._settings.lease_seconds
        while True:
            last = self._held_until - seconds * _LEFT
            await asyncio.sleep(max(0.0, min(seconds / 4, last - time.monotonic())))
            now = time.monotonic()
            if now >= last or self._missed:
                log.warning("discord.lease_lost")
                if now >= self._held_until:
                    self._dispatch.inbound.lost()
                return
            try:
                async with asyncio.timeout(last - now):
                    held_now = await self._hold(names, most)
                if held_now != held:
                    log.warning("discord.shards_changed", held=held_now)
                    if not set(held) <= set(held_now):
                        self._dispatch.inbound.lost()
                    return
            except (StoreUnavailable, TimeoutError):
                continue
            if now - told >= _LATENCY_SECONDS:
                told = now
                for shard in held:
                    await self._tell(client, shard, "ready")

    def _told(self, client: GatewayClient, shard: int, state: str) -> None:
        if state in ("ready", "resumed"):
            self._down.discard(shard)
        elif state == "closed":
            self._down.add(shard)
        if self._down and state != "closed":
            self._say(PartState.DEGRADED, self._connecting(client), "")
        elif state in ("ready", "resumed"):
            missing = " and ".join(self._missing)
            if missing:
                self._say(
                    PartState.DEGRADED,
                    f"Connected without {missing}: only mentions and direct messages can be read."
                    if "Message Content" in self._missing
                    else f"Connected without {missing}.",
                    _switch_on(self._missing),
                )
            else:
                self._say(PartState.OK, f"Connected to {len(client.guilds)} servers.", "")
        elif state == "closed" and self.client is client:
            self._say(PartState.DEGRADED, "The connection was cut; it is made again.", "")
        self._dispatch.connection(shard, state)
        task = asyncio.get_running_loop().create_task(self._tell(client, shard, state))
        self._telling = task

    def _connecting(self, client: GatewayClient) -> str:
        held = len(client.shard_ids or ())
        there = held - len(self._down)
        return f"Connecting: {there} of {held} shards are there." if there else "Connecting."

    async def _tell(self, client: GatewayClient | None, shard: int, state: str) -> None:
        guilds = sum(1 for guild in client.guilds if guild.shard_id == shard) if client is not None else 0
        latency = client.latency_ms(shard) if client is not None else None
        await self._bus.publish(
            DISCORD_STATE, "state", {"shard": shard, "state": state, "latency_ms": latency, "guilds": guilds}
        )


async def _closed(client: GatewayClient, connection: asyncio.Task[None]) -> None:
    """Close the sockets and let the task of the connection end, whatever it ends with."""
    if not connection.done():
        with contextlib.suppress(Exception):
            async with asyncio.timeout(3.0):
                await client.close()
        connection.cancel()
    await asyncio.wait({connection})


def _switch_on(missing: Sequence[str] = ("Server Members", "Message Content")) -> str:
    return f"switch {' and '.join(missing)} on: {_PORTAL}, Privileged Gateway Intents"
