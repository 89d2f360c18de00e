"""Trying Redis or Valkey: one PING, with the time it took."""

from __future__ import annotations

import time

from antiphon.domain.health import PartState, Trial

_SECONDS = 3.0


async def try_redis(url: str) -> Trial:
    """Connect, ping, disconnect. The client's messages are not repeated: they may hold the password."""
    if not url:
        return Trial(PartState.OFF, "Events stay in this process.", "several processes need a Redis or Valkey server")
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return Trial(PartState.DEGRADED, "That is no address.", "it begins with redis://, rediss:// or unix://")
    try:
        from redis.asyncio import Redis
        from redis.exceptions import AuthenticationError, RedisError
    except ImportError:
        return Trial(PartState.OFF, "The library for Redis is not installed.", "install the extra: antiphon[redis]")
    try:
        client = Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    except (ValueError, RedisError):
        return Trial(PartState.DEGRADED, "That is no address.", "write it as redis://host:6379/0")
    try:
        began = time.monotonic()
        await client.ping()
        took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    except AuthenticationError:
        return Trial(
            PartState.DEGRADED, "The server refuses user or password.", "write them as redis://user:password@host"
        )
    except (RedisError, OSError):
        return Trial(PartState.DEGRADED, "Nothing answers there.", "check the address, and that the server runs")
    finally:
        await client.aclose()
    return Trial(PartState.OK, "The server answers.", facts=(("Answered in", took),))
