"""When the sweep deletes, and when it does not believe the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from antiphon.config.settings import RetentionSettings
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.personal_data import Swept
from antiphon.threads.retention import PASS_SECONDS, Retention
from tests.fakes.clock import FakeClock
from tests.fakes.learning import FakeAttachments
from tests.fakes.virtual_time import run_virtually


class FakeRows:
    """Implements `domain.personal_data.RetentionStore`: three batches of messages."""

    def __init__(self, *, broken: int = 0) -> None:
        self.asked: list[Mapping[str, datetime]] = []
        self.left = 3
        self.broken = broken

    async def sweep(self, older_than: Mapping[str, datetime], limit: int) -> Swept:
        """A batch."""
        self.asked.append(dict(older_than))
        if self.broken:
            self.broken -= 1
            raise StoreUnavailable("away")
        self.left -= 1
        return Swept({"messages": limit}, self.left > 0)


def retention(rows: FakeRows, clock: FakeClock, **days: int) -> Retention:
    return Retention(rows, FakeAttachments(), clock, RetentionSettings(**days))


def test_batches_until_nothing_is_left_by_the_days_that_are_set() -> None:
    async def story() -> None:
        rows, clock = FakeRows(), FakeClock()
        deleted = await retention(rows, clock, messages_days=30, events_days=7).sweep(asyncio.Event())
        assert deleted == {"messages": 300}
        assert rows.asked[0] == {
            "messages": clock.now() - timedelta(days=30),
            "events": clock.now() - timedelta(days=7),
        }

    run_virtually(story())


def test_without_days_nothing_is_asked_for() -> None:
    async def story() -> None:
        rows = FakeRows()
        assert await retention(rows, FakeClock()).sweep(asyncio.Event()) == {}
        assert rows.asked == []

    run_virtually(story())


def test_a_clock_that_jumped_ahead_deletes_nothing_at_once() -> None:
    async def story() -> None:
        rows, clock = FakeRows(), FakeClock()
        sweeping = retention(rows, clock, messages_days=30)
        rows.left = 1
        await sweeping.sweep(asyncio.Event())
        clock.move(days=365)
        assert await sweeping.sweep(asyncio.Event()) == {}
        assert len(rows.asked) == 1
        rows.left = 1
        await sweeping.sweep(asyncio.Event())
        assert len(rows.asked) == 2, "it is the time now: the next pass believes it"

    run_virtually(story())


def test_a_database_that_is_away_is_asked_again_in_the_next_pass() -> None:
    async def story() -> None:
        rows, stop = FakeRows(broken=1), asyncio.Event()
        running = asyncio.create_task(retention(rows, FakeClock(), messages_days=1).run(stop))
        await asyncio.sleep(PASS_SECONDS * 1.5)
        assert len(rows.asked) == 4
        stop.set()
        await running

    run_virtually(story())
