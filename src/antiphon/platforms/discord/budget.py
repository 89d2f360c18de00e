"""How much may be asked of Discord: its limits for all requests, for each route, and for requests that are refused.

`rest.py` takes from it before each request and tells it what each answer said. Route limits are learnt from the
answers' headers and never written down here: Discord may change them at any time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

SLOT = 0.2
PER_SLOT = 8
"""Requests in each fifth of a second: 40 in a second, and never more than the 48 of six slots in any second however its
beginning falls. Discord allows a bot 50."""
INVALID_WINDOW = 600.0
INVALID_STOP = 2000
"""Refused requests within the window at which nothing more is asked: at 10,000 Discord blocks the whole address."""
_MARGIN = 0.05
"""Seconds to wait longer than told: clocks and networks are not exact."""
_MOST_BUCKETS = 5000


class SharedCounter(Protocol):
    """Counts something for all processes of an installation (Redis), or for this one alone."""

    async def add(self, name: str, seconds: float) -> int:
        """Count one more under `name` and return how many there are; the name is forgotten after `seconds`."""
        ...


class LocalCounter:
    """Counts in this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: dict[str, tuple[int, float]] = {}

    async def add(self, name: str, seconds: float) -> int:
        """Count one more under `name`."""
        now = self._now()
        if len(self._counts) > 8:
            self._counts = {key: value for key, value in self._counts.items() if value[1] > now}
        count = self._counts.get(name, (0, 0.0))[0] + 1
        self._counts[name] = (count, now + seconds)
        return count


