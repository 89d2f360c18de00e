"""The state of the five panels, kept from the events of the bus. Build one per process and hand it every event.

`hear` is called for each event that passes (thousands in a second under a storm), so it counts and remembers and draws
nothing; `panel` draws when somebody looks. A version per panel says whether looking again is worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from antiphon.dashboards.events import EventsPanel
from antiphon.dashboards.fields import Payload, text, whole
from antiphon.dashboards.logs import LogsPanel
from antiphon.dashboards.messages import MessagesPanel
from antiphon.dashboards.panel import PANELS, Panel, View
from antiphon.dashboards.server import ServerPanel
from antiphon.dashboards.voice import VoicePanel
from antiphon.domain.clock import Clock
from antiphon.domain.errors import NotFound
from antiphon.domain.events import (
    COMMAND_USED,
    DISCORD_API,
    DISCORD_GATEWAY,
    DISCORD_MESSAGE,
    DISCORD_SERVER,
    DISCORD_STATE,
    DISCORD_VOICE,
    BusEvent,
)
from antiphon.telemetry.recent import LogLine, Recent

_TURN = "turn."
_DISCORD = "turn.discord:"


class Board:
    """Everything the panels show. Lives on one event loop; log lines may come from anywhere."""

    def __init__(self, clock: Clock, lines: Recent[LogLine]) -> None:
        self._clock = clock
        self._server = ServerPanel()
        self._logs = LogsPanel(lines)
        self._events = EventsPanel()
        self._messages = MessagesPanel()
        self._voice = VoicePanel()
        self._versions: dict[str, int] = dict.fromkeys(PANELS, 0)
        self._handlers: dict[str, Callable[[Payload, datetime], tuple[str, ...]]] = {
            DISCORD_GATEWAY: self._gateway,
            DISCORD_STATE: self._state,
            DISCORD_SERVER: self._facts,
            DISCORD_MESSAGE: self._message,
            DISCORD_VOICE: self._speakers,
            DISCORD_API: self._call,
            COMMAND_USED: self._command,
        }

    # --- what happens -------------------------------------------------------------------------------------------------

    def hear(self, event: BusEvent) -> None:
        """Take an event of the bus into account. Events that concern no panel cost a look-up."""
        handler = self._handlers.get(event.topic)
        if handler is not None:
            changed = handler(event.payload, event.at)
        elif event.topic.startswith(_TURN) and not event.topic.startswith(_DISCORD):
            changed = self._turn(event)
        else:
            return
        for name in changed:
            self._versions[name] += 1

    def _gateway(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._events.gateway(payload, at)
        if text(payload, "event").lower() == "guild_delete" and payload.get("unavailable") is not True:
            self._server.gone(text(payload, "server"))
            self._voice.gone(text(payload, "server"))
            return ("events", "server", "voice")
        return ("events",)

    def _state(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        if self._server.connection(payload, at):
            self._events.connection(payload, at)
            return ("server", "events")
        return ("server",)

    def _facts(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._server.server(payload, at)
        return ("server",)

    def _message(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._messages.message(payload, at)
        return ("messages",)

    def _speakers(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._voice.voice(payload, at)
        return ("voice",)

    def _call(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._server.call(payload, at)
        return ()  # shown with the next change: an edit of a panel is a call too

    def _command(self, payload: Payload, at: datetime) -> tuple[str, ...]:
        self._messages.command(payload, at)
        return ("messages",)

    def _turn(self, event: BusEvent) -> tuple[str, ...]:
        """Conversations elsewhere: one start is one thing said, one reply one answer."""
        if event.name == "turn.started" and whole(event.payload, "attempt") == 1:
            self._messages.said("", event.at)
        elif event.name == "reply":
            self._messages.replied("", event.at)
        elif event.name == "turn.failed" and event.payload.get("retrying") is False:
            self._messages.failed("", event.at)
        else:
            return ()
        return ("messages",)

    # --- what is shown ------------------------------------------------------------------------------------------------

    @property
    def servers(self) -> dict[str, str]:
        """The servers there are: id and name."""
        return self._server.names

    @property
    def connected(self) -> bool:
        """Whether Discord is connected."""
        return self._server.connected

    def version(self, name: str) -> int:
        """Grows with every change of a panel, whichever server it concerns."""
        return self._logs.last if name == "logs" else self._versions[name]

    def panel(self, name: str, server: str = "", view: View | None = None, *, size: int | None = None) -> Panel:
        """A panel as it is now. `server` "" is everywhere. Raises `NotFound`."""
        view, now = view or View(), self._clock.now()
        rows = {} if size is None else {"size": size}
        match name:
            case "server":
                return self._server.panel(server, view, now)
            case "logs":
                return self._logs.panel(view, **rows)
            case "events":
                return self._events.panel(server, view, now, **rows)
            case "messages":
                return self._messages.panel(server, view, now)
            case "voice":
                return self._voice.panel(server, view, now, **rows)
            case _:
                raise NotFound("There is no such panel.")

    # --- what is kept -------------------------------------------------------------------------------------------------

    def dump(self, name: str) -> dict[str, object]:
        """What of a panel outlives a restart, as JSON."""
        return self._parts()[name].dump()

    def load(self, name: str, stored: Payload) -> None:
        """Take back what was kept of a panel."""
        self._parts()[name].load(stored)
        if name != "logs":
            self._versions[name] += 1

    def _parts(self) -> dict[str, ServerPanel | LogsPanel | EventsPanel | MessagesPanel | VoicePanel]:
        return {
            "server": self._server,
            "logs": self._logs,
            "events": self._events,
            "messages": self._messages,
            "voice": self._voice,
        }
