"""A database that is locked, full or gone: nothing is half written, and work goes on when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.errors import Conflict, NotFound, StoreUnavailable
from antiphon.domain.health import PartState
from antiphon.domain.work import TaskState
from tests.contract.store_work import OWNER, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock
from tests.fixtures_databases import PostgresqlServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.store.db import Tx
    from antiphon.store.stores import Stores


@contextlib.asynccontextmanager
async def _opened(settings: Settings, clock: FakeClock, signals: LocalSignals | None = None) -> AsyncIterator[Stores]:
    from antiphon.store.stores import open_stores

    stores = open_stores(settings, clock, signals or LocalSignals())
    try:
        yield stores
    finally:
        await stores.close()


def _file(settings: Settings) -> Path:
    return settings.data_dir / "antiphon.db"


async def test_a_locked_database_is_unavailable_and_then_goes_on(
    sqlite_settings: Settings, store_clock: FakeClock
) -> None:
    def wait_shorter(tx: Tx) -> int:
        usual = tx.value("PRAGMA busy_timeout")
        tx.rows("PRAGMA busy_timeout = 300")
        return usual

    async with _opened(sqlite_settings, store_clock) as stores:
        await stores.inbox.receive(discord("m1"))
        assert await stores.database.run(wait_shorter) == 5000
        with contextlib.closing(sqlite3.connect(_file(sqlite_settings), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(stores.inbox.receive(discord("m2")))
            await asyncio.sleep(0)  # it is in the queue before the probe, and waits for the lock
            health = await stores.health.health()
            assert (health.state, health.name) == (PartState.DEGRADED, "database")
            assert health.remedy
            assert (await stores.threads.channel("discord:c1")).key == "discord:c1", "reading goes on"
            with pytest.raises(StoreUnavailable):
                await waiting
            other.execute("ROLLBACK")
        assert (await stores.inbox.receive(discord("m2"))).created
        assert (await stores.health.health()).state is PartState.OK


async def test_a_full_disk_keeps_nothing_of_the_refused_message(
    sqlite_settings: Settings, store_clock: FakeClock
) -> None:
    def limit_pages(tx: Tx, extra: int) -> None:
        pages = tx.value("PRAGMA page_count")
        tx.rows(f"PRAGMA max_page_count = {pages + extra}")

    async with _opened(sqlite_settings, store_clock) as stores:
        await stores.inbox.receive(discord("m1"))
        await stores.database.run(limit_pages, 0)
        with capture_logs() as logged:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await stores.inbox.receive(discord("m2", "x" * 1_000_000))
                await stores.database.run(limit_pages, 0)
        assert [(line["event"], line["error"]) for line in logged] == [
            ("store.unavailable", "database or disk is full")
        ], "the operator hears the reason, once"
        await stores.database.run(limit_pages, 1000)
        assert [m.native_id for m in await stores.threads.recent("discord:c1", before=None, limit=9)] == ["m1"]
        assert (await stores.tasks.counts())["queued"] == 1
        assert (await stores.inbox.receive(discord("m2", "x" * 1_000_000))).created


async def test_a_damaged_database_is_reported_not_raised(sqlite_settings: Settings, store_clock: FakeClock) -> None:
    _file(sqlite_settings).write_bytes(b"this is no database" * 1000)
    async with _opened(sqlite_settings, store_clock) as stores:
        with pytest.raises(StoreUnavailable):
            await stores.inbox.receive(discord("m1"))
        assert (await stores.health.health()).state is PartState.DEGRADED


async def test_calls_taken_together_fail_alone(sqlite_settings: Settings, store_clock: FakeClock) -> None:
    """Several waiting calls share a commit; one that fails, even at the commit, takes no other with it."""
    from antiphon.store.models import Key

    def break_a_constraint(_: Tx) -> None:
        # Foreign keys are checked at the commit, which does not say whose fault it is.
        Key.objects.create(name="x", person_id=999_999, digest="d", hint="h", created_at=store_clock.now())

    async with _opened(sqlite_settings, store_clock) as stores:
        await stores.inbox.receive(discord("m0", "first"))
        results = await asyncio.gather(
            stores.inbox.receive(discord("m1")),
            stores.inbox.receive(discord("m0", "another text")),
            stores.database.run(break_a_constraint),
            stores.tasks.cancel(999_999),
            stores.inbox.receive(discord("m2")),
            return_exceptions=True,
        )
        kinds = [type(result).__name__ for result in results]
        assert isinstance(results[1], Conflict)
        assert isinstance(results[3], NotFound)
        assert kinds == ["Receipt", "Conflict", "IntegrityError", "NotFound", "Receipt"]
        stored = await stores.threads.recent("discord:c1", before=None, limit=9)
        assert [message.native_id for message in stored] == ["m0", "m1", "m2"]


async def test_a_caller_who_left_does_not_stop_the_others(stores: Stores) -> None:
    leaving = [asyncio.create_task(stores.inbox.receive(discord(f"l{n}"))) for n in range(5)]
    staying = [asyncio.create_task(stores.inbox.receive(discord(f"s{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert all(receipt.created for receipt in await asyncio.gather(*staying))
    assert (await stores.health.health()).state is PartState.OK


async def test_a_rolled_back_channel_is_not_remembered(stores: Stores) -> None:
    """A cache of ids must forget what was never committed."""
    broken = discord("m1", channel="discord:new", attachments=(None,))  # fails after the channel was inserted
    with pytest.raises(AttributeError):
        await stores.inbox.receive(broken)
    with pytest.raises(NotFound):
        await stores.threads.channel("discord:new")
    receipt = await stores.inbox.receive(discord("m1", channel="discord:new"))
    assert receipt.created
    assert (await stores.threads.channel("discord:new")).key == "discord:new"


async def test_a_closed_store_refuses(store_settings: Settings, store_clock: FakeClock) -> None:
    async with _opened(store_settings, store_clock) as stores:
        pass
    with pytest.raises(StoreUnavailable):
        await stores.inbox.receive(discord("m1"))
    await stores.close()


async def test_a_commit_whose_answer_was_lost_may_be_repeated(stores: Stores) -> None:
    """Whatever the runner repeats after `StoreUnavailable` must not be done twice when the first try went through."""
    lease = await started(stores)
    for _ in range(3):
        await stores.tasks.finish(lease, done("once"))
    assert await delivered(stores) == ["once"]
    assert len(await stores.threads.recent("discord:c1", before=None, limit=9)) == 2


@pytest.mark.needs("postgresql")
async def test_a_restarted_server_costs_a_retry(
    postgresql_settings: Settings, postgresql_server: PostgresqlServer, store_clock: FakeClock
) -> None:
    signals = LocalSignals()
    async with _opened(postgresql_settings, store_clock, signals) as stores:
        lease = await started(stores)
        postgresql_server.stop()
        try:
            with pytest.raises(StoreUnavailable):
                await stores.tasks.finish(lease, done("kept"))
            with pytest.raises(StoreUnavailable):
                await stores.inbox.receive(discord("m2"))
            assert (await stores.health.health()).state is PartState.DEGRADED
        finally:
            postgresql_server.start()
        await stores.tasks.finish(lease, done("kept"))
        assert (await stores.tasks.get(lease.task)).state is TaskState.DONE
        assert (await stores.inbox.receive(discord("m2"))).created
        assert await delivered(stores) == ["kept"]


@pytest.mark.needs("postgresql")
async def test_processes_on_one_server_wake_each_other(
    postgresql_settings: Settings, postgresql_server: PostgresqlServer, store_clock: FakeClock
) -> None:
    ours, theirs = LocalSignals(), LocalSignals()
    async with (
        _opened(postgresql_settings, store_clock, ours) as first,
        _opened(postgresql_settings, store_clock, theirs) as second,
    ):
        await asyncio.wait_for(theirs.wait("schedule", 10), 20)  # everybody is woken once when listening begins

        async def woken_by_a_message(native_id: str) -> None:
            await theirs.wait("tasks", 0.1)  # forget earlier wake-ups
            loop = asyncio.get_running_loop()
            before = loop.time()
            await first.inbox.receive(discord(native_id))
            await theirs.wait("tasks", 10)
            assert loop.time() - before < 5
            await second.tasks.finish((await claimed(second)).lease, done())

        await woken_by_a_message("m1")
        postgresql_server.stop()
        postgresql_server.start()
        await theirs.wait("schedule", 0.1)
        await asyncio.wait_for(theirs.wait("schedule", 10), 20)  # it listens again
        await woken_by_a_message("m2")


async def test_a_burst_is_neither_lost_nor_doubled(stores: Stores) -> None:
    """Receives, claims, ends and deliveries all at once, as on a busy day."""
    total = 120

    async def receive(n: int) -> None:
        await stores.inbox.receive(discord(f"m{n}", str(n), channel=f"discord:{n % 7}"))
        await stores.inbox.receive(discord(f"m{n}", str(n), channel=f"discord:{n % 7}"))

    async def work() -> None:
        finished = 0
        while finished < total:
            for one in await stores.tasks.claim(OWNER, 5, 30):
                await stores.tasks.finish(one.lease, done(f"re {one.text}"))
                finished += 1
            await asyncio.sleep(0)

    sent: list[str] = []

    async def deliver() -> None:
        while len(sent) < total:
            sent.extend(await delivered(stores))
            await asyncio.sleep(0.001)

    await asyncio.wait_for(asyncio.gather(work(), deliver(), *(receive(n) for n in range(total))), 60)
    assert sorted(sent) == sorted(f"re {n}" for n in range(total))
    for channel in range(7):
        mine = [int(text.removeprefix("re ")) for text in sent if int(text.removeprefix("re ")) % 7 == channel]
        stored = await stores.threads.recent(f"discord:{channel}", before=None, limit=200)
        assert mine == [int(message.text) for message in stored if not message.text.startswith("re")]
