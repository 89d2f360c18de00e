"""Reading along on Redis or Valkey: every event of every process, as it is published.

For `antiphon events tail` and the console's page of events.
It only listens, on a connection of its own; nothing of the program depends on it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

import redis.asyncio as redis
from redis.exceptions import RedisError

from antiphon.bus.redis import PREFIX
from antiphon.domain.events import BusEvent

_RETRY_SECONDS = 3.0


async def tail_redis(url: str) -> AsyncGenerator[BusEvent, None]:
    """Events of all topics from now on. Raises redis-py's `RedisError` or `OSError` when the server is away."""
    client = cast("Any", redis.Redis.from_url(url, decode_responses=True, socket_connect_timeout=3))  # pyright: ignore[reportUnknownMemberType]
    async with aclosing(client), client.pubsub() as pubsub:
        await pubsub.psubscribe(f"{PREFIX}*")
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                yield _event(str(message["channel"]).removeprefix(PREFIX), message["data"])


async def follow_redis(url: str, hand: Callable[[BusEvent], None]) -> None:
    """Hand over every event until cancelled; while the server is away, try again. For people who watch."""
    while True:
        try:
            async for event in tail_redis(url):
                hand(event)
        except (RedisError, OSError, ValueError):
            await asyncio.sleep(_RETRY_SECONDS)


def _event(topic: str, data: str) -> BusEvent:
    envelope = cast("dict[str, str]", json.loads(data))
    return BusEvent(
        topic,
        int(envelope["id"]),
        envelope["name"],
        cast("dict[str, object]", json.loads(envelope["payload"])),
        datetime.fromisoformat(envelope["at"]).astimezone(UTC),
    )
