"""Reading along on Redis or Valkey: every event of every process, as it is published. For `antiphon events tail`.

It only listens, on a connection of its own; nothing of the program depends on it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

import redis.asyncio as redis

from antiphon.bus.redis import PREFIX
from antiphon.domain.events import BusEvent


async def tail_redis(url: str) -> AsyncGenerator[BusEvent, None]:
    """Events of all topics from now on. Raises redis-py's `RedisError` or `OSError` when the server is away."""
    client = cast("Any", redis.Redis.from_url(url, decode_responses=True, socket_connect_timeout=3))  # pyright: ignore[reportUnknownMemberType]
    async with aclosing(client), client.pubsub() as pubsub:
        await pubsub.psubscribe(f"{PREFIX}*")
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                yield _event(str(message["channel"]).removeprefix(PREFIX), message["data"])


def _event(topic: str, data: str) -> BusEvent:
    envelope = cast("dict[str, str]", json.loads(data))
    return BusEvent(
        topic,
        int(envelope["id"]),
        envelope["name"],
        cast("dict[str, object]", json.loads(envelope["payload"])),
        datetime.fromisoformat(envelope["at"]).astimezone(UTC),
    )
