"""Where the panels are kept: the database and Redis keep the same; and what a keeper does with either."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as redis
from redis.exceptions import RedisError

from antiphon.bus.memory import MemoryBus
from antiphon.dashboards.board import Board
from antiphon.dashboards.keeper import Keeper
from antiphon.dashboards.redis_store import KEY, RedisPanelStore
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import PANEL, BusEvent
from antiphon.domain.panels import PanelStore
from antiphon.telemetry.recent import LogLine, Recent
from tests.fakes.clock import FakeClock
from tests.fakes.virtual_time import LoopClock, run_virtually
from tests.fixtures_redis import RedisServer

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


class Heard:
    """The bus of a Redis store, and what was published on it."""

    def __init__(self) -> None:
        self.events: list[BusEvent] = []
        self.bus = MemoryBus(FakeClock(), tap=self.events.append)


@pytest.fixture
async def in_redis(redis_server: RedisServer) -> AsyncIterator[tuple[RedisPanelStore, Heard, Any]]:
    heard = Heard()
    store = RedisPanelStore(redis_server.url, heard.bus, FakeClock())
    client: Any = redis.Redis.from_url(redis_server.url, decode_responses=True)
    await client.flushdb()
    yield store, heard, client
    await client.flushdb()
    await client.aclose()
    await store.close()


async def keeps_what_it_is_given(store: PanelStore) -> None:
    assert await store.load() == {}
    await store.save("events", {"events": [{"name": "ünï"}]}, {"title": "Events"})
    await store.save("server", {"a": 1}, {})
    await store.save("server", {"a": 2}, {})
    assert await store.load() == {"events": {"events": [{"name": "ünï"}]}, "server": {"a": 2}}


async def test_the_database_keeps_panels(stores: Stores) -> None:
    await keeps_what_it_is_given(stores.panels)


@pytest.mark.needs("redis")
async def test_redis_keeps_panels_where_other_services_read_them(
    in_redis: tuple[RedisPanelStore, Heard, Any],
) -> None:
    store, heard, client = in_redis
    await keeps_what_it_is_given(store)
    found = await client.hgetall(f"{KEY}events")
    assert set(found) == {"state", "panel", "changed"}
    assert json.loads(found["panel"]) == {"title": "Events"}
    assert [event.topic for event in heard.events] == [PANEL] * 3
    assert heard.events[0].payload == {"panel": "events", "changed": found["changed"]}


@pytest.mark.needs("redis")
async def test_a_service_that_may_only_read_panels_needs_no_more_than_the_page_says(
    in_redis: tuple[RedisPanelStore, Heard, Any], redis_server: RedisServer
) -> None:
    store, _, client = in_redis
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("ACL SETUSER")]
    await client.execute_command(*line.replace("a-long-password", "swordfish").split())
    await store.save("events", {}, {"title": "Events"})
    url = redis_server.url.replace("redis://", "redis://panels:swordfish@")
    reader: Any = redis.Redis.from_url(url, decode_responses=True)
    async with reader.pubsub() as pubsub:
        await pubsub.subscribe("antiphon:1:panel")
        assert json.loads(await reader.hget("antiphon:1:panel:events", "panel")) == {"title": "Events"}
        for refused in (("HSET", "antiphon:1:panel:events", "panel", "{}"), ("GET", "antiphon:1:id:panel")):
            with pytest.raises(RedisError):
                await reader.execute_command(*refused)
    await reader.aclose()
    await client.execute_command("ACL", "DELUSER", "panels")


@pytest.mark.needs("redis")
async def test_what_others_wrote_there_is_left_out(in_redis: tuple[RedisPanelStore, Heard, Any]) -> None:
    store, _, client = in_redis
    await client.hset(f"{KEY}server", "state", "not json")
    await client.hset(f"{KEY}logs", "other", "1")
    assert await store.load() == {}


async def test_redis_that_is_away_is_an_error_of_ours() -> None:
    store = RedisPanelStore("redis://127.0.0.1:1/0", Heard().bus, FakeClock())
    with pytest.raises(StoreUnavailable):
        await store.load()
    with pytest.raises(StoreUnavailable):
        await store.save("server", {}, {})
    await store.close()


class FakeStore:
    """Keeps panels in memory; `away` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, object]] = {}
        self.saves: list[str] = []
        self.away = False

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        if self.away:
            raise StoreUnavailable("away")
        return self.kept

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        json.dumps(panel)
        self.saves.append(name)
        self.kept[name] = json.loads(json.dumps(state))


def joined(number: int) -> BusEvent:
    payload: dict[str, object] = {"event": "GUILD_MEMBER_ADD", "server": "1", "name": f"guest{number}"}
    return BusEvent("discord.gateway", number, "gateway", payload, LoopClock().now())


def test_what_changed_is_stored_at_most_once_in_the_time_given_and_at_the_end() -> None:
    async def main() -> None:
        board, store, stop = Board(LoopClock(), Recent[LogLine]()), FakeStore(), asyncio.Event()
        keeping = asyncio.create_task(Keeper(board, store, every=5).run(stop))
        for number in range(10_000):  # a thousand a second
            board.hear(joined(number))
            if number % 100 == 0:
                await asyncio.sleep(0.1)
        assert 2 <= store.saves.count("events") <= 4
        await asyncio.sleep(20)
        saves = len(store.saves)
        await asyncio.sleep(60)
        assert len(store.saves) == saves, "nothing changed, nothing is stored"
        board.hear(joined(10_000))
        stop.set()
        await keeping
        assert "guest10000" in json.dumps(store.kept["events"]), "the last state is stored at the end"

    run_virtually(main())


def test_a_store_that_is_away_costs_nothing_but_time() -> None:
    async def main() -> None:
        before, store = Board(LoopClock(), Recent[LogLine]()), FakeStore()
        before.hear(joined(1))
        await Keeper(before, store, every=5).keep()

        after = Board(LoopClock(), Recent[LogLine]())
        store.away = True
        keeper = Keeper(after, store, every=5)
        await keeper.keep()
        after.hear(joined(2))
        store.away = False
        await keeper.keep()
        assert [row.text for row in after.panel("events", "1").rows] == ["guest2 joined", "guest1 joined"]
        assert "guest1" in json.dumps(store.kept["events"]), "what was kept is not lost to what came since"

    run_virtually(main())
