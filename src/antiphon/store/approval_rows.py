"""Approvals as domain objects, and the steps that move their tasks. Used by `approvals`, `tasks` and `schedule`."""

from __future__ import annotations

from antiphon.domain.approvals import Approval, ApprovalState, ApproverKind, ApproverRule
from antiphon.store import models
from antiphon.store.db import Tx

_RESUME = """
UPDATE antiphon_task SET state = 'queued', run_after = 0, updated_at = %s WHERE id = %s AND state = 'waiting'
AND NOT EXISTS (SELECT 1 FROM antiphon_approval a WHERE a.task_id = antiphon_task.id AND a.state = 'pending')
"""


def approval_of(row: models.Approval) -> Approval:
    """The domain's view of a stored approval (with its channel selected)."""
    return Approval(
        id=row.pk,
        task=row.task_id,
        channel=row.channel.key,
        call_id=row.call_id,
        tool=row.tool,
        arguments=row.arguments,
        arguments_hash=row.arguments_hash,
        summary=row.summary,
        rule=ApproverRule(ApproverKind(row.rule_kind), row.rule_permission),
        requester=row.requester_id,
        state=ApprovalState(row.state),
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by_id,
        decided_at=row.decided_at,
    )


def cancel_pending(task: int, now: float) -> None:
    """The task was cancelled: nobody needs to answer its questions any more."""
    models.Approval.objects.filter(task_id=task, state=ApprovalState.PENDING).update(
        state=ApprovalState.CANCELLED.value, decided_at=now
    )


def resume_if_decided(tx: Tx, task: int, now: float) -> None:
    """Queue a waiting task again when its last approval is decided. The caller holds the task's lock."""
    if tx.execute(_RESUME, now, task):
        tx.notify("tasks")
