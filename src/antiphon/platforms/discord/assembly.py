"""Puts the parts of Discord together. Called by `run.wiring`, which gives the ports.

`DiscordFace` is what every process with the token has: delivery and authority over REST. `open_gateway` adds what the
one process has that holds the connection; only there the library is imported.
"""

from __future__ import annotations

import time

from antiphon.config import Settings
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord.authority import DiscordAuthority
from antiphon.platforms.discord.budget import RateBudget
from antiphon.platforms.discord.delivery import DeliveryOptions, DiscordPlatform
from antiphon.platforms.discord.ports import DiscordPorts
from antiphon.platforms.discord.reading import Manners
from antiphon.platforms.discord.rest import DiscordRest
from antiphon.platforms.discord.service import DiscordService
from antiphon.platforms.discord.transport import open_connector

_MANNERS_SECONDS = 15.0


class DiscordFace:
    """REST in the bot's name: how replies leave and authority is asked for, in any process. `aclose` it."""

    def __init__(self, settings: Settings, ports: DiscordPorts) -> None:
        discord = settings.discord
        self.api = DiscordRest(
            discord.token.get_secret_value(),
            discord.api_url,
            connector=open_connector(discord),
            budget=RateBudget(ports.counter),
            bus=ports.bus,
        )
        patience = min(5.0, settings.outbox.lease_seconds * 0.4)
        self.platform = DiscordPlatform(self.api, ports.store, ports.approval_store, DeliveryOptions(patience=patience))
        self.authority = DiscordAuthority(self.api, ports.people, ports.clock)

    async def aclose(self) -> None:
        """End every connection."""
        await self.api.aclose()


class ServerManners:
    """What counts as talking to the agent in each server; looked up again now and then, and when it was changed."""

    def __init__(self, settings: Settings, store: PlatformStore) -> None:
        self._settings = settings.discord
        self._store = store
        self._known: dict[str, tuple[float, Manners]] = {}

    def forget(self, server: str) -> None:
        """It was changed."""
        self._known.pop(server, None)

    async def __call__(self, server: str) -> Manners:
        """Of a server by Discord's id; "" is outside of servers."""
        now = time.monotonic()
        known = self._known.get(server)
        if known is not None and now - known[0] < _MANNERS_SECONDS:
            return known[1]
        every = self._settings
        own = await self._store.discord_of(server) if server else None
        manners = Manners(
            prefix=every.prefix if own is None or own.prefix is None else own.prefix,
            names=own.names if own is not None and own.names else every.names,
            channels=frozenset({*every.channels, *(own.channels if own is not None else ())}),
            allowed_bots=frozenset({*every.allowed_bots, *(own.allowed_bots if own is not None else ())}),
            threads=every.threads if own is None or own.threads is None else own.threads,
        )
        self._known[server] = (now, manners)
        return manners


def open_gateway(settings: Settings, face: DiscordFace, ports: DiscordPorts) -> DiscordService:
    """The connection of this process; imports the library."""
    from antiphon.platforms.discord.calling import Calling
    from antiphon.platforms.discord.command_list import CommandList, CommandParts
    from antiphon.platforms.discord.commands import Commands
    from antiphon.platforms.discord.dispatch import Dispatch
    from antiphon.platforms.discord.events import EventLog
    from antiphon.platforms.discord.gateway import GatewayPlaces
    from antiphon.platforms.discord.inbound import Inbound
    from antiphon.platforms.discord.panel_buttons import PanelButtons
    from antiphon.platforms.discord.panel_embeds import BUTTON
    from antiphon.platforms.discord.panel_port import RestPanelPort
    from antiphon.platforms.discord.panels import DiscordPanels
    from antiphon.platforms.discord.taking import Taking
    from antiphon.platforms.discord.voice import VoiceRooms

    places, manners, commands = GatewayPlaces(), ServerManners(settings, ports.store), Commands(ports.bus)
    voice = VoiceRooms(ports.bus, ports.clock)
    listed = CommandList(
        CommandParts(
            store=ports.store,
            authority=face.authority,
            approvals=ports.approvals,
            memories=ports.memories,
            forget=ports.forget,
            erase=ports.erase,
            voice=voice,
            receive=ports.receive,
            parts=ports.parts,
            settings_changed=manners.forget,
            receiver=lambda: places.myself("").id,
        ),
        commands,
    )
    calling = Calling(commands, listed, face.api, ports.store, places, ports.clock)
    panels = DiscordPanels(
        ports.board,
        RestPanelPort(face.api, ports.store, lambda: places.client, settings.discord.log_channel),
        ports.panels,
        ports.clock,
        interval=settings.dashboards.interval_seconds,
        per_second=settings.dashboards.edits_per_second,
    )
    calling.handle(f"{BUTTON}:", PanelButtons(panels))
    taking = Taking(
        receive=ports.receive,
        cancel=ports.cancel,
        store=ports.store,
        api=face.api,
        places=places,
        manners=manners,
        commands=lambda: commands.names,
        clock=ports.clock,
        message_chars=settings.limits.message_chars,
    )
    inbound = Inbound(
        taking=taking,
        run_command=calling.written,
        store=ports.store,
        api=face.api,
        places=places,
        clock=ports.clock,
        backfill_hours=settings.discord.backfill_hours,
    )
    dispatch = Dispatch(
        inbound=inbound,
        events=EventLog(ports.bus, ports.store, places, places.facts, ports.clock),
        calling=calling,
        voice=voice,
        panels=panels,
        places=places,
    )
    return DiscordService(
        settings.discord, api=face.api, leases=ports.leases, bus=ports.bus, dispatch=dispatch, owner=ports.owner
    )
