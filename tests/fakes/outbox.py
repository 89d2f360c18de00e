"""Replies in memory, with the order and the leases the port promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import platform_of
from antiphon.domain.errors import LeaseLost, StoreUnavailable
from antiphon.domain.replies import Delivery, ReplyKind, ReplyState
from antiphon.domain.signals import Signals
from antiphon.domain.work import Lease


@dataclass
class Row:
    """One reply."""

    delivery: Delivery
    state: ReplyState
    due_at: datetime
    owner: str = ""
    lease_until: datetime | None = None
    reason: str = ""


class FakeOutbox:
    """Implements `domain.replies.OutboxStore`. `down` makes that many next calls fail with `StoreUnavailable`."""

    def __init__(self, clock: Clock, signals: Signals) -> None:
        self._clock = clock
        self._signals = signals
        self.rows: dict[int, Row] = {}
        self.down = 0

    def add(self, channel: str, text: str, *, state: ReplyState = ReplyState.READY, task: int = 1) -> int:
        """A reply that is ready to go."""
        reply = len(self.rows) + 1
        now = self._clock.now()
        delivery = Delivery(reply, channel, text, ReplyKind.ANSWER, 0, task, created_at=now)
        self.rows[reply] = Row(delivery, state, now)
        self._signals.notify("replies")
        return reply

    def _check(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("The database does not answer.")

    def _held(self, owner: str, reply: int) -> Row:
        self._check()
        row = self.rows[reply]
        if row.state is not ReplyState.SENDING or row.owner != owner:
            raise LeaseLost("Somebody else sends this.")
        return row

    async def claim(self, owner: str, limit: int, lease_seconds: float, platforms: Sequence[str]) -> Sequence[Delivery]:
        """Heads of channels, expired `sending` rows as doubtful."""
        self._check()
        now = self._clock.now()
        taken: list[Delivery] = []
        seen: set[str] = set()
        for row in self.rows.values():
            if row.state not in (ReplyState.READY, ReplyState.SENDING) or row.delivery.channel in seen:
                continue
            seen.add(row.delivery.channel)
            expired = row.state is ReplyState.SENDING and row.lease_until is not None and row.lease_until <= now
            if len(taken) >= limit or platform_of(row.delivery.channel) not in platforms:
                continue
            if not expired and (row.state is ReplyState.SENDING or row.due_at > now):
                continue
            row.delivery = replace(
                row.delivery, attempt=row.delivery.attempt + 1, doubtful=row.delivery.doubtful or expired
            )
            row.state, row.owner = ReplyState.SENDING, owner
            row.lease_until = now + timedelta(seconds=lease_seconds)
            taken.append(row.delivery)
        return taken

    async def sent(self, owner: str, reply: int, native_id: str) -> None:
        """Done."""
        row = self._held(owner, reply)
        row.state, row.delivery = ReplyState.SENT, replace(row.delivery, native_id=native_id)

    async def later(self, owner: str, reply: int, delay: float, reason: str, *, doubtful: bool) -> None:
        """Back to ready."""
        row = self._held(owner, reply)
        row.state, row.reason = ReplyState.READY, reason
        row.due_at = self._clock.now() + timedelta(seconds=delay)
        row.delivery = replace(row.delivery, doubtful=row.delivery.doubtful or doubtful)

    async def dead(self, owner: str, reply: int, reason: str) -> None:
        """Given up."""
        row = self._held(owner, reply)
        row.state, row.reason = ReplyState.DEAD, reason

    async def open_draft(self, lease: Lease) -> Delivery:
        """The draft of a task; a second opening of an unsent one is doubtful."""
        self._check()
        for row in self.rows.values():
            if row.delivery.task == lease.task and row.state is ReplyState.DRAFT:
                if not row.delivery.native_id:
                    row.delivery = replace(row.delivery, doubtful=True)
                return row.delivery
        return self.rows[self.add("telegram:c", "", state=ReplyState.DRAFT, task=lease.task)].delivery

    async def draft_sent(self, reply: int, native_id: str) -> None:
        """The draft is there."""
        self._check()
        row = self.rows[reply]
        row.delivery = replace(row.delivery, native_id=native_id, doubtful=False)

    async def revive(self, reply: int) -> None:
        """Try a dead one again."""
        self.rows[reply].state = ReplyState.READY
