"""What tools declare and what is recorded of their calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from antiphon.domain.approvals import ApproverRule
from antiphon.domain.work import Lease


class Risk(StrEnum):
    """How much a call can hurt. `DANGEROUS` always needs a human approval."""

    READ = "read"
    OWN = "own"
    """Changes only what belongs to the requester (a reminder, a memory of theirs)."""
    SHARED = "shared"
    """Changes what others see (a poll, a server's memory)."""
    DANGEROUS = "dangerous"
    """Hits a person or deletes for good."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a tool declares. `name` is dotted (`reminders.create`); `parameters` is a JSON schema.

    `permission` is what the requester must hold ("everyone", "operator", "owner" or a platform's own word).
    `idempotent`: running it again with the same execution id has no further effect. `timeout` is in seconds,
    `output_limit` in characters of the recorded and returned text.
    """

    name: str
    description: str
    parameters: dict[str, object]
    risk: Risk
    permission: str = "everyone"
    idempotent: bool = False
    timeout: float = 15.0
    output_limit: int = 8_000
    approver: ApproverRule | None = None


class ExecutionStatus(StrEnum):
    """`started` without a result after a crash means the outcome is unknown."""

    STARTED = "started"
    OK = "ok"
    FAILED = "failed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExecutionKey:
    """Identity of a call across replays: the n-th call of this tool with these arguments within its task."""

    task: int
    tool: str
    arguments_hash: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class ToolExecution:
    """One recorded call. `result` is what the model was given, already capped and redacted."""

    id: int
    key: ExecutionKey
    status: ExecutionStatus
    arguments: dict[str, object]
    result: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0
    approval: int | None = None
    fresh: bool = True
    """False when `begin` found the record of an earlier attempt."""


class ExecutionStore(Protocol):
    """The record of tool calls."""

    async def begin(
        self, key: ExecutionKey, arguments: Mapping[str, object], *, lease: Lease | None, approval: int | None
    ) -> ToolExecution:
        """Record a call before it runs, or return the record of an earlier attempt (`fresh=False`).

        With `approval` the approval is consumed in the same transaction: `Conflict` when it is not approved, expired,
        used before, or bound to other arguments. With `lease` the write is fenced.
        """
        ...

    async def end(self, execution: int, status: ExecutionStatus, result: str, seconds: float) -> None:
        """Record how the call ended. A second end of the same execution changes nothing."""
        ...
