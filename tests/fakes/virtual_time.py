"""An event loop whose clock jumps: a test of minutes takes no time, and every timing is exact.

Time moves only when nothing else can happen. Use it for code that waits on the loop alone: threads and sockets are
outside of virtual time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: a wait for time moves the clock by it, a wait for ever is a deadlock of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("Every task waits and no timer is set: the test would hang for ever")
        self.time += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.time


class LoopClock:
    """Implements `domain.clock.Clock` on the time of the running loop."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
