"""The connection to Discord's gateway: the library's client, listened to where it hears.

The only module beside `voice.py` that imports the library. What people write is taken as Discord sends it, before the
library makes objects of it: nothing here keeps messages or members, so a process can serve large servers.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import discord
import structlog
from discord.gateway import KeepAliveHandler

from antiphon.platforms.discord.budget import RateBudget
from antiphon.platforms.discord.errors import REFUSALS, GatewayRefused, TokenRefused
from antiphon.platforms.discord.reading import Json, Myself, Place, clean
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

_OURS = frozenset(
    {"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "INTERACTION_CREATE"}
    | {"MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"}
)
"""Dispatches that the library need not look at."""
_UNHEARD = frozenset({"PRESENCE_UPDATE", "TYPING_START", "GUILD_MEMBERS_CHUNK"})

IDENTIFY_SECONDS = 5.1
"""Between two sessions of one bot that begin."""

Hear = Callable[[str, Json], None]
Told = Callable[[int, str], None]


class IntentsRefused(Exception):
    """The application may not use the privileged intents it asked for (close code 4014)."""


def intents(*, members: bool = True, content: bool = True) -> discord.Intents:
    """What the agent needs to hear. The two privileged ones can be left out, when they are not switched on."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.dm_messages = wanted.voice_states = True
    wanted.moderation = wanted.guild_reactions = wanted.guild_scheduled_events = True
    wanted.auto_moderation_execution = True
    wanted.members, wanted.message_content = members, content
    return wanted


