"""Leaves an expert alone that keeps failing, and lets exactly one message try it again. Used by `registry`.

closed: everybody may ask. open: nobody, until its time is over. half open: one message is trying; the others go to
the next expert meanwhile. What the try brings decides.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from time import monotonic

LONGEST = 300.0
"""Seconds an expert is left alone at most."""
LASTING = 60.0
"""Seconds after a failure that only a person can mend (a revoked key, say)."""


class BreakerState(StrEnum):
    """See the module."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one expert. Not for several threads. `seconds` doubles with every try that fails."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failed = 0
        self._rounds = 0
        self._until = 0.0
        self._open = False
        self._trying = False

    @property
    def state(self) -> BreakerState:
        """Half open also when the time is over and nobody has tried yet."""
        if not self._open:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._trying or self._clock() >= self._until else BreakerState.OPEN

    @property
    def seconds_left(self) -> float:
        """Seconds until somebody may try again."""
        return max(0.0, self._until - self._clock()) if self._open else 0.0

    def enter(self) -> bool:
        """Whether this request may go. Every True is followed by `good`, `bad` or `leave`."""
        if not self._open:
            return True
        if self._trying or self._clock() < self._until:
            return False
        self._trying = True
        return True

    def good(self) -> None:
        """It answered."""
        self._open = self._trying = False
        self._failed = self._rounds = 0

    def bad(self, *, lasting: bool = False, retry_after: float | None = None) -> None:
        """It failed: for good as far as we know (`lasting`), or with a time after which it wants to be asked again."""
        self._failed += 1
        if not (self._open or lasting or retry_after is not None or self._failed >= self._most):
            return
        pause = min(self._seconds * 2**self._rounds, LONGEST)
        if lasting:
            pause = max(pause, LASTING)
        if retry_after is not None:
            pause = min(max(retry_after, 0.0), LONGEST)
        if self._trying or not self._open:
            self._rounds += 1
        self._open, self._trying = True, False
        self._until = self._clock() + pause

    def leave(self) -> None:
        """The request ended without telling anything (a person stopped it): the next one may try."""
        self._trying = False

    def reachable_again(self) -> None:
        """A check outside of any message found it well: the next message tries it at once."""
        if self._open:
            self._until = min(self._until, self._clock())
