"""When the schedule looks, on virtual time: what is due fires within a second, whatever was announced or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from antiphon.bus.signals import LocalSignals
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.schedule import EntryKind, EntryState, NewEntry
from antiphon.threads.schedule import BATCH, SWEEP_SECONDS, Scheduler
from tests.fakes.schedule import FakeSchedule
from tests.fakes.virtual_time import LoopClock, run_virtually


class CountingSchedule(FakeSchedule):
    """Counts how often it is looked at, and can be away."""

    looks = 0
    away = False

    async def fire_due(self, limit: int) -> int:
        self.looks += 1
        if self.away:
            raise StoreUnavailable("away")
        return await super().fire_due(limit)


@dataclass
class Bench:
    store: CountingSchedule
    signals: LocalSignals

    async def add(self, seconds: float, *, tell: bool = True) -> int:
        """An entry due in so many seconds; `tell` sends the signal a commit would send."""
        due = LoopClock().now() + timedelta(seconds=seconds)
        origin = str(len(self.store.rows))
        entry = await self.store.add(NewEntry(EntryKind.REMINDER, due, "web:a", 1, origin=origin))
        if tell:
            self.signals.notify("schedule")
        return entry.id

    def late(self, entry: int) -> float:
        """Seconds between due and fired."""
        row = self.store.rows[entry]
        assert row.state is EntryState.DONE, row
        assert row.fired_at is not None
        return (row.fired_at - row.due_at).total_seconds()


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    signals = LocalSignals()
    store = CountingSchedule(LoopClock())  # type: ignore[arg-type] - only its `now` is used
    stop = asyncio.Event()
    loop = asyncio.create_task(Scheduler(store, signals, LoopClock()).run(stop))
    try:
        yield Bench(store, signals)
    finally:
        stop.set()
        await loop


def test_what_is_due_fires_within_a_second() -> None:
    async def main() -> None:
        async with running() as bench:
            entries = [await bench.add(seconds) for seconds in (0.0, 0.4, 5.0, 5.0, 61.3, 3600.0)]
            await asyncio.sleep(3700)
            assert all(0 <= bench.late(entry) < 0.1 for entry in entries)

    run_virtually(main())


def test_an_earlier_entry_is_not_held_up_by_a_later_one() -> None:
    async def main() -> None:
        async with running() as bench:
            await bench.add(3600)
            await asyncio.sleep(10)
            entry = await bench.add(1.5)
            await asyncio.sleep(2)
            assert bench.late(entry) < 0.1

    run_virtually(main())


def test_a_lost_signal_costs_one_sweep() -> None:
    async def main() -> None:
        async with running() as bench:
            await asyncio.sleep(1)
            entry = await bench.add(0.5, tell=False)
            await asyncio.sleep(SWEEP_SECONDS + 1)
            assert bench.late(entry) <= SWEEP_SECONDS

    run_virtually(main())


def test_more_than_a_batch_is_fired_without_a_pause() -> None:
    async def main() -> None:
        async with running() as bench:
            entries = [await bench.add(1) for _ in range(2 * BATCH + 5)]
            await asyncio.sleep(2)
            assert max(bench.late(entry) for entry in entries) < 0.1

    run_virtually(main())


def test_an_absent_database_is_asked_again_each_second() -> None:
    async def main() -> None:
        async with running() as bench:
            bench.store.away = True
            entry = await bench.add(1)
            await asyncio.sleep(10)
            bench.store.away = False
            await asyncio.sleep(1.5)
            assert 8 < bench.late(entry) <= 11
            assert 8 <= bench.store.looks <= 20

    run_virtually(main())


def test_with_nothing_to_do_it_sleeps() -> None:
    async def main() -> None:
        async with running() as bench:
            await asyncio.sleep(100)
            assert bench.store.looks <= 100 / SWEEP_SECONDS + 2

    run_virtually(main())