class GatewayClient(discord.AutoShardedClient):
    """The library's client for some shards, telling `hear` of each dispatch and `told` of each shard's state."""

    def __init__(
        self,
        *,
        shard_ids: Sequence[int],
        shard_count: int,
        wanted: discord.Intents,
        connector: aiohttp.BaseConnector,
        budget: RateBudget,
        hear: Hear,
        told: Told,
    ) -> None:
        super().__init__(
            intents=wanted,
            shard_ids=list(shard_ids),
            shard_count=shard_count,
            connector=connector,
            http_trace=_budgeted(budget),
            max_messages=None,
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.5,
            member_cache_flags=discord.MemberCacheFlags(voice=True, joined=False),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self._told = told
        self._identified = float("-inf")
        self._listen(hear)

    def _listen(self, hear: Hear) -> None:
        parsers: dict[str, Callable[[Any], None]] = self._connection.parsers

        def listened(name: str, parse: Callable[[Any], None] | None) -> Callable[[Any], None]:
            counted = metrics.DISCORD_EVENTS.labels(event=name)

            def heard(data: Any) -> None:
                counted.inc()
                if parse is not None:
                    parse(data)
                try:
                    hear(name, data)
                except Exception:
                    log.exception("discord.event_failed", dispatch=name)

            return heard

        for name in set(parsers) | _OURS:
            if name not in _UNHEARD:
                parsers[name] = listened(name, None if name in _OURS else parsers[name])

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Keep Discord's distance between two sessions, and no longer: the library would always wait it out."""
        del shard_id, initial
        await asyncio.sleep(max(0.0, self._identified + IDENTIFY_SECONDS - time.monotonic()))
        self._identified = time.monotonic()

    async def connect_until_closed(self, token: str) -> None:
        """Log in and stay connected; the library resumes after cuts.

        Raises `TokenRefused`, `IntentsRefused` or `GatewayRefused`.
        """
        try:
            await self.start(token)
        except discord.LoginFailure as error:
            raise TokenRefused(401, 0, "login") from error
        except discord.PrivilegedIntentsRequired as error:
            raise IntentsRefused from error
        except discord.ConnectionClosed as error:
            if error.code == 4004:
                raise TokenRefused(401, 0, "gateway") from error
            if error.code == 4014:
                raise IntentsRefused from error
            if error.code in REFUSALS:
                raise GatewayRefused(error.code) from error
            raise
        finally:
            if not self.is_closed():
                await asyncio.shield(self.close())

    async def close(self) -> None:
        """End every connection, also one that is only beginning: the library forgets those, and their threads."""
        await super().close()
        for thread in threading.enumerate():
            if isinstance(thread, KeepAliveHandler) and getattr(thread.ws, "_connection", None) is self._connection:
                await thread.ws.close()

    # --- states, as the library tells them ----------------------------------------------------------------------------

    async def on_shard_connect(self, shard_id: int) -> None:
        """The socket is open."""
        self._told(shard_id, "connecting")

    async def on_shard_ready(self, shard_id: int) -> None:
        """The session is whole."""
        self._told(shard_id, "ready")

    async def on_shard_resumed(self, shard_id: int) -> None:
        """The session goes on after a cut."""
        self._told(shard_id, "resumed")

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """The connection is cut; the library connects again."""
        self._told(shard_id, "closed")

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """What one of the handlers above threw."""
        log.exception("discord.handler_failed", handler=event_method)

    @property
    def whole(self) -> bool:
        """Whether the servers of every shard are those of this process."""
        return len(self.shard_ids or ()) == self.shard_count

    def latency_ms(self, shard: int) -> float | None:
        """Milliseconds to the gateway and back, None before the first heartbeat."""
        info = self.get_shard(shard)
        latency = info.latency if info is not None else math.nan
        return round(latency * 1000, 1) if math.isfinite(latency) else None


class GatewayPlaces:
    """Implements `inbound.Places` from what the library keeps of servers and channels."""

    def __init__(self) -> None:
        self.client: GatewayClient | None = None

    def place(self, channel: str, server: str) -> Place:
        """A channel or thread. One that is not known belongs to `server`, or is a direct conversation without one."""
        client = self.client
        guild = client.get_guild(int(server)) if client and server else None
        found: Any = None
        if client is not None:
            found = guild.get_channel_or_thread(int(channel)) if guild else client.get_channel(int(channel))
        if found is None or not isinstance(found, discord.abc.GuildChannel | discord.Thread):
            return Place(channel, server, guild.name if guild else "")
        guild = found.guild
        thread = isinstance(found, discord.Thread)
        parent = found.parent if thread else None
        category = getattr(parent or found, "category_id", None)
        return Place(
            id=channel,
            server=str(guild.id),
            server_name=guild.name,
            name=found.name,
            parents=tuple(str(one) for one in ((found.parent_id if thread else None), category) if one),
            thread=thread,
            own_thread=thread and found.owner_id == (client.user.id if client and client.user else 0),
        )

    def readable(self, channel: str) -> bool:
        """Whether the bot may read the history there, as far as is known."""
        found = self.client.get_channel(int(channel)) if self.client is not None else None
        if not isinstance(found, discord.abc.GuildChannel | discord.Thread) or found.guild.me is None:
            return True
        try:
            allowed = found.permissions_for(found.guild.me)
        except discord.ClientException:  # a thread whose channel is not known
            return True
        return allowed.view_channel and allowed.read_message_history

    def name_of(self, server: str, kind: str, id: str) -> str:
        """The name of a `role` or `channel`, "" when it is unknown."""
        guild = self.client.get_guild(int(server)) if self.client and server else None
        if guild is None:
            return ""
        found = guild.get_role(int(id)) if kind == "role" else guild.get_channel_or_thread(int(id))
        return clean(found.name) if found is not None else ""

    def facts(self, server: str) -> dict[str, object] | None:
        """What the dashboards say about a server; None when the bot is not in it (any more)."""
        guild = self.client.get_guild(int(server)) if self.client is not None and server.isdigit() else None
        if guild is None:
            return None
        owner = guild.owner
        return {
            "server": server,
            "name": clean(guild.name),
            "icon": guild.icon.url if guild.icon is not None else "",
            "owner": clean(owner.display_name) if owner is not None else str(guild.owner_id or ""),
            "boost_level": int(guild.premium_tier),
            "boosts": guild.premium_subscription_count,
            "features": sorted(guild.features),
            "members": guild.member_count or 0,
            "online": None,
            "channels": len(guild.channels),
            "roles": len(guild.roles),
        }

    def myself(self, server: str) -> Myself:
        """The bot as it is called there."""
        client = self.client
        if client is None or client.user is None:
            return Myself("0")
        guild = client.get_guild(int(server)) if server else None
        names = [client.user.global_name, client.user.name]
        if guild is not None and guild.me is not None:
            names.insert(0, guild.me.nick)
        role = guild.self_role if guild is not None else None
        return Myself(
            id=str(client.user.id),
            names=tuple(dict.fromkeys(name for name in names if name)),
            role=str(role.id) if role is not None else "",
        )


def _budgeted(budget: RateBudget) -> aiohttp.TraceConfig:
    """Makes the library's own requests take their turn among all of the bot's, and counts them."""
    trace = aiohttp.TraceConfig()

    async def begins(session: object, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        del session, context
        if params.url.path.startswith("/api/") and "/interactions/" not in params.url.path:
            await budget.global_turn(30.0)

    async def ended(session: object, context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        del session, context
        status = params.response.status
        if params.url.path.startswith("/api/"):
            metrics.DISCORD_CALLS.labels(route="library", status=str(status)).inc()
            if status in (401, 403, 429):
                budget.refused()

    trace.on_request_start.append(begins)
    trace.on_request_end.append(ended)
    return trace
