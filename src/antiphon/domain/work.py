"""The durable rows of work: tasks, leases, outcomes and replies, with the states they may be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from antiphon.domain.approvals import PauseRequest
from antiphon.domain.identity import Requester


class TaskState(StrEnum):
    """queued -> running -> done | waiting | dead | cancelled; waiting -> queued once its approvals are decided."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the task will not move on by itself."""
        return self in (TaskState.DONE, TaskState.DEAD, TaskState.CANCELLED)


class TaskKind(StrEnum):
    """Why a task exists."""

    MESSAGE = "message"
    SPOKEN = "spoken"
    SCHEDULED = "scheduled"


class ReplyState(StrEnum):
    """draft -> ready -> sending -> sent | dead. `sending` is written before the platform is called."""

    DRAFT = "draft"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class ReplyKind(StrEnum):
    """What a reply is to its task; one reply per task, kind and part."""

    ANSWER = "answer"
    NOTICE = "notice"
    """Something about the task itself: waiting for an approval, given up."""
    REMINDER = "reminder"
    SPOKEN = "spoken"
    """Already heard by the person: stored for the record, never sent."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a turn consumed. `seconds` is wall time of the turn; `cost` is in the configured currency."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one task. Every write of the worker names it and is refused once it is lost.

    `attempt` starts at 1 and grows with each claim, so a listener can tell a replay from the first run.
    """

    task: int
    owner: str
    attempt: int

    @property
    def turn(self) -> str:
        """The id of the turn this lease runs."""
        return f"{self.task}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed task with all a turn needs to start, so that starting costs one read."""

    lease: Lease
    channel: str
    thread: int
    message: int
    text: str
    requester: Requester
    kind: TaskKind = TaskKind.MESSAGE
    received_at: datetime | None = None
    resume: bool = False
    """True when the task was waiting and its approvals are decided: continue the stored pause."""
    cancel_requested: bool = False
    tries: int = 1
    """Claims held against the task, this one included. Unlike `attempt` it starts again after a pause or a retry."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why a task failed, in words a person may read."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the API shows it."""

    id: int
    state: TaskState
    kind: TaskKind
    channel: str
    thread: int
    message: int
    attempt: int
    created_at: datetime
    updated_at: datetime
    reply: str | None = None
    tools: tuple[dict[str, object], ...] = ()
    usage: dict[str, object] = field(default_factory=dict[str, object])
    error: TaskFailure | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended, written by one fenced transaction.

    `state` is DONE, CANCELLED (stopped by a person: `parts` is what they had seen) or DEAD (`failure` says why and
    `parts` tells the person). `parts` is the answer split to the platform's limits; the stored message is their
    concatenation `text`. `spoken` marks words already heard: stored, never sent.
    """

    state: TaskState
    text: str
    parts: tuple[str, ...]
    usage: Usage = field(default_factory=Usage)
    interrupted: bool = False
    failure: TaskFailure | None = None
    spoken: bool = False
    trace: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Pause:
    """A turn that waits for people: the brain's snapshot, the approvals asked for, and the words said so far."""

    snapshot: bytes
    requests: tuple[PauseRequest, ...]
    text: str
    parts: tuple[str, ...]
    usage: Usage = field(default_factory=Usage)
    trace: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Delivery:
    """One reply to hand to a platform.

    `native_id` set: the reply exists there already (a draft), so edit it. `doubtful`: an earlier send may have
    arrived; look for it before sending again. `nonce` is stable over all tries of this reply (at most 25 characters).
    """

    reply: int
    channel: str
    text: str
    kind: ReplyKind
    attempt: int
    task: int
    turn_attempt: int = 1
    message: int | None = None
    """The agent's stored message this reply delivers; clients that also read the messages list need it."""
    part: int = 0
    native_id: str = ""
    doubtful: bool = False
    reply_to: str = ""
    created_at: datetime | None = None

    @property
    def nonce(self) -> str:
        """The idempotency key offered to platforms that honour one."""
        return f"ant-{self.reply}"
