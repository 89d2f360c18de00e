"""Live events over SSE and WebSockets on a real port: order, resuming, ownership, revocation, slow readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.api import auth
from antiphon.api.hub import Hub
from antiphon.bus.redis import RedisBus
from antiphon.domain.events import turn_topic
from antiphon.run.clock import SystemClock
from tests.fixtures_redis import RedisServer
from tests.integration.api_world import Someone, World
from tests.integration.slow_reader import SlowReader
from tests.integration.test_api_messages import error_of


class EventStream:
    """A reader of an event stream, as a browser's EventSource sees it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event; comments are passed over. Raises `StopAsyncIteration` at the end."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(5):
            while True:
                line = await anext(self.lines)
                if not line and "data" in event:
                    return event
                name, _, value = line.partition(": ")
                if name in ("id", "event", "data"):
                    event[name] = json.loads(value) if name != "event" else value

    async def ended(self) -> bool:
        """Whether the stream is over within five seconds."""
        try:
            while True:
                await self.next()
        except StopAsyncIteration:
            return True


@contextlib.asynccontextmanager
async def listening(address: str, headers: dict[str, str], channel: str, query: str = "") -> AsyncIterator[EventStream]:
    """An open event stream, subscribed."""
    async with (
        httpx.AsyncClient(base_url=f"http://{address}", headers=headers, trust_env=False) as client,
        client.stream("GET", f"/api/channels/{channel}/events{query}") as response,
    ):
        if response.status_code != 200:
            await response.aread()
        yield EventStream(response)


@contextlib.asynccontextmanager
async def socket_of(
    address: str, who: Someone, channel: str, query: str = "", **kwargs: Any
) -> AsyncIterator[ClientConnection]:
    path = f"ws://{address}/ws/channels/{channel}{query}"
    async with connect(path, additional_headers=who.bearer, **kwargs) as connection:
        yield connection


