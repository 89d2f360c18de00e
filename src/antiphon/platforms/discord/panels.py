"""The dashboards on Discord: five messages in a server's log channel, posted once and edited in place ever after.

Two throttles stand before an edit: what looks as before is not sent, and a panel is edited at most once in its
interval, all panels together inside a budget of edits. Restarts find their panels again, by what was stored and by the
marker in their footers, so that there is never a second one; whatever is left over of earlier runs is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from antiphon.dashboards import fields
from antiphon.dashboards.board import Board
from antiphon.dashboards.fields import text, whole
from antiphon.dashboards.panel import PANELS, View
from antiphon.domain.clock import Clock
from antiphon.domain.errors import AntiphonError
from antiphon.domain.panels import PanelStore
from antiphon.platforms.discord.panel_embeds import Drawn, draw
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

POSTED = "posted"
"""The name under which the store keeps which message is which panel."""
ROWS = 10
_TICK_SECONDS = 0.25
_LOOK_SECONDS = 20.0
"""How often servers are looked for that want panels, or no longer; every second while there are none."""
_PAUSE_SECONDS = 300.0
"""For how long a server is left alone that does not let us write."""
_STOPPING_SECONDS = 2.0


class PanelsGone(Exception):
    """The message or the channel is not there any more."""


class PanelsRefused(Exception):
    """The bot may not do this there (any more). The message is public."""


class PanelsAway(Exception):
    """Discord does not answer now, or asks to wait: later."""


@dataclass(frozen=True, slots=True)
class PanelPlace:
    """A server that wants panels: its id, and the id or name of its log channel. `logs`: the Logs panel too."""

    server: str
    channel: str
    logs: bool


class PanelPort(Protocol):
    """What the panels need of Discord. Every other method may raise `PanelsGone`, `PanelsRefused` and `PanelsAway`."""

    async def places(self) -> Sequence[PanelPlace] | None:
        """The servers that want panels now, of those this process is connected for; None while nobody knows."""
        ...

    async def channel(self, place: PanelPlace) -> str:
        """The id of the log channel, made when there is none."""
        ...

    async def own_panels(self, channel: str) -> Sequence[tuple[str, str]]:
        """Our own panels there, as (panel, message id), newest first."""
        ...

    async def post(self, channel: str, drawn: Drawn) -> str:
        """Send a panel; its message id."""
        ...

    async def edit(self, channel: str, message: str, drawn: Drawn) -> None:
        """Change a panel."""
        ...

    async def delete(self, channel: str, message: str) -> None:
        """Take a message away. One that is not there is fine."""
        ...


@dataclass(slots=True)
class _Message:
    """One panel as it stands on Discord. `drawn` None: not known, so it is sent."""

    id: str
    view: View = field(default_factory=View)
    drawn: Drawn | None = None
    edited: float = float("-inf")
    version: int = -1
    looked: float = float("-inf")


@dataclass(slots=True)
class _Posted:
    """The panels of one server."""

    place: PanelPlace
    channel: str
    messages: dict[str, _Message] = field(default_factory=dict[str, _Message])


class Budget:
    """A token bucket: so many edits per second, at most `burst` at once."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may be made now."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class DiscordPanels:
    """Keeps the panels of every server that wants them. `interval` in seconds, `per_second` for all of them."""

    def __init__(
        self,
        board: Board,
        port: PanelPort,
        store: PanelStore,
        clock: Clock,
        *,
        interval: float,
        per_second: float,
    ) -> None:
        self._board = board
        self._port = port
        self._store = store
        self._clock = clock
        self._interval = interval
        self._budget = Budget(per_second, burst=max(len(PANELS), per_second))
        self._servers: dict[str, _Posted] = {}
        self._paused: dict[str, float] = {}
        self._remembered: Mapping[str, object] | None = None
        self._looked = float("-inf")

    # --- keeping up ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Post and edit until cancelled; then mark every panel as offline."""
        self._servers.clear()
        self._looked = float("-inf")
        try:
            while True:
                await self.step()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOPPING_SECONDS):
                    await self._mark_offline()

    async def step(self) -> None:
        """Do what is due now. Never raises for anything Discord may say."""
        now = self._now()
        if now >= self._looked + (_LOOK_SECONDS if self._servers else 1.0):
            self._looked = now
            await self._follow_places()
        due = [
            (message.edited, posted, name, message)
            for posted in self._servers.values()
            for name, message in posted.messages.items()
            if self._due(name, message, now)
        ]
        for _, posted, name, message in sorted(due, key=lambda one: one[0]):
            if self._servers.get(posted.place.server) is not posted:
                continue
            drawn = self._draw(posted, name, message)
            if drawn == message.drawn:
                continue
            if not self._budget.take(self._now()):
                return
            await self._edit(posted, name, message, drawn)

    def _due(self, name: str, message: _Message, now: float) -> bool:
        """Whether a panel may be edited again and could have changed: by an event, or with the time."""
        if now < message.edited + self._interval:
            return False
        if message.drawn is None or self._board.version(name) != message.version:
            return True
        return now >= message.looked + max(_LOOK_SECONDS, self._interval)

    def _draw(self, posted: _Posted, name: str, message: _Message) -> Drawn:
        message.version, message.looked = self._board.version(name), self._now()
        rows = ROWS if name in ("logs", "events", "voice") else None
        panel = self._board.panel(name, posted.place.server, message.view, size=rows)
        message.view = replace(message.view, page=panel.view.page)
        return draw(panel)

    async def _edit(self, posted: _Posted, name: str, message: _Message, drawn: Drawn) -> None:
        message.edited = self._now()
        try:
            await self._port.edit(posted.channel, message.id, drawn)
        except PanelsGone:
            await self._post_again(posted, name, message, drawn)
            return
        except PanelsRefused as error:
            self._pause(posted.place, error)
            return
        except PanelsAway:
            return  # with the next turn of this panel
        message.drawn = drawn
        metrics.DASHBOARD_UPDATES.labels(panel=name).inc()

    async def _post_again(self, posted: _Posted, name: str, message: _Message, drawn: Drawn) -> None:
        """Somebody deleted a panel, or the whole channel."""
        try:
            message.id, message.drawn = await self._port.post(posted.channel, drawn), drawn
        except PanelsGone:
            self._servers.pop(posted.place.server, None)
            self._looked = float("-inf")  # the channel is looked for, and perhaps made, with the next step
        except PanelsRefused as error:
            self._pause(posted.place, error)
        except PanelsAway:
            message.drawn = None
        else:
            metrics.DASHBOARD_UPDATES.labels(panel=name).inc()
            await self._store_posted()

    # --- places -------------------------------------------------------------------------------------------------------

    async def _follow_places(self) -> None:
        """Take up servers that want panels, leave those that do not."""
        await self._remember()
        places, now = await self._port.places(), self._now()
        if places is None:
            return
        wanted = {place for place in places if self._paused.get(place.server, 0.0) <= now}
        for server, posted in list(self._servers.items()):
            if posted.place not in wanted:
                del self._servers[server]
        for place in sorted(wanted, key=lambda place: place.server):
            if place.server not in self._servers:
                try:
                    self._servers[place.server] = await self._take_up(place)
                except (PanelsRefused, PanelsGone) as error:
                    self._pause(place, error)
                except PanelsAway as error:
                    log.info("panels.later", server=place.server, reason=str(error))
        await self._store_posted()

    async def _take_up(self, place: PanelPlace) -> _Posted:
        """Find the channel and the panels in it, delete what is there twice, post what is missing."""
        posted = _Posted(place, await self._port.channel(place))
        stored = self._stored_of(place.server, posted.channel)
        names = [name for name in PANELS if name != "logs" or place.logs]
        found = await self._port.own_panels(posted.channel)
        there: dict[str, list[str]] = {}
        for name, message in found:
            there.setdefault(name, []).append(message)
        spare: list[str] = []
        for name in PANELS:
            known, messages = stored.get(name, _Message("")), there.get(name, [])
            # One that was stored and is not among the last messages may be further up: an edit will tell.
            keep = known.id if known.id and (known.id in messages or not messages) else next(iter(messages), "")
            if name in names and keep:
                posted.messages[name] = _Message(keep, known.view)
            else:
                keep = ""
            spare += [message for message in {*messages, known.id} if message not in ("", keep)]
        for message in spare:
            await self._port.delete(posted.channel, message)
        for name in names:
            if name not in posted.messages:
                message = _Message("", stored[name].view if name in stored else View())
                drawn = self._draw(posted, name, message)
                message.id, message.edited = await self._port.post(posted.channel, drawn), self._now()
                message.drawn = drawn
                posted.messages[name] = message
                metrics.DASHBOARD_UPDATES.labels(panel=name).inc()
        log.info("panels.posted", server=place.server, found=len(found), deleted=len(spare))
        return posted

    def _pause(self, place: PanelPlace, error: Exception) -> None:
        self._servers.pop(place.server, None)
        self._paused[place.server] = self._now() + _PAUSE_SECONDS
        log.warning("panels.paused", server=place.server, reason=str(error), retry_in=_PAUSE_SECONDS)

    async def _mark_offline(self) -> None:
        """Say on every panel that it is no longer kept up. Each is one edit; the budget does not count any more."""
        since = self._clock.now()

        async def mark(posted: _Posted, name: str, message: _Message) -> None:
            panel = self._board.panel(name, posted.place.server, message.view, size=ROWS if name != "server" else None)
            with contextlib.suppress(PanelsGone, PanelsRefused, PanelsAway):
                await self._port.edit(posted.channel, message.id, draw(panel, offline_since=since))

        await self._store_posted()
        # Those that were left alone the longest first: where Discord's limit is used up, the others come too late.
        marks = [
            mark(posted, name, message)
            for _, posted, name, message in sorted(
                (
                    (message.edited, posted, name, message)
                    for posted in self._servers.values()
                    for name, message in posted.messages.items()
                ),
                key=lambda one: one[0],
            )
        ]
        await asyncio.gather(*marks)

    # --- buttons ------------------------------------------------------------------------------------------------------

    def press(self, server: str, message: str, action: str, value: str) -> Drawn | None:
        """Somebody who may pressed a button: what the message is to look like now. None: it is not a panel of ours."""
        posted = self._servers.get(server)
        found = (
            next(((name, one) for name, one in posted.messages.items() if one.id == message), None) if posted else None
        )
        if posted is None or found is None:
            return None
        name, panel = found
        match action:
            case "filter":
                panel.view = View(value[:40], 1, panel.view.q)
            case "page" if value.isascii() and value.isdigit() and len(value) < 6:
                panel.view = replace(panel.view, page=max(1, int(value)))
            case "search":
                panel.view = View(panel.view.filter, 1, value[:100])
            case _:
                return None
        drawn = self._draw(posted, name, panel)
        # Answering a press is exempt from the limits, but it is an edit all the same.
        panel.drawn, panel.edited = drawn, self._now()
        metrics.DASHBOARD_UPDATES.labels(panel=name).inc()
        return drawn

    # --- what is kept -------------------------------------------------------------------------------------------------

    async def _remember(self) -> None:
        if self._remembered is None:
            try:
                self._remembered = (await self._store.load()).get(POSTED, {})
            except AntiphonError as error:
                log.warning("panels.not_read", reason=error.code)

    def _stored_of(self, server: str, channel: str) -> dict[str, _Message]:
        """Which message of the channel was which panel before the restart, and what it showed."""
        kept = fields.mapping(fields.mapping(self._remembered or {}, "servers"), server)
        there = text(kept, "channel") == channel
        found: dict[str, _Message] = {}
        for name in PANELS:
            one = fields.mapping(fields.mapping(kept, "panels"), name)
            if one:
                view = View(text(one, "filter"), whole(one, "page") or 1, text(one, "q"))
                found[name] = _Message(text(one, "message") if there else "", view)
        return found

    async def _store_posted(self) -> None:
        servers: dict[str, object] = dict(fields.mapping(self._remembered or {}, "servers"))
        for server, posted in self._servers.items():
            panels = {
                name: {"message": one.id, "filter": one.view.filter, "page": one.view.page, "q": one.view.q}
                for name, one in posted.messages.items()
            }
            servers[server] = {"channel": posted.channel, "panels": panels}
        state: dict[str, object] = {"servers": servers}
        if self._remembered is not None and state != self._remembered:
            try:
                await self._store.save(POSTED, state, {})
            except AntiphonError as error:
                log.warning("panels.not_stored", reason=error.code)
            else:
                self._remembered = state

    def _now(self) -> float:
        return self._clock.now().timestamp()
