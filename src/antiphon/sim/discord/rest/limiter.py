"""Rate limits of the HTTP face.

Source: docs, Rate Limits: "Header Format", "Exceeding a Rate Limit", "Global Rate Limit", "Invalid Request Limit aka
Cloudflare Bans".
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass

from antiphon.sim.discord.clock import SimClock
from antiphon.sim.discord.limits import Limits
from antiphon.sim.discord.rest.call import MAJOR, Route


@dataclass(slots=True)
class Bucket:
    """A fixed window that starts with its first request."""

    name: str
    limit: int
    window: float
    used: int = 0
    resets_at: float = 0.0

    def take(self, now: float) -> float:
        """0 when the request passes, else the seconds to wait."""
        if now >= self.resets_at:
            self.used, self.resets_at = 0, now + self.window
        if self.used >= self.limit:
            return self.resets_at - now
        self.used += 1
        return 0.0

    def headers(self, now: float) -> dict[str, str]:
        after = max(0.0, self.resets_at - now)
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": f"{self.resets_at:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": self.name,
        }


class Limiter:
    def __init__(self, clock: SimClock, limits: Limits) -> None:
        self._clock, self._limits = clock, limits
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._global: dict[str, deque[float]] = {}
        self._invalid: deque[float] = deque()

    def bucket(self, route: Route, parameters: dict[str, str], caller: str) -> Bucket:
        major = tuple(parameters.get(name, "") for name in MAJOR)
        token = parameters.get("webhook_token", "")
        key = (route.key, caller, token, *major)
        bucket = self._buckets.get(key)
        if bucket is None:
            limit, window = self._limits.route(route.key)
            # The name says the route, not the major parameter: clients add that themselves.
            name = hashlib.sha256(route.key.encode()).hexdigest()[:32]
            bucket = self._buckets[key] = Bucket(name, limit, window)
        return bucket

    def everything(self, caller: str) -> float:
        """The global limit: 0 when the request passes, else the seconds to wait."""
        now = self._clock.now()
        recent = self._global.setdefault(caller, deque())
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= self._limits.global_per_second:
            return recent[0] + 1.0 - now
        recent.append(now)
        return 0.0

    def reset(self) -> None:
        """Forget what was used; buckets are made anew by the limits as they are now."""
        self._buckets.clear()
        self._global.clear()
        self._invalid.clear()

    def count_invalid(self) -> None:
        self._invalid.append(self._clock.now())

    def banned(self) -> bool:
        """Whether this address made too many invalid requests."""
        now = self._clock.now()
        while self._invalid and now - self._invalid[0] >= self._limits.invalid_window:
            self._invalid.popleft()
        return len(self._invalid) >= self._limits.invalid_requests


def retry_after(seconds: float) -> str:
    """The header in whole seconds; the body is exact."""
    return str(max(1, math.ceil(seconds)))
