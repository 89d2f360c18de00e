"""Implements `domain.approvals.ApprovalStore`: questions to humans. Called by `threads.approvals` and the API."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.approvals import Approval, ApprovalState
from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.store import models
from antiphon.store.approval_rows import approval_of, resume_if_decided
from antiphon.store.db import Database, Tx


class DjangoApprovalStore:
    """Fails closed: what is not clearly approved, by a person, in time, is not approved."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, approval: int) -> Approval:
        """One approval, or `NotFound`."""
        return await self._database.read(lambda _: approval_of(_find(approval)))

    async def pending(self, channel: str | None = None) -> Sequence[Approval]:
        """Pending approvals that can still be answered, oldest first."""
        rows = models.Approval.objects.select_related("channel").filter(
            state=ApprovalState.PENDING, expires_at__gt=self._clock.now()
        )
        if channel is not None:
            rows = rows.filter(channel__key=channel)
        return await self._database.read(lambda _: [approval_of(row) for row in rows.order_by("id")])

    async def decide(self, approval: int, state: ApprovalState, by: int) -> Approval:
        """Approve or deny a pending, unexpired approval; the last decision of a pause queues its task again."""
        if state not in (ApprovalState.APPROVED, ApprovalState.DENIED):
            raise InvalidInput("An approval is either approved or denied.")
        now = self._clock.now()

        def decide(tx: Tx) -> Approval:
            # The lock of the task comes first: two last decisions at once would else each see the other as pending.
            tx.lock_task(_find(approval).task_id)
            row = _find(approval)
            if _same_decision(row, state, by):
                return approval_of(row)
            if row.state != ApprovalState.PENDING:
                raise Conflict(f"This was {_decision(row)} before.")
            if row.expires_at <= now:
                raise Conflict("It is too late: this has expired.")
            row.state, row.decided_by_id, row.decided_at = state.value, by, now
            row.save(update_fields=["state", "decided_by", "decided_at"])
            resume_if_decided(tx, row.task_id, now.timestamp())
            return approval_of(row)

        return await self._database.run(decide)


def _find(approval: int) -> models.Approval:
    row = models.Approval.objects.select_related("channel").filter(pk=approval).first()
    if row is None:
        raise NotFound("There is no such approval.")
    return row


def _same_decision(row: models.Approval, state: ApprovalState, by: int) -> bool:
    """Whether this person decided so before. An approval that was used since was approved."""
    return row.decided_by_id == by and _decision(row) == state


def _decision(row: models.Approval) -> str:
    return ApprovalState.APPROVED if row.state == ApprovalState.CONSUMED else row.state
