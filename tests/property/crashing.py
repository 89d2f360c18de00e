"""A process that can die at any step: every call to a store or platform is a place where it may stop for ever.

`Death` wraps the ports of one simulated process. Armed with n, the n-th call dies: before it has any effect, or after
its effect is committed but before the caller hears of it. A dead process can write nothing any more.
"""

from __future__ import annotations

import inspect
from typing import Any


class Died(BaseException):
    """The process is gone. Not an Exception: nothing may handle it."""


class Death:
    """Counts the calls of one process down to its death."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.after = False
        self.dead = False

    def arm(self, calls: int, *, after: bool) -> None:
        """Die at the `calls`-th call from now, before or after its effect."""
        self.left, self.after = calls, after

    def _due(self) -> bool:
        if self.dead:
            raise Died
        if self.left is None:
            return False
        self.left -= 1
        return self.left <= 0

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Make one call, or die of it."""
        due = self._due()
        if due and not self.after:
            self.dead = True
            raise Died
        result = await function(*args, **kwargs)
        if due or self.dead:
            self.dead = True
            raise Died
        return result


class Mortal:
    """A port through which a process may die. Attributes that are no coroutine functions pass through."""

    def __init__(self, inner: Any, death: Death) -> None:
        self._inner = inner
        self._death = death

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._death.call(value, *args, **kwargs)

        return call
