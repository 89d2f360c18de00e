"""The panel Events: what the gateway told us, newest first. Ids and labels; never what was said."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from antiphon.dashboards.fields import Payload, objects, text
from antiphon.dashboards.panel import Panel, Row, Tone, View, moment, page_of

KEPT = 200
"""Events kept of one server."""
PER_PAGE = 8
_RATE_OVER = timedelta(minutes=10)
_OUTLIVE = 1000
"""Events of all servers that outlive a restart."""
_OLDEST = timedelta(days=7)
"""Events, and with them the labels of people, are kept no longer than this."""

FILTERS = (("", "All"), ("people", "People"), ("messages", "Messages"), ("server", "Server"))

# event -> (filter group, icon, words). {who} and {place} are filled with labels, or with what a platform calls them.
_WORDS: dict[str, tuple[str, str, str]] = {
    "message_create": ("messages", "chat", "{who} wrote in {place}"),
    "message_update": ("messages", "pen", "{who} edited a message in {place}"),
    "message_delete": ("messages", "trash", "A message in {place} was deleted"),
    "message_delete_bulk": ("messages", "trash", "Several messages in {place} were deleted"),
    "message_reaction_add": ("messages", "good", "{who} reacted in {place}"),
    "message_reaction_remove": ("messages", "good", "{who} took a reaction back in {place}"),
    "guild_create": ("server", "plus", "The server became available"),
    "guild_update": ("server", "settings", "The server's settings changed"),
    "guild_delete": ("server", "cross", "The server became unavailable"),
    "guild_member_add": ("people", "people", "{who} joined"),
    "guild_member_remove": ("people", "leave", "{who} left"),
    "guild_member_update": ("people", "people", "{who} has other roles or another name"),
    "guild_ban_add": ("people", "shield", "{who} was banned"),
    "guild_ban_remove": ("people", "shield", "{who} is no longer banned"),
    "guild_role_create": ("server", "shield", "A role was made"),
    "guild_role_update": ("server", "shield", "A role was changed"),
    "guild_role_delete": ("server", "shield", "A role was deleted"),
    "channel_create": ("server", "plus", "{place} was made"),
    "channel_update": ("server", "settings", "{place} was changed"),
    "channel_delete": ("server", "trash", "A channel was deleted"),
    "thread_create": ("server", "plus", "The thread {place} was opened"),
    "thread_update": ("server", "settings", "The thread {place} was changed"),
    "thread_delete": ("server", "trash", "A thread was deleted"),
    "voice_state_update": ("people", "listening", "{who} changed voice in {place}"),
    "interaction_create": ("messages", "send", "{who} used a command in {place}"),
    "auto_moderation_action_execution": ("server", "shield", "Auto-moderation acted in {place}"),
    "ready": ("server", "check", "The gateway is connected"),
    "resumed": ("server", "again", "The gateway resumed"),
    "connecting": ("server", "again", "The gateway connects"),
    "closed": ("server", "error", "The gateway closed the connection"),
}
_TONES = {"closed": Tone.ERROR, "guild_delete": Tone.WARNING, "guild_ban_add": Tone.WARNING}


class EventsPanel:
    """The last events of every server; those of the connection itself belong to all of them."""

    def __init__(self) -> None:
        self._events: dict[str, deque[tuple[datetime, Payload]]] = {}

    def gateway(self, payload: Payload, at: datetime) -> None:
        """`discord.gateway`: one dispatch."""
        kept = {
            name: text(payload, name) for name in ("event", "server", "channel", "place", "person", "name", "detail")
        }
        self._of(kept["server"]).append((at, {name: value for name, value in kept.items() if value}))

    def connection(self, payload: Payload, at: datetime) -> None:
        """`discord.state`: a shard connected, resumed or closed."""
        event = {"event": text(payload, "state"), "detail": f"shard {text(payload, 'shard') or 0}"}
        self._of("").append((at, event))

    def _of(self, server: str) -> deque[tuple[datetime, Payload]]:
        return self._events.setdefault(server, deque(maxlen=KEPT))

    def panel(self, server: str, view: View, now: datetime, *, size: int = PER_PAGE) -> Panel:
        """The events of one server and of the connection; "" is of everywhere."""
        self._forget(now - _OLDEST)
        names = {server, ""} if server else self._events.keys()
        wanted = [self._events[name] for name in names if name in self._events]
        found = sorted((event for events in wanted for event in events), key=lambda event: event[0])[::-1]
        recent = sum(1 for at, _ in found if at > now - _RATE_OVER)
        view = view if view.filter in dict(FILTERS) else View("", view.page, view.q)
        words = view.q.strip().lower()
        drawn = (_row(at, payload) for at, payload in found if not view.filter or _group(payload) == view.filter)
        rows = [row for row in drawn if not words or words in row.text.lower()]
        shown, view, pages = page_of(rows, view, size)
        return Panel(
            name="events",
            title="Events",
            note=f"{recent / 10:.1f} per minute",
            rows=shown,
            filters=FILTERS,
            view=view,
            pages=pages,
            total=len(rows),
            empty="No event fits." if found else "No event yet. They come once Discord is connected.",
        )

    def _forget(self, before: datetime) -> None:
        for events in self._events.values():
            while events and events[0][0] < before:
                events.popleft()

    def dump(self) -> dict[str, object]:
        """The last events of all servers, the oldest first."""
        found = sorted((event for events in self._events.values() for event in events), key=lambda event: event[0])
        return {"events": [{"at": at.isoformat(), **payload} for at, payload in found[-_OUTLIVE:]]}

    def load(self, stored: Payload) -> None:
        """Put what was kept before what came since."""
        rows = objects(stored, "events", most=100_000)
        for row in reversed(rows):
            at = moment(row.get("at"))
            events = self._of(text(row, "server"))
            if at is not None and len(events) < KEPT:
                events.appendleft((at, {name: text(row, name) for name in row if name != "at"}))


def _group(payload: Payload) -> str:
    return _WORDS.get(text(payload, "event").lower(), ("server", "", ""))[0]


def _row(at: datetime, payload: Payload) -> Row:
    event = text(payload, "event").lower()
    who = text(payload, "name") or text(payload, "person") or "somebody"
    place = text(payload, "place") or text(payload, "channel") or "a channel"
    if known := _WORDS.get(event):
        icon, sentence = known[1], known[2].format(who=who, place=place)
    else:
        icon, sentence = "events", event.replace("_", " ").capitalize()
    return Row(
        text=sentence,
        at=at,
        kind=icon,
        tone=_TONES.get(event, Tone.PLAIN),
        detail=text(payload, "detail"),
    )
