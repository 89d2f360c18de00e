"""Counting together: limits that hold for all processes of an installation at once. Used for Discord's rate limit."""

from __future__ import annotations

import time
from typing import Any

import redis.asyncio as redis
import structlog

log = structlog.stdlib.get_logger(__name__)

PREFIX = "antiphon:1:count:"
_SILENCE = 5.0
"""Seconds in which Redis is not asked again after it did not answer."""


class RedisCounter:
    """Counts in Redis. While that is away each process counts for itself."""

    def __init__(self, url: str) -> None:
        make: Any = redis.Redis
        self._client: Any = make.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._away_until = 0.0
        self._own: dict[str, int] = {}

    async def add(self, name: str, seconds: float) -> int:
        """Count one more under `name` and return how many there are; the name is forgotten after `seconds`."""
        if time.monotonic() >= self._away_until:
            try:
                async with self._client.pipeline(transaction=True) as pipe:
                    pipe.incr(PREFIX + name)
                    pipe.pexpire(PREFIX + name, int(seconds * 1000))
                    count, _ = await pipe.execute()
            except (redis.RedisError, OSError, TimeoutError) as error:
                log.warning("counter.away", error=type(error).__name__)
                self._away_until = time.monotonic() + _SILENCE
            else:
                return int(count)
        if len(self._own) > 100:
            self._own.clear()
        self._own[name] = self._own.get(name, 0) + 1
        return self._own[name]

    async def close(self) -> None:
        """End the connection."""
        await self._client.aclose()
