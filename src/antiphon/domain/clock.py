"""The time, as everything here is told it: by `run/clock.py`, and by a virtual one in tests."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from; tests give a virtual one."""

    def now(self) -> datetime:
        """The current time, UTC."""
        ...
