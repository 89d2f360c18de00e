"""Approvals in memory, shared with the fake execution store, which consumes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from antiphon.domain.approvals import Approval, ApprovalState, PauseRequest
from antiphon.domain.errors import Conflict, NotFound
from tests.fakes.clock import FakeClock


class FakeApprovals:
    """Implements `domain.approvals.ApprovalStore`, and `ask` in place of `TaskStore.pause`."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[int, Approval] = {}

    def ask(self, request: PauseRequest, *, task: int = 1, channel: str = "web:a", requester: int = 1) -> Approval:
        """Store a question."""
        approval = Approval(
            id=len(self.rows) + 1,
            task=task,
            channel=channel,
            call_id=request.call_id,
            tool=request.tool,
            arguments=request.arguments,
            arguments_hash=request.arguments_hash,
            summary=request.summary,
            rule=request.rule,
            requester=requester,
            state=ApprovalState.PENDING,
            created_at=self._clock.now(),
            expires_at=request.expires_at,
        )
        self.rows[approval.id] = approval
        return approval

    async def get(self, approval: int) -> Approval:
        """One approval."""
        if approval not in self.rows:
            raise NotFound("No such approval.")
        return self.rows[approval]

    async def pending(self, channel: str | None = None) -> Sequence[Approval]:
        """Pending ones, oldest first."""
        return [a for a in self.rows.values() if a.state is ApprovalState.PENDING and channel in (None, a.channel)]

    async def decide(self, approval: int, state: ApprovalState, by: int) -> Approval:
        """Decide once."""
        row = await self.get(approval)
        if row.state is state and row.decided_by == by:
            return row
        if row.state is not ApprovalState.PENDING or row.expires_at <= self._clock.now():
            raise Conflict("This was decided already or has expired.")
        self.rows[approval] = replace(row, state=state, decided_by=by, decided_at=self._clock.now())
        return self.rows[approval]

    def expire(self, approval: int) -> Approval:
        """What the schedule does when the time is over."""
        self.rows[approval] = replace(self.rows[approval], state=ApprovalState.EXPIRED)
        return self.rows[approval]

    def consume(self, approval: int, arguments_hash: str) -> None:
        """Use an approval up, or raise `Conflict`."""
        row = self.rows.get(approval)
        if row is None or row.state is not ApprovalState.APPROVED:
            raise Conflict("The approval is not open for use.")
        if row.arguments_hash != arguments_hash:
            raise Conflict("The approval was given for other arguments.")
        if row.expires_at <= self._clock.now():
            raise Conflict("The approval has expired.")
        self.rows[approval] = replace(row, state=ApprovalState.CONSUMED)
