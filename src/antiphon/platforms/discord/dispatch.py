"""Where each dispatch of the gateway goes. Called by the gateway's client for everything it hears; never waits.

Holds the parts that live as long as one connection: the positions, the running commands, the voice rooms.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.platforms.discord.calling import Calling
from antiphon.platforms.discord.events import EventLog
from antiphon.platforms.discord.inbound import Inbound
from antiphon.platforms.discord.panels import DiscordPanels
from antiphon.platforms.discord.voice import VoiceRooms

if TYPE_CHECKING:
    from antiphon.platforms.discord.gateway import GatewayClient, GatewayPlaces

log = structlog.stdlib.get_logger(__name__)

_AGAIN_SECONDS = 5.0
"""After so long a part that failed is run again."""


class Dispatch:
    """Hands dispatches on. `begin` before the gateway connects, `close` after it has ended."""

    def __init__(
        self,
        *,
        inbound: Inbound,
        events: EventLog,
        calling: Calling,
        voice: VoiceRooms,
        panels: DiscordPanels,
        places: GatewayPlaces,
    ) -> None:
        self.inbound = inbound
        self.calling = calling
        self.voice = voice
        self._events = events
        self._panels = panels
        self._places = places
        self._me = ""
        self._running: list[asyncio.Task[None]] = []

    async def begin(self, me: str, application: str, shards: Sequence[int] = (0,), count: int = 1) -> None:
        """The bot is known and these of `count` shards are held."""
        self._me = me
        await self.inbound.begin(me, shards, count)
        jobs: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("discord-events", self._events.run),
            ("discord-voice", self.voice.run),
            ("discord-panels", self._panels.run),
            ("discord-commands", lambda: self.calling.register(application)),
        ]
        self._running = [asyncio.create_task(_kept_up(name, run), name=name) for name, run in jobs]

    def connect(self, client: GatewayClient) -> None:
        """This client hears from now on."""
        self._places.client = client
        self.voice.connect(client)

    async def leave(self) -> None:
        """The connection is about to be closed: leave the voice channels first, and hear no more."""
        self.inbound.disconnected()
        await self.voice.close()

    async def close(self) -> None:
        """End everything of the connection; what was not worked off is read again later."""
        await self.inbound.close()
        await self.calling.close()
        self.voice.connect(None)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        with contextlib.suppress(asyncio.CancelledError):
            self._places.client = None

    def connection(self, shard: int, state: str) -> None:
        """A shard's connection changed."""
        if state == "resumed":
            self.inbound.resumed(shard)
        elif state == "ready":
            self.voice.rejoin()
        elif state == "closed":
            self.inbound.disconnected(shard)

    def hear(self, name: str, data: Any) -> None:
        """A dispatch, by Discord's name of it."""
        if not isinstance(data, dict):
            data = {}
        match name:
            case "MESSAGE_CREATE":
                self.inbound.created(data)
            case "MESSAGE_UPDATE":
                self.inbound.edited(data)
            case "MESSAGE_DELETE":
                self.inbound.deleted(str(data["channel_id"]), str(data.get("guild_id") or ""), [str(data["id"])])
            case "MESSAGE_DELETE_BULK":
                ids = [str(id) for id in data.get("ids") or ()]
                self.inbound.deleted(str(data["channel_id"]), str(data.get("guild_id") or ""), ids)
            case "INTERACTION_CREATE":
                self.calling.feed(data)
            case "READY":
                shard = (data.get("shard") or [0, 1])[0]
                self.inbound.connected(int(shard), [str(guild["id"]) for guild in data.get("guilds") or ()])
            case "GUILD_CREATE":
                self.inbound.server_seen(data)
            case "VOICE_STATE_UPDATE":
                self.voice.changed(str(data.get("guild_id") or ""))
            case _:
                pass
        self._events.hear(name, data, self._me)


async def _kept_up(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part, and again after whatever it met: nobody waits for it, so that nobody would see it gone."""
    while True:
        try:
            await run()
            return
        except Exception:
            log.exception("discord.part_failed", part=name)
            await asyncio.sleep(_AGAIN_SECONDS)
