"""The durable rows of work: tasks, leases and outcomes, with the states they may be in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from antiphon.domain.approvals import Approval, PauseRequest, Resume
from antiphon.domain.conversation import InboundMessage
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


class TaskStore(Protocol):
    """The runner's side of tasks. See `TaskState` for the machine."""

    async def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[Work]:
        """Take up to `limit` queued, due heads of channels without a running task; at most one per channel.

        Counts the attempt. A head whose attempts are used up is not returned; see `bury`. What was handed over since
        `stand_by` comes first, whatever `limit` says, and ends the standing by.
        """
        ...

    def stand_by(self, owner: str, slots: int, lease_seconds: float) -> None:
        """Until the next `claim` this worker has so many free slots: the store may accept messages as claimed by it.

        It notifies `tasks` after each. One worker per process.
        """
        ...

    async def renew(self, owner: str, tasks: Sequence[int], lease_seconds: float) -> Mapping[int, bool]:
        """Extend the leases still held. Returns task -> cancel requested for those; a missing id is a lost lease."""
        ...

    async def resume_of(self, lease: Lease) -> Resume:
        """The stored pause of a task that was waiting, with its decided approvals."""
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """Fenced completion: agent message, reply parts (a draft becomes ready), turn, usage, state."""
        ...

    async def pause(self, lease: Lease, pause: Pause) -> Sequence[Approval]:
        """Fenced: store the snapshot, create the approvals, tell the person (a notice reply), wait.

        Returns no approvals when a person asked to stop meanwhile: then the task is cancelled instead."""
        ...

    async def retry_later(
        self,
        lease: Lease,
        failure: TaskFailure,
        delay: float,
        *,
        usage: Usage | None = None,
        trace: dict[str, object] | None = None,
    ) -> None:
        """Fenced: back to the queue, not before `delay` seconds, remembering why and what the attempt consumed."""
        ...

    async def give_back(self, owner: str, tasks: Sequence[int]) -> None:
        """Return unfinished tasks at shutdown without counting the attempt."""
        ...

    async def reap(self, *, owners_are_gone: bool = False) -> int:
        """Requeue running tasks whose lease expired (all of them when every earlier owner is known to be gone)."""
        ...

    async def bury(self, max_attempts: int, text: str) -> Sequence[int]:
        """Move queued tasks that used up their attempts to the dead letters and tell the person with `text`."""
        ...

    async def cancel(self, task: int) -> Task:
        """Cancel a queued or waiting task now (its pending approvals too); ask a running one to stop. Idempotent."""
        ...

    async def retry(self, task: int) -> Task:
        """Queue a dead or cancelled task again with fresh attempts; send the dead replies of a done one again.

        `Conflict` when there is nothing to try again."""
        ...

    async def get(self, task: int) -> Task:
        """One task with reply, tools, usage and error. `NotFound` if there is none."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many tasks are in each state."""
        ...


class LiveStore(Protocol):
    """Spoken turns through the same rows."""

    async def begin(self, message: InboundMessage, owner: str, lease_seconds: float) -> Work:
        """Write message and task (running, leased to the session) in one transaction.

        Raises `ChannelBusy` when another task of the channel is running, `Conflict` for a repeated id.
        """
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """The same fenced completion as `TaskStore.finish`, for words already heard."""
        ...