async def received(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return json.loads(await connection.recv())


async def closed_with(connection: ClientConnection) -> int:
    """The close code, whatever comes before it."""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.recv()
    return connection.close_code or 1006


async def until_listening(world: World, count: int) -> None:
    async with asyncio.timeout(5):
        while world.api.state.hub.listening != count:  # noqa: ASYNC110 - a test looking in from outside
            await asyncio.sleep(0.005)


async def test_two_tabs_get_the_same_events_over_both_transports(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with (
        world.served() as address,
        listening(address, world.owner.bearer, "web:x") as stream,
        socket_of(address, world.owner, "web:x") as connection,
    ):
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-store"
        await until_listening(world, 2)
        async with world.client(world.owner) as client:
            assert "antiphon_listeners 2.0" in (await client.get("/metrics")).text
        for text in ("be\nfore", "ünd \u2028 after", ""):
            number = await world.publish("web:x", "text.delta", text=text)
            payload = {"task": "1", "turn": "1.1", "attempt": 1, "text": text}
            assert await stream.next() == {"id": number, "event": "text.delta", "data": payload}
            assert await received(connection) == {"id": number, "event": "text.delta", "data": payload}


async def test_a_quiet_stream_shows_that_it_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon.api.views import events

    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    async with world.served() as address, listening(address, world.owner.bearer, "web:x") as stream:
        lines = [await anext(stream.lines) for _ in range(8)]
    assert lines[:3] == ["retry: 2000", ": listening", ""]
    assert lines[3:7] == [": still here", "", ": still here", ""]


async def test_only_the_channels_own_events_arrive(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    await world.say(world.owner, "web:y", "hello")
    async with world.served() as address, socket_of(address, world.owner, "web:x") as connection:
        await world.publish("web:y", "text.delta", text="elsewhere")
        await world.publish("web:x", "text.delta", text="here")
        assert (await received(connection))["data"]["text"] == "here"


@pytest.mark.parametrize("how", ["header", "query", "socket"])
async def test_a_client_resumes_where_it_stopped_without_gap_or_repeat(world: World, how: str) -> None:
    await world.say(world.owner, "web:x", "hello")
    numbers = [await world.publish("web:x", "text.delta", text=str(n)) for n in range(20)]
    seen = numbers[4]
    query = "" if how == "header" else f"?after={seen}"
    headers = {**world.owner.bearer, **({"Last-Event-ID": str(seen)} if how == "header" else {})}
    got: list[int] = []
    async with world.served() as address, contextlib.AsyncExitStack() as stack:
        if how == "socket":
            connection = await stack.enter_async_context(socket_of(address, world.owner, "web:x", query))
        else:
            stream = await stack.enter_async_context(listening(address, headers, "web:x", query))
        for n in range(20, 40):
            numbers.append(await world.publish("web:x", "text.delta", text=str(n)))
            await asyncio.sleep(0)
        while len(got) < 35:
            event = await received(connection) if how == "socket" else await stream.next()
            got.append(event["id"])
    assert got == numbers[5:]


async def test_resuming_from_what_is_no_longer_kept_says_reset(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    first = await world.publish("web:x", "text.delta", text="0")
    for n in range(1005):
        await world.publish("web:x", "text.delta", text=str(n))
    async with world.served() as address:
        async with listening(address, world.owner.bearer, "web:x", f"?after={first}") as stream:
            assert (await stream.next())["event"] == "reset"
            number = await world.publish("web:x", "text.delta", text="new")
            assert (await stream.next())["id"] == number
        async with socket_of(address, world.owner, "web:x", "?after=1") as connection:
            assert (await received(connection))["event"] == "reset"


async def test_a_whole_resume_of_a_thousand_events_is_not_too_much(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    numbers = [await world.publish("web:x", "text.delta", text=str(n)) for n in range(1000)]
    async with (
        world.served() as address,
        socket_of(address, world.owner, "web:x", f"?after={numbers[0]}") as connection,
    ):
        assert [(await received(connection))["id"] for _ in range(999)] == numbers[1:]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30, "%00", "\u0661"])
async def test_what_is_no_event_id_is_refused(world: World, after: str) -> None:
    async with world.client(world.owner) as client:
        error = error_of(await client.get(f"/api/channels/web:x/events?after={after}"), 422)
        assert list(error["fields"]) == ["after"]


async def test_events_are_refused_before_the_stream_begins(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with world.client() as client:
        error_of(await client.get("/api/channels/web:x/events"), 401)
    async with world.client(world.other) as client:
        error_of(await client.get("/api/channels/web:x/events"), 404)
        error_of(await client.get("/api/channels/discord:1/events"), 404)
        error_of(await client.get("/api/channels/irc:1/events"), 422)
        assert (await client.head("/api/channels/web:z/events")).status_code == 405  # it would never end
        error_of(await client.get("/api/channels/web:z/events", headers={"Accept": "application/json"}), 406)


async def test_a_listener_before_the_first_message_hears_it_when_it_is_theirs(world: World) -> None:
    async with (
        world.served() as address,
        socket_of(address, world.owner, "web:new") as connection,
        listening(address, world.owner.bearer, "web:new") as stream,
    ):
        await until_listening(world, 2)
        await world.say(world.owner, "web:new", "hello")
        number = await world.publish("web:new", "turn.started")
        assert (await received(connection))["id"] == number
        assert (await stream.next())["id"] == number


async def test_a_listener_before_the_first_message_hears_nothing_when_it_becomes_somebody_elses(world: World) -> None:
    async with (
        world.served() as address,
        socket_of(address, world.other, "web:new") as waiting,
        socket_of(address, world.other, "web:new", "?after=1") as resuming,
        listening(address, world.other.bearer, "web:new") as stream,
    ):
        assert await received(resuming) == {"id": None, "event": "reset", "data": {}}
        await until_listening(world, 3)
        await world.say(world.owner, "web:new", "hello")
        async with socket_of(address, world.owner, "web:new") as mine:
            number = await world.publish("web:new", "text.delta", text="the secret word is heron")
            assert (await received(mine))["id"] == number
            for connection in (waiting, resuming):
                with pytest.raises(ConnectionClosed) as closed:
                    await received(connection)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4404
            with pytest.raises(StopAsyncIteration):
                await stream.next()


async def test_the_first_event_of_somebody_elses_new_channel_is_not_heard(world: World) -> None:
    """Nobody else listens: the hub learns from the rows whose channel it has become, before it passes anything on."""
    async with world.served() as address, socket_of(address, world.other, "web:new") as connection:
        await until_listening(world, 1)
        await world.say(world.owner, "web:new", "hello")
        await world.publish("web:new", "text.delta", text="the secret word is heron")
        with pytest.raises(ConnectionClosed) as closed:
            await received(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404


@pytest.mark.needs("redis")
async def test_resuming_over_redis_neither_skips_nor_repeats(redis_server: RedisServer) -> None:
    """Two processes: one publishes all the time, the other's listeners come and go and resume."""
    clock = SystemClock()
    here, there = RedisBus(redis_server.url, clock), RedisBus(redis_server.url, clock)
    await here.start()
    await there.start()

    async def owner_of(channel: str) -> int | None:
        return 1

    hub = Hub(here, owner_of, lambda: False)
    topic = turn_topic("web:x")
    numbers = [await there.publish(topic, "text.delta", {"text": "first"})]
    got: list[int] = []

    async def publish() -> None:
        for n in range(300):
            numbers.append(await there.publish(topic, "text.delta", {"text": str(n)}))

    publishing = asyncio.create_task(publish())
    try:
        async with asyncio.timeout(20):
            while not publishing.done() or got[-1:] != numbers[-1:]:
                after = got[-1] if got else numbers[0]
                async with hub.listen("web:x", 1, owner=1, after=after, reset_when_full=False) as listener:
                    for _ in range(3):
                        if publishing.done() and got[-1:] == numbers[-1:]:
                            break
                        got += [frame.id for frame in await listener.take()]
    finally:
        publishing.cancel()
        await hub.aclose()
        await here.close()
        await there.close()
    assert got == numbers[1:]


async def test_an_event_of_a_channel_nobody_owns_reaches_nobody(world: World) -> None:
    async with world.served() as address, socket_of(address, world.owner, "web:new") as connection:
        await world.publish("web:new", "text.delta", text="whose?")
        await world.say(world.owner, "web:new", "mine")
        number = await world.publish("web:new", "text.delta", text="mine")
        assert (await received(connection))["id"] == number


@pytest.mark.parametrize("by", ["api", "another process"])
async def test_revoking_a_key_ends_its_streams_at_once(world: World, by: str) -> None:
    await world.say(world.other, "web:x", "hello")
    async with (
        world.served() as address,
        socket_of(address, world.other, "web:x") as connection,
        listening(address, world.other.bearer, "web:x") as stream,
    ):
        await until_listening(world, 2)
        if by == "api":
            async with world.client(world.owner) as client:
                assert (await client.delete(f"/api/keys/{world.other.key_id}")).status_code == 200
        else:
            await world.stores.keys.revoke(world.other.key_id, None)
            await world.bus.publish("key.revoked", "key.revoked", {"key": str(world.other.key_id)})
        assert await closed_with(connection) == 4401
        assert await stream.ended()


async def test_a_revocation_nobody_told_us_about_ends_the_streams_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`antiphon key revoke` without Redis: open streams ask again every few seconds (here: at once)."""
    monkeypatch.setattr(auth, "RECHECK_SECONDS", 0.05)
    await world.say(world.other, "web:x", "hello")
    async with world.served() as address, socket_of(address, world.other, "web:x") as connection:
        await world.stores.keys.revoke(world.other.key_id, None)
        assert await closed_with(connection) == 4401


async def test_signing_out_ends_the_streams_of_that_session_only(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with world.signed_in(world.owner) as one, world.signed_in(world.owner) as two, world.served() as address:
        cookies = [{"Cookie": f"antiphon_session={client.cookies['antiphon_session']}"} for client in (one, two)]
        async with (
            listening(address, cookies[0], "web:x") as first,
            listening(address, cookies[1], "web:x") as second,
        ):
            await until_listening(world, 2)
            assert (await one.delete("/api/session")).status_code == 204
            assert await first.ended()
            number = await world.publish("web:x", "text.delta", text="still here")
            assert (await second.next())["id"] == number


async def test_streams_end_promptly_when_the_server_stops(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(world.served())
        stream = await stack.enter_async_context(listening(address, world.owner.bearer, "web:x"))
        connection = await stack.enter_async_context(socket_of(address, world.owner, "web:x"))
        await until_listening(world, 2)
        began = asyncio.get_running_loop().time()
        world.stopping.append(True)
        assert await closed_with(connection) == 1012
        assert await stream.ended()
        assert asyncio.get_running_loop().time() - began < 2
        await until_listening(world, 0)


async def test_a_listener_that_leaves_leaves_nothing_behind(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with world.served() as address:
        for _ in range(3):
            async with listening(address, world.owner.bearer, "web:x"), socket_of(address, world.owner, "web:x"):
                await until_listening(world, 2)
            await until_listening(world, 0)
    await asyncio.sleep(0.3)  # the task that watches for the stop sees that nobody listens
    left = {task.get_name() for task in asyncio.all_tasks()} - before
    assert not {name for name in left if name.startswith(("api-hub", "api-socket", "api-listener"))}


async def test_a_client_may_ping_and_garbage_is_passed_over(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with world.served() as address, socket_of(address, world.owner, "web:x") as connection:
        for garbage in ("", "{", "[]", "null", '{"type": 7}', b"\xff\xfe", "[" * 4000, '{"type":"subscribe"}'):
            await connection.send(garbage)
        await connection.send('{"type": "ping"}')
        assert await received(connection) == {"id": None, "event": "pong", "data": {}}


async def test_a_client_that_says_too_much_is_closed(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with world.served() as address, socket_of(address, world.owner, "web:x") as connection:
        await connection.send("x" * 5000)
        assert await closed_with(connection) == 4413


async def flood(world: World, megabytes: int) -> int:
    """Publish more than any buffer between us and a client can hold; the last event's id."""
    text = "x" * 10_000
    last = 0
    for n in range(megabytes * 100):
        last = await world.publish("web:x", "text.delta", text=text)
        if n % 20 == 0:
            await asyncio.sleep(0.002)
    return last


async def test_a_slow_web_socket_is_closed_and_the_others_miss_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.api.state.hub, "_limit", 200)
    await world.say(world.owner, "web:x", "hello")
    async with world.served() as address, socket_of(address, world.owner, "web:x", max_size=None) as good:
        slow = SlowReader.of_socket(address, "/ws/channels/web:x", world.owner.key)
        try:
            await until_listening(world, 2)
            reading = asyncio.create_task(read_until_last(good))
            last = await flood(world, 12)
            assert await asyncio.wait_for(reading, 10) == (1200, last)
            await until_listening(world, 1)
            data = await asyncio.to_thread(slow.read_all)
            assert data.endswith(b"\x88\x02\x11\x38")  # a close frame with code 4408
        finally:
            slow.close()


async def read_until_last(connection: ClientConnection) -> tuple[int, int]:
    count, last = 0, 0
    while count < 1200:
        last = json.loads(await connection.recv())["id"]
        count += 1
    return count, last


async def test_a_slow_event_stream_gets_a_reset_instead_of_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.api.state.hub, "_limit", 200)
    await world.say(world.owner, "web:x", "hello")
    async with world.served() as address:
        slow = SlowReader(
            address,
            "GET /api/channels/web:x/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {world.owner.key}\r\n\r\n",
        )
        try:
            await until_listening(world, 1)
            await flood(world, 12)
            data = await asyncio.to_thread(slow.read_all)
            assert b"event: reset\n" in data
            assert len(data) < 11_000_000  # the missed ones were not kept
            number = await world.publish("web:x", "turn.started")
            assert f"id: {number}\n".encode() in await asyncio.to_thread(slow.read_all)
        finally:
            slow.close()


async def test_one_bus_subscription_serves_every_listener_of_a_channel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriptions: list[tuple[str, ...]] = []
    subscribe = world.bus.subscribe

    def counted(*topics: str, after: int | None = None) -> Any:
        subscriptions.append(topics)
        return subscribe(*topics, after=after)

    monkeypatch.setattr(world.bus, "subscribe", counted)
    hub: Hub = world.api.state.hub
    await world.say(world.owner, "web:x", "hello")
    async with contextlib.AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(
                hub.listen("web:x", world.owner.person, owner=world.owner.person, after=None, reset_when_full=False)
            )
            for _ in range(1000)
        ]
        number = await world.publish("web:x", "text.delta", text="to all")
        frames = [await listener.take() for listener in listeners]
    assert subscriptions.count((turn_topic("web:x"),)) == 1
    assert {frame.id for got in frames for frame in got} == {number}
    assert len({id(got[0].ws) for got in frames}) == 1  # one message, shared by all
    assert hub.listening == 0


async def test_a_database_that_is_away_closes_with_try_again(world: World) -> None:
    await world.stores.database.close()
    async with world.served() as address, socket_of(address, world.owner, "web:x") as connection:
        assert await closed_with(connection) == 1013
