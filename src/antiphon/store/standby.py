"""Handing a message straight to a worker that waits for one, in the transaction that accepts it.

Without it a message reaches its turn over two transactions, accepting and claiming, with the event loop between them.
A worker with nothing to do says so here; a message whose channel is idle is then accepted as already claimed by it.
Only within one process: elsewhere workers are woken and claim. Used by `acceptance` and `tasks`.
"""

from __future__ import annotations

import threading

from antiphon.domain.work import Work


class Standby:
    """Free slots of the one worker of this process, and the work handed to it. Safe from any thread.

    A slot taken by a transaction that was rolled back stays taken until the worker stands by again, a second later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = ""
        self._lease_seconds = 0.0
        self._slots = 0
        self._handed: list[Work] = []

    def offer(self, owner: str, slots: int, lease_seconds: float) -> None:
        """`owner` has that many free slots from now until `collect`."""
        with self._lock:
            self._owner, self._slots, self._lease_seconds = owner, slots, lease_seconds

    def take(self) -> tuple[str, float] | None:
        """Take a slot for a message: the owner and the seconds of its lease. None when nobody waits."""
        with self._lock:
            if self._slots <= 0:
                return None
            self._slots -= 1
            return self._owner, self._lease_seconds

    @property
    def open(self) -> bool:
        """Whether a slot is free; only a hint, `take` decides."""
        return self._slots > 0

    def hand_over(self, work: Work) -> None:
        """After the commit: the worker finds it at its next `collect`."""
        with self._lock:
            self._handed.append(work)

    def collect(self) -> list[Work]:
        """End the offer and return what was handed over. Transactions in flight may still hand over something."""
        with self._lock:
            self._slots = 0
            handed, self._handed = self._handed, []
            return handed
