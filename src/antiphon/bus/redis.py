"""The bus over Redis or Valkey: what several processes use. Keys and payloads are part of docs/specification.md.

Stream `antiphon:1:events:<topic>` keeps the last events for resuming; pub/sub channel `antiphon:1:<topic>` carries them
live. One Lua script assigns the id, appends and publishes, so that stream order is id order is delivery order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from antiphon.bus.listeners import Listener, Listeners, reset_event
from antiphon.bus.memory import KEEP_EVENTS, KEEP_FOR
from antiphon.domain.clock import Clock
from antiphon.domain.events import BusEvent
from antiphon.domain.health import PartHealth, PartState

PREFIX = "antiphon:1:"
_SECONDS = int(KEEP_FOR.total_seconds())
log = structlog.stdlib.get_logger(__name__)

# KEYS: last id, stream. ARGV: now in microseconds, pub/sub channel, name, payload, time, events kept, seconds kept,
# seconds for which the last id is kept (longer than the events, so that their stream never meets a smaller one).
# The id is the time or one more than the last: it grows even when Redis lost its data. `%.0f`: Lua numbers are doubles.
_PUBLISH = """
local id = tonumber(redis.call('GET', KEYS[1]) or '0') + 1
if id < tonumber(ARGV[1]) then id = tonumber(ARGV[1]) end
local text = string.format('%.0f', id)
redis.call('SET', KEYS[1], text, 'EX', ARGV[8])
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[6], text .. '-0', 'name', ARGV[3], 'payload', ARGV[4], 'at', ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('PUBLISH', ARGV[2], cjson.encode({id = text, name = ARGV[3], payload = ARGV[4], at = ARGV[5]}))
return text
"""


def redis_client(url: str, *, answer_seconds: float | None = None) -> Any:
    """A connection to a server, for the bus and for whatever else is kept there; it is made when it is first used.

    With `answer_seconds` a command fails when it is not answered for so long.
    """
    return cast(
        "Any",
        redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            decode_responses=True,
            socket_connect_timeout=3,
            socket_timeout=answer_seconds,
            socket_keepalive=True,
            # A pooled connection that died with the last server fails on first use: one more try opens a new one.
            retry=Retry(NoBackoff(), 1),
        ),
    )


class RedisBus:
    """Implements `domain.events.Bus` over one Redis server. Call `start` before use and `close` after."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._redis = redis_client(url)
        self._script = self._redis.register_script(_PUBLISH)
        self._listeners = Listeners()
        self._changed = asyncio.Event()
        self._subscribed: dict[str, asyncio.Event] = {}
        self._asked: dict[str, int] = {}
        self._reader: asyncio.Task[None] | None = None
        self._last_local: dict[str, int] = {}

    async def start(self) -> None:
        """Start the one reader of this process."""
        self._reader = asyncio.create_task(self._read_forever(), name="bus-redis-reader")

    async def close(self) -> None:
        """Stop reading and close the connections."""
        if self._reader is not None:
            await _end(self._reader)
        await self._redis.aclose()

    async def publish(self, topic: str, name: str, payload: Mapping[str, object]) -> int:
        """Publish to every process. With Redis gone the listeners of this process still get the event."""
        now = self._clock.now()
        micros = int(now.timestamp() * 1_000_000)
        body = json.dumps(dict(payload), ensure_ascii=False, separators=(",", ":"))
        try:
            answer = await self._script(
                keys=[f"{PREFIX}id:{topic}", f"{PREFIX}events:{topic}"],
                args=[micros, PREFIX + topic, name, body, now.isoformat(), KEEP_EVENTS, _SECONDS, 2 * _SECONDS],
            )
            return int(cast("str", answer))
        except (RedisError, OSError) as error:
            log.warning("bus.publish_failed", topic_kind=topic.partition(".")[0], error=type(error).__name__)
            event_id = max(micros, self._last_local.get(topic, 0) + 1)
            self._last_local[topic] = event_id
            self._listeners.deliver(BusEvent(topic, event_id, name, dict(payload), now))
            return event_id

    @asynccontextmanager
    async def subscribe(self, *topics: str, after: int | None = None) -> AsyncGenerator[AsyncIterator[BusEvent], None]:
        """Listen to `topics`. The live subscription is confirmed before the kept events are read, so none is missed."""
        listener = _ResumingListener(topics) if after is not None else Listener(topics)
        for topic in self._listeners.add(listener):
            self._subscribed.setdefault(topic, asyncio.Event())
        self._changed.set()
        try:
            confirmed = [self._subscribed[topic].wait() for topic in topics if topic in self._subscribed]
            with contextlib.suppress(TimeoutError):  # Redis is away: the reader will reset us when it is back
                async with asyncio.timeout(3):
                    await asyncio.gather(*confirmed)
            if isinstance(listener, _ResumingListener) and after is not None:
                for topic in topics:
                    listener.replay(await self._kept_after(topic, after))
                listener.go_live()
            else:
                listener.forget()  # heard over a subscription that was just being given up: a gap may follow
            yield listener
        finally:
            self._listeners.remove(listener)
            self._changed.set()

    async def _kept_after(self, topic: str, after: int) -> list[BusEvent]:
        now = self._clock.now()
        try:
            rows = cast(
                "list[tuple[str, dict[str, str]]]",
                await self._redis.xrange(f"{PREFIX}events:{topic}"),  # pyright: ignore[reportUnknownMemberType]
            )
        except (RedisError, OSError):
            return [reset_event(topic, now)]
        events = [
            BusEvent(
                topic,
                int(row_id.partition("-")[0]),
                row["name"],
                cast("dict[str, object]", json.loads(row["payload"])),
                datetime.fromisoformat(row["at"]),
            )
            for row_id, row in rows
        ]
        fresh = [event for event in events if now - event.at <= KEEP_FOR]
        if not fresh or after < fresh[0].id or after > fresh[-1].id:
            return [reset_event(topic, now, fresh[-1].id if fresh else 0)]
        return [event for event in fresh if event.id > after]

    async def health(self) -> PartHealth:
        """Whether Redis answers within a second."""
        try:
            async with asyncio.timeout(1):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return PartHealth(
                "bus", PartState.DEGRADED, "Redis does not answer", "Check REDIS_URL and that the server runs"
            )
        return PartHealth("bus", PartState.OK, "Redis")

    async def _read_forever(self) -> None:
        """Keep one pub/sub connection following the topics somebody listens to; reset everybody after a gap."""
        delay = 0.1
        first = True
        while True:
            try:
                await self._read(after_gap=not first)
            except (RedisError, OSError) as error:
                log.warning("bus.connection_lost", error=type(error).__name__, retry_in=delay)
                for confirmed in self._subscribed.values():
                    confirmed.clear()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            else:
                delay = 0.1
            first = False

    async def _read(self, *, after_gap: bool) -> None:
        """Read one connection until it breaks. Subscribing only writes, so it may happen beside the pending read."""
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)
        async with pubsub:
            # A channel of our own keeps the connection in subscribed mode while nobody listens to a topic.
            await pubsub.subscribe(f"{PREFIX}_")
            self._changed.set()
            steering = asyncio.create_task(self._follow(pubsub), name="bus-redis-follow")
            try:
                while True:
                    message = await pubsub.get_message(timeout=None)
                    if message is not None:
                        self._handle(message, after_gap=after_gap)
                    if steering.done():
                        steering.result()  # raises what broke it
            finally:
                await _end(steering)

    async def _follow(self, pubsub: Any) -> None:
        """Subscribe to what is listened to and unsubscribe from what no longer is."""
        following: set[str] = set()
        self._asked.clear()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if fresh := set(self._listeners.topics()) - following:
                following |= fresh
                for topic in fresh:
                    self._asked[topic] = self._asked.get(topic, 0) + 1
                await pubsub.subscribe(*(PREFIX + topic for topic in fresh))
            if gone := following - set(self._listeners.topics()):
                following -= gone
                for topic in gone:  # before the await: whoever comes meanwhile waits for a confirmation of their own
                    self._subscribed.pop(topic, None)
                await pubsub.unsubscribe(*(PREFIX + topic for topic in gone))

    def _handle(self, message: dict[str, Any], *, after_gap: bool) -> None:
        topic = str(message["channel"]).removeprefix(PREFIX)
        if message["type"] == "subscribe":
            outstanding = self._asked.pop(topic, 1) - 1
            if outstanding > 0:  # this one answers an earlier subscription that was given up since
                self._asked[topic] = outstanding
                return
            confirmed = self._subscribed.get(topic)
            if confirmed is not None:
                if after_gap and not confirmed.is_set():
                    self._listeners.deliver(reset_event(topic, self._clock.now()))
                confirmed.set()
        elif message["type"] == "message":
            data = cast("dict[str, str]", json.loads(message["data"]))
            event = BusEvent(
                topic,
                int(data["id"]),
                data["name"],
                cast("dict[str, object]", json.loads(data["payload"])),
                datetime.fromisoformat(data["at"]).astimezone(UTC),
            )
            self._listeners.deliver(event)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is over: redis-py may swallow a cancellation that meets it in mid-command.

    Being cancelled meanwhile is put off until then, so that no task is left behind.
    """
    interrupted = False
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=0.1)
        except asyncio.CancelledError:
            interrupted = True
    if not task.cancelled():
        task.exception()  # retrieved, so that it is not reported as forgotten
    if interrupted:
        raise asyncio.CancelledError


class _ResumingListener(Listener):
    """Holds live events back until the kept ones are in, then drops those it has already."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        super().__init__(topics)
        self._held: list[BusEvent] | None = []
        self._last: dict[str, int] = {}

    def put(self, event: BusEvent) -> None:
        if self._held is not None:
            self._held.append(event)
        else:
            super().put(event)

    def replay(self, events: list[BusEvent]) -> None:
        """Queue kept events in order, before anything live."""
        for event in events:
            self._last[event.topic] = event.id
            super().put(event)

    def go_live(self) -> None:
        """Queue what came meanwhile and pass on directly from now."""
        held, self._held = self._held or [], None
        for event in held:
            if event.id > self._last.get(event.topic, 0):
                super().put(event)
