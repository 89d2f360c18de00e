"""Discord's ids: 42 bits of milliseconds since 2015, 10 bits of worker and process, 12 bits of counter.

Source: docs, Reference, "Snowflakes" (format in table "Snowflake ID Format Structure", pagination by id).
"""

from __future__ import annotations

from antiphon.sim.discord.clock import SimClock

EPOCH_MS = 1420070400000
"""The first second of 2015."""


class Snowflakes:
    """Unique, ever-growing ids."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._last = 0

    def new(self) -> int:
        candidate = (int(self._clock.now() * 1000) - EPOCH_MS) << 22
        # More than 4096 in a millisecond borrow from the next one: order counts, not the exact time.
        self._last = max(candidate, self._last + 1)
        return self._last


def created_at(snowflake: int) -> float:
    """Seconds since the Unix epoch at which an id was made."""
    return ((snowflake >> 22) + EPOCH_MS) / 1000
