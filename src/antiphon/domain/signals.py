"""Waking who waits for rows. `bus/signals.py` implements it; the loops of `threads` wait, and the stores notify."""

from __future__ import annotations

from typing import Protocol


class Signals(Protocol):
    """Wakes loops that wait for rows. Names: `tasks`, `replies`, `schedule`. A lost signal costs one sweep (1 s)."""

    def notify(self, name: str) -> None:
        """Wake whoever waits for `name`. Callable from any thread."""
        ...

    async def wait(self, name: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting out the time is not an error
        """Return when `name` was notified since the last wait, or after `timeout` seconds."""
        ...
