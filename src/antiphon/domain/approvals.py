"""Durable questions to a human about one tool call. They fail closed, expire, and are used once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ApprovalState(StrEnum):
    """pending -> approved | denied | expired | cancelled; approved -> consumed when the tool starts."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CONSUMED = "consumed"


class ApproverKind(StrEnum):
    """Who may answer."""

    REQUESTER = "requester"
    PERMISSION = "permission"


@dataclass(frozen=True, slots=True)
class ApproverRule:
    """Who may answer an approval: the requester themself, or anybody holding `permission` in that channel."""

    kind: ApproverKind = ApproverKind.REQUESTER
    permission: str = ""


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """One tool call the brain wants approved. `call_id` is the model's id of the call within the snapshot."""

    call_id: str
    tool: str
    arguments: dict[str, object]
    arguments_hash: str
    summary: str
    rule: ApproverRule
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A stored approval. `decided_by` names the person; an approval is bound to `arguments_hash`."""

    id: int
    task: int
    channel: str
    call_id: str
    tool: str
    arguments: dict[str, object]
    arguments_hash: str
    summary: str
    rule: ApproverRule
    requester: int
    state: ApprovalState
    created_at: datetime
    expires_at: datetime
    decided_by: int | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """What a waiting task continues with: the brain's snapshot and each approval with its decision."""

    snapshot: bytes
    approvals: tuple[Approval, ...] = field(default=())


class ApprovalStore(Protocol):
    """Questions to humans."""

    async def get(self, approval: int) -> Approval:
        """One approval, or `NotFound`."""
        ...

    async def pending(self, channel: str | None = None) -> Sequence[Approval]:
        """Pending approvals, oldest first."""
        ...

    async def decide(self, approval: int, state: ApprovalState, by: int) -> Approval:
        """Approve or deny a pending, unexpired approval; the last decision of a pause queues its task again.

        Repeating the same decision by the same person returns it unchanged; anything else on a decided approval
        raises `Conflict`. Who may decide is checked by `threads.approvals` before.
        """
        ...
