"""The panel Server: what the platform says about a server, how the gateway is, and what is left of the API's limits."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from antiphon.dashboards.fields import Payload, number, objects, text, whole, words
from antiphon.dashboards.panel import Cell, Panel, Tone, View, moment

REQUESTS_PER_SECOND = 50
"""What Discord allows one bot in a second, all routes together."""
_HIGHEST_BOOST = 3
_WINDOW_SECONDS = 60.0
_READY = frozenset({"ready", "resumed"})
_STATES = {
    "connecting": (Tone.BUSY, "connecting"),
    "ready": (Tone.GOOD, "connected"),
    "resumed": (Tone.GOOD, "connected"),
    "closed": (Tone.ERROR, "not connected"),
}


class ServerPanel:
    """Facts of every server, and of the one connection to Discord that all of them share."""

    def __init__(self) -> None:
        self._servers: dict[str, Payload] = {}
        self._shards: dict[int, Payload] = {}
        self._since: dict[int, datetime] = {}
        self._calls: deque[float] = deque(maxlen=4 * REQUESTS_PER_SECOND * int(_WINDOW_SECONDS))
        self._edits: tuple[int, int] | None = None
        self._refused = 0
        self._changed: datetime | None = None

    # --- what happens -------------------------------------------------------------------------------------------------

    def server(self, payload: Payload, at: datetime) -> None:
        """`discord.server`: a server's facts, whole."""
        self._servers[text(payload, "server")] = dict(payload)
        self._changed = at

    def gone(self, server: str) -> None:
        """The bot is no longer in a server."""
        self._servers.pop(server, None)

    def connection(self, payload: Payload, at: datetime) -> bool:
        """`discord.state`: one shard of the gateway. Whether its state is another one now, or only the latency."""
        shard = whole(payload, "shard") or 0
        state = text(payload, "state")
        before = text(self._shards.get(shard, {}), "state")
        if (state in _READY) != (before in _READY) or shard not in self._since:
            self._since[shard] = at
        self._shards[shard] = dict(payload)
        self._changed = at
        return state != before

    def call(self, payload: Payload, at: datetime) -> None:
        """`discord.api`: one request to the REST API. What changes by it is shown with the next thing that changes."""
        self._calls.append(at.timestamp())
        if whole(payload, "status") == 429:
            self._refused += 1
        route, left, limit = text(payload, "route"), whole(payload, "remaining"), whole(payload, "limit")
        if route.startswith("PATCH") and "messages" in route and left is not None and limit:
            self._edits = (max(0, limit - left), limit)

    # --- what is shown ------------------------------------------------------------------------------------------------

    @property
    def names(self) -> dict[str, str]:
        """The servers there are: id and name."""
        return {server: text(facts, "name") or server for server, facts in self._servers.items()}

    @property
    def connected(self) -> bool:
        """Whether any shard is."""
        return any(text(shard, "state") in _READY for shard in self._shards.values())

    @property
    def known(self) -> bool:
        """Whether Discord was ever heard of in this process."""
        return bool(self._shards)

    def panel(self, server: str, view: View, now: datetime) -> Panel:
        """The panel of one server."""
        del view  # nothing in it can be chosen
        facts = self._servers.get(server, {})
        tone, status = self._state()
        latency = [value for shard in self._shards.values() if (value := number(shard, "latency_ms")) is not None]
        members, online = whole(facts, "members"), whole(facts, "online")
        level = whole(facts, "boost_level")
        return Panel(
            name="server",
            title="Server",
            tone=tone,
            status=status,
            note=text(facts, "name"),
            since=self._changed,
            stats=(
                Cell("Members", _count(members), f"{_count(online)} on" if online is not None else ""),
                Cell("Gateway", str(round(max(latency))) if latency and self.connected else None, "ms"),
                Cell("Boost level", None if level is None else str(level), f"of {_HIGHEST_BOOST}"),
            ),
            facts=(
                self._rate(now),
                self._edit_limit(),
                Cell("Boosts", _count(whole(facts, "boosts"))),
                Cell("Features", ", ".join(_feature(word) for word in words(facts, "features")) or None),
                Cell("Channels", _count(whole(facts, "channels"))),
                Cell("Roles", _count(whole(facts, "roles"))),
                self._shard_cell(),
            ),
            empty=""
            if facts or self.known
            else "Discord is not connected. Set discord.token, or try it without one: antiphon demo.",
        )

    def _state(self) -> tuple[Tone, str]:
        if not self._shards:
            return Tone.OFF, "not connected"
        states = [text(shard, "state") for shard in self._shards.values()]
        worst = next((state for state in ("closed", "connecting") if state in states), "ready")
        return _STATES[worst]

    def _rate(self, now: datetime) -> Cell:
        """The busiest second of the last minute. In steps, so that the panel's own edits do not change it for ever."""
        if not self._shards:
            return Cell("Rate limit")
        seconds: dict[int, int] = {}
        for at in self._calls:
            if at > now.timestamp() - _WINDOW_SECONDS:
                seconds[int(at)] = seconds.get(int(at), 0) + 1
        peak = max(seconds.values(), default=0)
        steps = 5 * -(-peak // 5)
        tone = Tone.WARNING if peak > 0.8 * REQUESTS_PER_SECOND else Tone.PLAIN
        value = "under 5" if steps <= 5 else f"up to {steps}"
        return Cell("Rate limit", f"{value} of {REQUESTS_PER_SECOND}/s", share=min(1.0, steps / 50), tone=tone)

    def _edit_limit(self) -> Cell:
        if self._edits is None:
            return Cell("Edits")
        used, limit = self._edits
        refused = f", {self._refused} refused" if self._refused else ""
        share = used / limit
        return Cell("Edits", f"{limit} in a burst{refused}", share=None, tone=Tone.WARNING if share > 1 else Tone.PLAIN)

    def _shard_cell(self) -> Cell:
        ready = [shard for shard, facts in self._shards.items() if text(facts, "state") in _READY]
        if not ready:
            return Cell("Shards", None if not self._shards else f"0 of {len(self._shards)}")
        since = min(self._since[shard] for shard in ready)
        return Cell("Shards", f"{len(ready)} of {len(self._shards)} up", since=since)

    # --- what is kept -------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, object]:
        """What outlives a restart: the facts of servers. The connection does not."""
        return {
            "servers": list(self._servers.values()),
            "changed": self._changed.isoformat() if self._changed else "",
        }

    def load(self, stored: Payload) -> None:
        """Take back what was kept."""
        for facts in objects(stored, "servers", most=5000):
            self._servers.setdefault(text(facts, "server"), dict(facts))
        self._changed = self._changed or moment(stored.get("changed"))


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}".replace(",", "\u202f")


def _feature(word: str) -> str:
    return word.replace("_", " ").lower()
