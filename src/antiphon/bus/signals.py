"""Process-local wake-ups for the loops that wait for rows (`tasks`, `replies`, `schedule`).

The stores notify after each commit; on PostgreSQL the store's listener feeds the notifications of other processes in
here too. The runner, the outbox and the scheduler wait.
"""

from __future__ import annotations

import asyncio
import contextlib


class LocalSignals:
    """Implements `domain.signals.Signals` on one event loop. Create it while that loop is running."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: dict[str, asyncio.Event] = {}

    def _event(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())

    def notify(self, name: str) -> None:
        """Wake whoever waits for `name`; from any thread. After the loop is closed it does nothing."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            self._event(name).set()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(lambda: self._event(name).set())

    async def wait(self, name: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting out the time is not an error
        """Return when `name` was notified since the last wait, or after `timeout` seconds. One waiter per name."""
        event = self._event(name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await event.wait()
        event.clear()
