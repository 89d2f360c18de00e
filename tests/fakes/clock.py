"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Implements `domain.clock.Clock`."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2026, 3, 4, 15, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The set time."""
        return self.at

    def move(self, **by: float) -> None:
        """Move on by a `timedelta` given by keywords."""
        self.at += timedelta(**by)
