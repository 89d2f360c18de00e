"""Token buckets: how often one person or address may do something. They live in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from antiphon.domain.errors import TooManyRequests

_MOST_BUCKETS = 100_000


class Buckets:
    """One bucket per key: `burst` uses at once, refilled at `per_minute`. `now` gives seconds that only grow."""

    def __init__(self, *, burst: int, per_minute: float, now: Callable[[], float]) -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._now = now
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, message: str) -> None:
        """Use one, or raise `TooManyRequests` with `message` and the time until the next is there."""
        now = self._now()
        level, since = self._levels.pop(key, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_second)
        allowed = level >= 1
        self._levels[key] = (level - 1 if allowed else level, now)
        if len(self._levels) > _MOST_BUCKETS:
            self._levels.popitem(last=False)
        if not allowed:
            raise TooManyRequests(message, retry_after=(1 - level) / self._per_second)

    def give_back(self, key: Hashable) -> None:
        """Take one use back: it turned out to be none that counts."""
        if key in self._levels:
            level, since = self._levels[key]
            self._levels[key] = (min(self._burst, level + 1), since)