@dataclass(slots=True)
class Bucket:
    """What is known of one route's limit. `remaining` None: nothing yet, so one request asks first."""

    limit: int = 1
    remaining: int | None = None
    resets_at: float = 0.0
    assumed: bool = False
    """Whether the window is one that no answer told of yet."""
    under_way: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])

    def free(self, now: float) -> bool:
        """Whether one more request may go now."""
        if self.remaining is None:
            return self.under_way == 0
        if now >= self.resets_at:
            return self.under_way < self.limit
        return self.remaining > 0

    def take(self, now: float) -> None:
        """One more request goes."""
        if self.remaining is not None:
            if now >= self.resets_at:
                self.remaining = self.limit - self.under_way
                # Until the answer tells when the new window ends nothing beyond it may be assumed.
                self.resets_at, self.assumed = now + 60.0, True
            self.remaining -= 1
        self.under_way += 1

    def untake(self, *, asked: bool) -> None:
        """No answer comes to one that went; `asked`: Discord may have got it, and counted it."""
        self.under_way = max(0, self.under_way - 1)
        if self.remaining is None:
            return
        if not asked:
            # Each one under way has taken one place of `remaining`, in whichever window.
            self.remaining = min(self.limit, self.remaining + 1)
        elif self.assumed and not self.under_way:
            self.remaining = None  # nobody told of this window: one request asks again, not all of the limit

    def wake(self) -> None:
        """Let whoever waits look again."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class RateBudget:
    """The limits of one bot, shared by everything that asks in its name in this process."""

    def __init__(
        self,
        counter: SharedCounter | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._counter = counter or LocalCounter(now)
        self._now = now
        self._wall = wall
        self._names: dict[str, str] = {}
        self._buckets: dict[str, Bucket] = {}
        self._paused_until = 0.0
        self._invalid: deque[float] = deque()

    @property
    def stopped(self) -> bool:
        """Whether so much was refused lately that asking more would lock us out."""
        self._forget_invalid()
        return len(self._invalid) >= INVALID_STOP

    async def take(self, route: str, major: str, patience: float) -> float:
        """Wait for the turn of a request; 0.0 when it may go now. A wait beyond `patience` is returned instead.

        Whoever got 0.0 must call `answered`, `lost` or `unasked`.
        """
        deadline = self._now() + patience
        bucket = self._bucket(route, major)
        while True:
            now = self._now()
            wait = max(0.0, self._paused_until - now)
            if not wait and bucket.free(now):
                bucket.take(now)
                try:
                    over = await self._global(deadline)
                except BaseException:
                    # Whoever is cancelled here will tell of no answer; its place must not stay taken.
                    self.unasked(route, major)
                    raise
                if over:
                    self.unasked(route, major)
                return over
            if not wait:
                wait = max(0.0, bucket.resets_at - now) if bucket.remaining is not None else 0.0
            if wait and now + wait > deadline and not bucket.under_way:
                return wait
            await self._sleep(bucket, wait, deadline)
            if self._now() >= deadline:
                return max(wait, 0.05)
            bucket = self._bucket(route, major)

    async def global_turn(self, patience: float) -> float:
        """The same for a request that has no route of its own to keep to: the library's."""
        deadline = self._now() + patience
        wait = max(0.0, self._paused_until - self._now())
        if wait > patience:
            return wait
        await asyncio.sleep(wait)
        return await self._global(deadline)

    def answered(self, route: str, major: str, status: int, headers: Mapping[str, str], retry_after: float) -> None:
        """What an answer said about the limits. `retry_after` is that of a 429, in seconds."""
        bucket = self._bucket(route, major)
        bucket.under_way = max(0, bucket.under_way - 1)
        self._note(route, major, bucket, status, headers, retry_after)
        known = self._bucket(route, major)
        known.wake()
        if known is not bucket:  # the answer named the bucket: whoever waited for it under the route's name looks again
            while bucket.waiting:
                bucket.wake()

    def lost(self, route: str, major: str) -> None:
        """No answer came; Discord may have counted the request all the same."""
        bucket = self._bucket(route, major)
        bucket.untake(asked=True)
        bucket.wake()

    def unasked(self, route: str, major: str) -> None:
        """It never left: its place is free again."""
        bucket = self._bucket(route, major)
        bucket.untake(asked=False)
        bucket.wake()

    def refused(self) -> None:
        """The library met a refusal (401, 403 or 429)."""
        self._invalid.append(self._now())

    def _note(
        self, route: str, major: str, bucket: Bucket, status: int, headers: Mapping[str, str], retry_after: float
    ) -> None:
        now = self._now()
        if status in (401, 403) or (status == 429 and headers.get("X-RateLimit-Scope") != "shared"):
            self._invalid.append(now)
        if (name := headers.get("X-RateLimit-Bucket")) and self._names.get(route) != name:
            self._names[route] = name
            known = self._bucket(route, major)
            known.under_way += bucket.under_way
            bucket = known
        if status == 429:
            until = now + retry_after + _MARGIN
            if headers.get("X-RateLimit-Global") or headers.get("X-RateLimit-Scope") == "global":
                self._paused_until = max(self._paused_until, until)
            else:
                # Only a window that Discord told of may be longer than what it asks for now.
                told = bucket.resets_at if bucket.remaining == 0 and not bucket.assumed else 0.0
                bucket.remaining, bucket.resets_at, bucket.assumed = 0, max(told, until), False
            return
        limit, remaining = _whole(headers.get("X-RateLimit-Limit")), _whole(headers.get("X-RateLimit-Remaining"))
        if limit is None or remaining is None:
            if bucket.remaining is None and status < 500:
                bucket.limit, bucket.remaining, bucket.resets_at = 10, 10, now + 1.0  # no limit was told
            return
        left = max(0, remaining - bucket.under_way)
        resets_at = now + _seconds(headers.get("X-RateLimit-Reset-After")) + _MARGIN
        same_window = bucket.remaining is not None and abs(resets_at - bucket.resets_at) < 0.5
        bucket.remaining = min(bucket.remaining or 0, left) if same_window else left
        bucket.limit, bucket.resets_at, bucket.assumed = max(1, limit), resets_at, False

    def _bucket(self, route: str, major: str) -> Bucket:
        key = f"{self._names.get(route, route)} {major}"
        found = self._buckets.get(key)
        if found is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                now = self._now()
                self._buckets = {
                    key: kept
                    for key, kept in self._buckets.items()
                    if kept.under_way or kept.waiting or kept.resets_at > now
                }
            found = self._buckets[key] = Bucket()
        return found

    async def _sleep(self, bucket: Bucket, wait: float, deadline: float) -> None:
        """Until the wait is over, somebody of the same bucket is done, or patience ends."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bucket.waiting.append(waiter)
        left = max(0.0, deadline - self._now())
        try:
            await asyncio.wait({waiter}, timeout=min(wait, left) if wait else left)
        except asyncio.CancelledError:
            if waiter.done():
                bucket.wake()  # the turn was given to somebody who does not want it any more
            raise
        finally:
            if not waiter.done():
                waiter.cancel()
                if waiter in bucket.waiting:
                    bucket.waiting.remove(waiter)

    async def _global(self, deadline: float) -> float:
        """The turn among all requests of the bot: so many in each second of the wall clock, for all processes alike."""
        while True:
            slot = int(self._wall() / SLOT)
            if await self._counter.add(f"slot-{slot}", 3.0) <= PER_SLOT:
                return 0.0
            wait = (slot + 1) * SLOT - self._wall()
            if self._now() + wait > deadline:
                return max(wait, 0.01)
            await asyncio.sleep(max(wait, 0.0))

    def _forget_invalid(self) -> None:
        before = self._now() - INVALID_WINDOW
        while self._invalid and self._invalid[0] < before:
            self._invalid.popleft()


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() else None


def _seconds(value: str | None) -> float:
    try:
        return max(0.0, float(value or 0.0))
    except ValueError:
        return 0.0
