"""Panels in Redis or Valkey: a hash for each, which other services read, and a message when it changed.

Implements `domain.panels.PanelStore`. The format is described in docs/redis.md. Import it only where Redis is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from redis.exceptions import RedisError

from antiphon.bus.redis import PREFIX, redis_client
from antiphon.domain.clock import Clock
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import PANEL, Bus

KEY = f"{PREFIX}panel:"
_AWAY = "Redis does not answer now. The panels are kept again as soon as it does."


class RedisPanelStore:
    """One hash per panel. `close` ends the connection."""

    def __init__(self, url: str, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._redis = redis_client(url, answer_seconds=3)

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        """What was kept, by the names of the panels. What cannot be read as JSON was written by somebody else."""
        found: dict[str, Mapping[str, object]] = {}
        try:
            async for key in self._redis.scan_iter(match=f"{KEY}*", count=100):
                text = await self._redis.hget(key, "state")
                try:
                    state = json.loads(text or "null")
                except ValueError:
                    continue
                if isinstance(state, dict):
                    found[str(key).removeprefix(KEY)] = cast("Mapping[str, object]", state)
        except (RedisError, OSError) as error:
            raise StoreUnavailable(_AWAY) from error
        return found

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        """Write the hash, then say that it changed."""
        changed = self._clock.now().isoformat()
        fields = {
            "state": json.dumps(dict(state), separators=(",", ":")),
            "panel": json.dumps(dict(panel), separators=(",", ":")),
            "changed": changed,
        }
        try:
            await self._redis.hset(f"{KEY}{name}", mapping=fields)
        except (RedisError, OSError) as error:
            raise StoreUnavailable(_AWAY) from error
        await self._bus.publish(PANEL, "panel.changed", {"panel": name, "changed": changed})

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
