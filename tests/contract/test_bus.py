"""What every bus promises, shown on the in-process one and on real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from antiphon.bus.listeners import QUEUE_LIMIT
from antiphon.bus.memory import KEEP_EVENTS, MemoryBus
from antiphon.bus.redis import RedisBus
from antiphon.domain.events import RESET, BusEvent
from antiphon.domain.health import PartState
from tests.fakes.clock import FakeClock
from tests.fixtures_redis import RedisServer, free_port

Pair = tuple[MemoryBus | RedisBus, MemoryBus | RedisBus]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Pair]:
    """A publishing and a listening bus: one object in process, two processes' worth of connections on Redis."""
    if request.param == "memory":
        bus = MemoryBus(clock)
        yield bus, bus
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    buses = RedisBus(server.url, clock), RedisBus(server.url, clock)
    for bus in buses:
        await bus.start()
    yield buses
    for bus in buses:
        await bus.close()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return f"turn.web:{request.node.name.replace('[', '-').replace(']', '')}"


async def take(events: AsyncIterator[BusEvent], count: int) -> list[BusEvent]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def test_listeners_get_events_in_order_with_growing_ids(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    async with reader.subscribe(topic) as first, reader.subscribe(topic) as second:
        ids = [await publisher.publish(topic, "text.delta", {"text": f"ä{n}"}) for n in range(5)]
        for listener in (first, second):
            got = await take(listener, 5)
            assert [event.id for event in got] == ids == sorted(set(ids))
            assert [event.payload for event in got] == [{"text": f"ä{n}"} for n in range(5)]


async def test_other_topics_are_not_heard(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    async with reader.subscribe(topic) as events:
        await publisher.publish(topic + "x", "reply", {})
        await publisher.publish(topic, "reply", {"n": 1})
        assert (await take(events, 1))[0].payload == {"n": 1}


async def test_resume_replays_what_came_later_and_goes_on_live(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    ids = [await publisher.publish(topic, "text.delta", {"n": n}) for n in range(4)]
    async with reader.subscribe(topic, after=ids[1]) as events:
        assert [event.payload["n"] for event in await take(events, 2)] == [2, 3]
        await publisher.publish(topic, "text.delta", {"n": 4})
        assert (await take(events, 1))[0].payload == {"n": 4}


async def test_resuming_at_the_newest_event_misses_nothing_and_is_not_reset(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    last = await publisher.publish(topic, "reply", {"n": 0})
    async with reader.subscribe(topic, after=last) as events:
        await publisher.publish(topic, "reply", {"n": 1})
        assert (await take(events, 1))[0].payload == {"n": 1}


@pytest.mark.parametrize("after", [0, 1, 9_000_000_000_000_000])
async def test_resuming_where_nothing_is_kept_gives_reset(pair: Pair, topic: str, after: int) -> None:
    publisher, reader = pair
    await publisher.publish(topic, "reply", {})
    async with reader.subscribe(topic, after=after) as events:
        assert (await take(events, 1))[0].name == RESET


async def test_ten_minutes_are_kept(pair: Pair, topic: str, clock: FakeClock) -> None:
    publisher, reader = pair
    old = await publisher.publish(topic, "reply", {"n": 0})
    clock.move(minutes=9)
    new = await publisher.publish(topic, "reply", {"n": 1})
    async with reader.subscribe(topic, after=old) as events:
        assert (await take(events, 1))[0].id == new
    clock.move(minutes=2)
    async with reader.subscribe(topic, after=old) as events:
        assert (await take(events, 1))[0].name == RESET


async def test_a_thousand_events_are_kept(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    ids = [await publisher.publish(topic, "text.delta", {}) for _ in range(KEEP_EVENTS + 10)]
    async with reader.subscribe(topic, after=ids[10]) as events:
        assert [event.id for event in await take(events, KEEP_EVENTS - 1)] == ids[11:]
    async with reader.subscribe(topic, after=ids[5]) as events:
        assert (await take(events, 1))[0].name == RESET


async def test_a_listener_that_sleeps_is_reset_and_does_not_hold_up_others(pair: Pair, topic: str) -> None:
    publisher, reader = pair
    async with reader.subscribe(topic) as sleeper, reader.subscribe(topic) as awake:
        for n in range(QUEUE_LIMIT + 50):
            await publisher.publish(topic, "text.delta", {"n": n})
            if n % 100 == 99:
                assert (await take(awake, 100))[-1].payload == {"n": n}
        await take(awake, 50)
        first, *rest = await take(sleeper, 51)
        assert first.name == RESET
        assert rest[-1].payload == {"n": QUEUE_LIMIT + 49}


async def test_ids_grow_across_a_restart(pair: Pair, topic: str, clock: FakeClock) -> None:
    publisher, _ = pair
    before = [await publisher.publish(topic, "reply", {}) for _ in range(3)]
    clock.move(seconds=1)
    restarted = MemoryBus(clock)
    assert await restarted.publish(topic, "reply", {}) > before[-1]


async def test_health(pair: Pair) -> None:
    assert (await pair[0].health()).state is PartState.OK


async def test_redis_gone_and_back(clock: FakeClock) -> None:
    """Events of this process still arrive; after the gap listeners are told to read the durable state again."""
    server = RedisServer(free_port())
    server.start()
    bus = RedisBus(server.url, clock)
    await bus.start()
    try:
        async with bus.subscribe("turn.web:gap") as events:
            await bus.publish("turn.web:gap", "reply", {"n": 0})
            assert (await take(events, 1))[0].payload == {"n": 0}
            server.stop()
            clock.move(seconds=1)
            await bus.publish("turn.web:gap", "reply", {"n": 1})
            assert (await take(events, 1))[0].payload == {"n": 1}
            assert (await bus.health()).state is PartState.DEGRADED
            server.start()
            assert (await take(events, 1))[0].name == RESET
            clock.move(seconds=1)
            await bus.publish("turn.web:gap", "reply", {"n": 2})
            assert (await take(events, 1))[0].payload == {"n": 2}
    finally:
        await bus.close()
        server.stop()


async def test_memory_forgets_idle_topics(clock: FakeClock) -> None:
    bus = MemoryBus(clock)
    await bus.publish("turn.web:idle", "reply", {})
    clock.move(minutes=11)
    for _ in range(KEEP_EVENTS):
        await bus.publish("turn.web:busy", "reply", {})
    assert list(bus._kept) == ["turn.web:busy"]
