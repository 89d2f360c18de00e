"""Counting together in a real Redis: what Discord's limit for all processes is kept with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from antiphon.bus.redis_counter import RedisCounter
from antiphon.platforms.discord.budget import PER_SLOT, RateBudget
from tests.fixtures_redis import RedisServer, free_port

pytestmark = pytest.mark.needs("redis")


@pytest_asyncio.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[tuple[RedisCounter, RedisCounter]]:
    """The counters of two processes."""
    counters = RedisCounter(redis_server.url), RedisCounter(redis_server.url)
    yield counters
    for counter in counters:
        await counter.close()


async def test_two_processes_count_as_one_and_a_count_is_forgotten(pair: tuple[RedisCounter, RedisCounter]) -> None:
    one, other = pair
    name = uuid4().hex
    counts = await asyncio.gather(*(counter.add(name, 0.3) for counter in (one, other) for _ in range(20)))
    assert sorted(counts) == list(range(1, 41))
    assert await one.add(uuid4().hex, 1.0) == 1, "names are apart"
    await asyncio.sleep(0.4)
    assert await other.add(name, 1.0) == 1


async def test_two_processes_share_the_slots_of_discords_limit(pair: tuple[RedisCounter, RedisCounter]) -> None:
    wall = 1_700_000_000.0 + int(uuid4().hex[:6], 16)
    first, second = (RateBudget(counter, wall=lambda: wall) for counter in pair)
    allowed = [
        await budget.take(f"GET /{number}", "", 0.01) == 0.0 for number in range(PER_SLOT) for budget in (first, second)
    ]
    assert allowed.count(True) == PER_SLOT


async def test_while_redis_is_away_each_counts_for_itself_and_nobody_waits() -> None:
    counter = RedisCounter(f"redis://127.0.0.1:{free_port()}/0")
    async with asyncio.timeout(3.0):
        assert [await counter.add("a", 1.0) for _ in range(50)] == list(range(1, 51))
    await counter.close()
