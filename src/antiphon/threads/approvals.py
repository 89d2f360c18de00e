"""Deciding approvals: the one way for every surface (page, API, chat button, voice)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from antiphon.domain.approvals import Approval, ApprovalState, ApprovalStore, ApproverKind
from antiphon.domain.errors import Forbidden
from antiphon.domain.events import Bus, turn_topic
from antiphon.domain.identity import Authority, Requester
from antiphon.domain.work import TaskStore

log = structlog.stdlib.get_logger(__name__)


class Approvals:
    """Asks who may decide, records the decision, and tells the channel. Fails closed."""

    def __init__(self, store: ApprovalStore, tasks: TaskStore, authority: Authority, bus: Bus) -> None:
        self._store = store
        self._tasks = tasks
        self._authority = authority
        self._bus = bus

    async def may_decide(self, approval: Approval, who: Requester) -> bool:
        """Whether `who` may answer this approval now.

        The requester's own approvals can only be answered by the same person; the others by whoever holds the named
        permission in the approval's channel at this moment.
        """
        if approval.rule.kind is ApproverKind.REQUESTER:
            return who.person == approval.requester
        # The permission counts where the deed would be done, not where the answer comes from.
        return await self._authority.holds(replace(who, channel=approval.channel), approval.rule.permission)

    async def decide(self, approval_id: int, who: Requester, *, approve: bool) -> Approval:
        """Approve or refuse. The waiting task is queued again when its last approval is decided.

        Raises `NotFound`, `Forbidden` when `who` may not answer, `Conflict` when it is decided or expired.
        """
        approval = await self._store.get(approval_id)
        if not await self.may_decide(approval, who):
            raise Forbidden("This approval is not yours to answer.")
        state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
        decided = await self._store.decide(approval_id, state, who.person)
        log.info("approval.decided", approval=approval_id, state=decided.state, tool=decided.tool, task=decided.task)
        attempt = (await self._tasks.get(decided.task)).attempt
        await self._bus.publish(
            turn_topic(decided.channel),
            "approval.decided",
            {
                "task": str(decided.task),
                "turn": f"{decided.task}.{attempt}",
                "attempt": attempt,
                "approval": str(approval_id),
                "state": str(decided.state),
            },
        )
        return decided

    async def pending(self, who: Requester, channel: str | None = None) -> Sequence[Approval]:
        """The pending approvals `who` may answer, oldest first."""
        return [one for one in await self._store.pending(channel) if await self.may_decide(one, who)]
