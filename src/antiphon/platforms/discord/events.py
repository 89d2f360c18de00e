"""What the gateway says beside messages for the agent: told on the bus for the dashboards, and kept as events.

Only ids and labels are told, never what was said. Publishing and keeping run beside the gateway, in batches; when they
cannot keep up, the oldest are dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import DISCORD_GATEWAY, DISCORD_MESSAGE, DISCORD_SERVER, Bus
from antiphon.domain.platforms import PlatformEvent, PlatformStore
from antiphon.platforms.discord.ids import PLATFORM, channel_key
from antiphon.platforms.discord.panel_embeds import panel_of
from antiphon.platforms.discord.reading import Json, clean, sender_of
from antiphon.platforms.discord.taking import Places

log = structlog.stdlib.get_logger(__name__)

_MOST_WAITING = 5000
_BATCH = 200
_PAUSE = 0.25
_RETRY = 1.0
_TOLD_ALONE = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_CREATE", "VOICE_STATE_UPDATE"})
"""Told on the bus, not kept: they are rows elsewhere, or only of the moment."""
_KEPT = frozenset(
    {
        *("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"),
        *("GUILD_MEMBER_UPDATE", "GUILD_BAN_ADD", "GUILD_BAN_REMOVE", "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE"),
        *("GUILD_ROLE_DELETE", "CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE", "THREAD_CREATE"),
        *("THREAD_UPDATE", "THREAD_DELETE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD"),
        *("MESSAGE_REACTION_REMOVE", "GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_UPDATE"),
        *("GUILD_SCHEDULED_EVENT_DELETE", "AUTO_MODERATION_ACTION_EXECUTION", "GUILD_AUDIT_LOG_ENTRY_CREATE"),
    }
)
_FACTS = frozenset(
    {
        *("GUILD_CREATE", "GUILD_UPDATE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE", "GUILD_ROLE_CREATE"),
        *("GUILD_ROLE_DELETE", "CHANNEL_CREATE", "CHANNEL_DELETE"),
    }
)
"""After these the facts of a server are told anew."""


def _is_panel(data: Json) -> bool:
    """Whether a message of ours is a panel of the dashboard."""
    footers = (str((embed.get("footer") or {}).get("text") or "") for embed in data.get("embeds") or ())
    return any(panel_of(footer) is not None for footer in footers)


Facts = Callable[[str], "dict[str, object] | None"]


class EventLog:
    """Tells and keeps events. `run` it beside the gateway."""

    def __init__(self, bus: Bus, store: PlatformStore, places: Places, facts: Facts, clock: Clock) -> None:
        self._bus = bus
        self._store = store
        self._places = places
        self._facts = facts
        self._clock = clock
        self._told: deque[tuple[str, str, dict[str, object]]] = deque(maxlen=_MOST_WAITING)
        self._kept: deque[PlatformEvent] = deque(maxlen=_MOST_WAITING)
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()

    def hear(self, name: str, data: Json, me: str) -> None:
        """Take a dispatch. Returns at once."""
        if name in _FACTS:
            server = str(data.get("guild_id") or data.get("id") or "")
            self._changed[server] = None
        own = str((data.get("author") or {}).get("id", "")) == me
        if own and (name == "MESSAGE_UPDATE" or _is_panel(data)):
            return  # edits of our own are no news; a panel that changed would change the panel of events, for ever
        if name.startswith("MESSAGE_"):
            self._count(name, data, me)
        if name in _KEPT or name in _TOLD_ALONE:
            payload = self._payload(name, data)
            self._told.append((DISCORD_GATEWAY, "gateway", payload))
            if name in _KEPT:
                self._kept.append(self._event(name, data, payload))
        self._wake.set()

    def _count(self, name: str, data: Json, me: str) -> None:
        """One message more, for the figures of the Messages panel."""
        author = data.get("author") or {}
        own = str(author.get("id", "")) == me
        kind = {"MESSAGE_CREATE": "message", "MESSAGE_UPDATE": "edit"}.get(name, "delete")
        if name.startswith("MESSAGE_REACTION") or (kind == "edit" and (own or not data.get("edited_timestamp"))):
            return
        payload: dict[str, object] = {
            "server": str(data.get("guild_id") or ""),
            "channel": str(data.get("channel_id") or ""),
            "direction": "out" if own else "in",
            "kind": kind,
            "command": "",
        }
        self._told.append((DISCORD_MESSAGE, "message", payload))

    def _payload(self, name: str, data: Json) -> dict[str, object]:
        server = str(data.get("guild_id") or (data.get("id") if name.startswith("GUILD_") else "") or "")
        channel = str(
            data.get("channel_id") or (data.get("id") if name.startswith(("CHANNEL", "THREAD")) else "") or ""
        )
        user = data.get("user") or data.get("author") or (data.get("member") or {}).get("user") or {}
        label = sender_of({"author": user, "member": data.get("member")}).name if user.get("id") else ""
        place = ""
        if channel:
            place = clean(str(data.get("name") or "")) if "CHANNEL" in name or "THREAD" in name else ""
            place = place or self._places.name_of(server, "channel", channel)
        return {
            "event": name,
            "server": server,
            "channel": channel,
            "place": f"#{place}" if place else "",
            "person": str(user.get("id") or data.get("user_id") or ""),
            "name": label,
            "detail": "",
        }

    def _event(self, name: str, data: Json, payload: dict[str, object]) -> PlatformEvent:
        channel = str(payload["channel"])
        kept: dict[str, object] = {"channel": channel} if channel else {}
        if name.startswith("MESSAGE_"):
            kept["messages"] = [str(id) for id in data.get("ids") or [data.get("message_id") or data.get("id")]]
        return PlatformEvent(
            platform=PLATFORM,
            name=name,
            at=self._clock.now(),
            server=str(payload["server"]),
            channel=channel_key(channel) if channel else "",
            account=str(payload["person"]),
            payload=kept,
        )

    async def run(self) -> None:
        """Publish and keep until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for _ in range(min(len(self._told), _BATCH)):
                topic, name, payload = self._told.popleft()
                await self._bus.publish(topic, name, payload)
            await self._tell_facts()
            await self._keep()
            if self._told or self._kept:
                self._wake.set()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(_PAUSE)

    async def _tell_facts(self) -> None:
        changed, self._changed = self._changed, {}
        for server in changed:
            if (facts := self._facts(server)) is not None:
                await self._bus.publish(DISCORD_SERVER, "server", facts)

    async def _keep(self) -> None:
        batch = [self._kept.popleft() for _ in range(min(len(self._kept), _BATCH))]
        if not batch:
            return
        try:
            await self._store.add_events(batch)
        except StoreUnavailable:
            self._kept.extendleft(reversed(batch))
            await asyncio.sleep(_RETRY)
