"""The real clock, given to everything that asks for the time."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Implements `domain.clock.Clock` with the machine's clock."""

    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.now(UTC)
