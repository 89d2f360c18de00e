"""Starting whatever is due: reminders and timers, idle threads, expiring approvals.

Each due thing is carried out by one transaction of the store; this loop only decides when to look.
"""

from __future__ import annotations

import asyncio

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.schedule import ScheduleStore
from antiphon.domain.signals import Signals

log = structlog.stdlib.get_logger(__name__)

SWEEP_SECONDS = 5.0
"""Longest sleep: bounds what a lost signal or a corrected clock can delay."""
BATCH = 100


class Scheduler:
    """Wakes up exactly when the next thing is due. Any number of processes may run one."""

    def __init__(self, store: ScheduleStore, signals: Signals, clock: Clock) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Fire what is due until `stop` is set."""
        waker = asyncio.create_task(self._wake_on(stop), name="schedule-stop")
        try:
            while not stop.is_set():
                try:
                    pause = await self.step()
                except StoreUnavailable as error:
                    log.warning("schedule.store_unavailable", error=str(error.__cause__ or error))
                    pause = 1.0
                if pause > 0:
                    await self._signals.wait("schedule", pause)
        finally:
            waker.cancel()

    async def step(self) -> float:
        """Fire one batch of what is due; returns the seconds until there may be more."""
        fired = await self._store.fire_due(BATCH)
        if fired:
            log.info("schedule.fired", count=fired)
            if fired >= BATCH:
                return 0.0
        due = await self._store.next_due()
        if due is None:
            return SWEEP_SECONDS
        return min(max((due - self._clock.now()).total_seconds(), 0.01), SWEEP_SECONDS)

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._signals.notify("schedule")
