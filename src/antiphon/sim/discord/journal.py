"""The server's own record of what it was asked and delivered: the proof that something happened exactly once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from antiphon.sim.discord.clock import SimClock

KEPT = 200_000


class Journal:
    """Numbered entries, oldest dropped.

    Kinds: `rest`, `gateway.open|identify|resume|in|out|close`, `voice.join|select|...`, `fault`.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._number = 0
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self.counts: dict[str, int] = {}

    def add(self, kind: str, **fields: Any) -> None:
        self._number += 1
        self.counts[kind] = self.counts.get(kind, 0) + 1
        entry = {"n": self._number, "at": self._clock.now(), "kind": kind, **fields}
        self._entries.append(entry)
        for listener in self._listeners:
            listener(entry)

    def entries(self, kind: str | None = None, *, after: int = 0, **matching: Any) -> list[dict[str, Any]]:
        """Those of a kind (and everything under it), numbered above `after`, whose fields equal `matching`."""
        return [
            entry
            for entry in self._entries
            if entry["n"] > after
            and (kind is None or entry["kind"] == kind or entry["kind"].startswith(f"{kind}."))
            and all(entry.get(name) == value for name, value in matching.items())
        ]

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        self._listeners.append(listener)
