"""The simulated server's clock: the wall clock plus what a test has skipped.

Nonces, interaction tokens, rate limits, timeouts and sessions run out by this clock, so a test that calls
`advance(900)` sees a quarter of an hour pass at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SimClock:
    """Seconds since the Unix epoch, movable forward."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> float:
        return time.time() + self._skipped

    def advance(self, seconds: float) -> None:
        """Skip `seconds` (not negative: ids and sequences rely on time not going back)."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._skipped += seconds

    def datetime(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def iso(self) -> str:
        """As Discord writes times.

        Source: docs, Reference, "ISO8601 Date/Time".
        """
        return iso(self.datetime())


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse_iso(text: str) -> datetime:
    """Raises ValueError when `text` is no time."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
