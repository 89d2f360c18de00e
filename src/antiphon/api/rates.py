"""Token buckets: how often one person or address may do something. They live in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from antiphon.domain.errors import TooManyRequests

_MOST_BUCKETS = 100_000


class Buckets:
    """One bucket per key: `rate` gives how many uses at once, and how many come back in a minute; it is asked each
    time, because settings change. `now` gives seconds that only grow."""

    def __init__(self, rate: Callable[[], tuple[int, float]], *, now: Callable[[], float]) -> None:
        self._rate = rate
        self._now = now
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, message: str) -> None:
        """Use one, or raise `TooManyRequests` with `message` and the time until the next is there."""
        now = self._now()
        burst, per_minute = self._rate()
        level, since = self._levels.pop(key, (float(burst), now))
        level = min(burst, level + (now - since) * per_minute / 60)
        allowed = level >= 1
        self._levels[key] = (level - 1 if allowed else level, now)
        if len(self._levels) > _MOST_BUCKETS:
            self._levels.popitem(last=False)
        if not allowed:
            raise TooManyRequests(message, retry_after=(1 - level) * 60 / per_minute)

    def give_back(self, key: Hashable) -> None:
        """Take one use back: it turned out to be none that counts."""
        if key in self._levels:
            level, since = self._levels[key]
            self._levels[key] = (min(self._rate()[0], level + 1), since)
