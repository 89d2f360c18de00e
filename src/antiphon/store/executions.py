"""Implements `domain.tools.ExecutionStore`: the record of tool calls. Called by `tools.execute`, the choke point."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.domain.approvals import ApprovalState
from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, LeaseLost, NotFound
from antiphon.domain.tools import ExecutionKey, ExecutionStatus, ToolExecution
from antiphon.domain.work import Lease
from antiphon.store import models
from antiphon.store.db import Database, Tx

# The lock keeps the task from being taken over until the record is committed.
_HELD = "SELECT attempt FROM antiphon_task WHERE id = %s AND owner = %s AND attempt = %s AND state = 'running'"
_CONSUME = """
UPDATE antiphon_approval SET state = 'consumed'
WHERE id = %s AND state = 'approved' AND task_id = %s AND tool = %s AND arguments_hash = %s AND expires_at > %s
"""
_END = "UPDATE antiphon_toolexecution SET status = %s, result = %s, seconds = %s WHERE id = %s AND status = 'started'"


class DjangoExecutionStore:
    """Recorded before it runs, and again when it ends."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(
        self, key: ExecutionKey, arguments: Mapping[str, object], *, lease: Lease | None, approval: int | None
    ) -> ToolExecution:
        """Record a call before it runs, or return the record of an earlier attempt (`fresh=False`).

        An approval is used up in the same transaction. The earlier record of the same call does not need it again.
        """
        now = self._clock.now().timestamp()

        def begin(tx: Tx) -> ToolExecution:
            tx.lock_task(key.task)
            if lease is not None and tx.row(_HELD, lease.task, lease.owner, lease.attempt) is None:
                raise LeaseLost("This task belongs to somebody else now.")
            earlier = models.ToolExecution.objects.filter(
                task_id=key.task,
                tool=key.tool,
                arguments_hash=key.arguments_hash,
                occurrence=key.occurrence,
            ).first()
            if earlier is not None:
                return _execution(earlier, fresh=False)
            if not models.Task.objects.filter(pk=key.task).exists():
                raise NotFound("There is no such task.")
            if approval is not None and not tx.execute(_CONSUME, approval, key.task, key.tool, key.arguments_hash, now):
                raise Conflict(_refusal(approval, key, now))
            row = models.ToolExecution.objects.create(
                task_id=key.task,
                tool=key.tool,
                arguments_hash=key.arguments_hash,
                occurrence=key.occurrence,
                attempt=lease.attempt if lease else 0,
                arguments=dict(arguments),
                status=ExecutionStatus.STARTED.value,
                started_at=self._clock.now(),
                approval_id=approval,
            )
            return _execution(row, fresh=True)

        return await self._database.run(begin)

    async def end(self, execution: int, status: ExecutionStatus, result: str, seconds: float) -> None:
        """Record how the call ended. A second end of the same execution changes nothing."""
        await self._database.run(
            lambda tx: tx.execute(_END, status.value, result.replace("\x00", ""), seconds, execution)
        )


def _refusal(approval: int, key: ExecutionKey, now: float) -> str:
    """Why an approval could not be used, in words."""
    row = models.Approval.objects.filter(pk=approval).first()
    if row is None or row.task_id != key.task:
        return "There is no such approval for this task."
    if row.tool != key.tool or row.arguments_hash != key.arguments_hash:
        return "The approval was given for another call."
    if row.state == ApprovalState.CONSUMED:
        return "The approval was used before."
    if row.state == ApprovalState.EXPIRED or row.expires_at.timestamp() <= now:
        return "The approval has expired."
    return "The call was not approved."


def _execution(row: models.ToolExecution, *, fresh: bool) -> ToolExecution:
    return ToolExecution(
        id=row.pk,
        key=ExecutionKey(row.task_id, row.tool, row.arguments_hash, row.occurrence),
        status=ExecutionStatus(row.status),
        arguments=row.arguments,
        result=row.result,
        started_at=row.started_at,
        seconds=row.seconds,
        approval=row.approval_id,
        fresh=fresh,
    )
