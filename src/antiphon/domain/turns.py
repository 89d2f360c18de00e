"""One run of the brain: what it is asked and the events it yields."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from antiphon.domain.approvals import PauseRequest, Resume
from antiphon.domain.identity import Requester
from antiphon.domain.work import Lease, Usage


@dataclass(slots=True)
class Meter:
    """What a turn has consumed so far.

    The brain writes it with each request to a model. Whoever runs the turn reads it when the turn is stopped or fails:
    then there is no last event that could tell.
    """

    usage: Usage = field(default_factory=Usage)
    requests: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    """Model, tokens and cost of each request, for the trace; `estimated` where no server told them."""

    def as_trace(self) -> dict[str, object]:
        """What stands in the trace of the turn."""
        return {"requests": list(self.requests)} if self.requests else {}


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An answer that was being spoken when the person broke in: the task it belongs to, and what was heard of it."""

    task: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """Everything that identifies a turn. The brain reads the context (history, memories, persona) itself.

    `commit` is None for ordinary turns. A speculative spoken turn gives a callable that returns only once the turn
    is committed, with the real task id: the brain awaits it before the first tool call and before any record.
    """

    task: int
    turn: str
    attempt: int
    channel: str
    thread: int
    message: int | None
    text: str
    requester: Requester
    resume: Resume | None = None
    commit: Callable[[], Awaitable[int]] | None = None
    lease: Lease | None = None
    """Fences the records of tool calls: a worker that lost its task starts no tool."""
    spoken: bool = False
    """Somebody listens to the answer: it is to be read aloud, and a model that does not begin is waited for less."""
    native_id: str = ""
    """The platform's name of the message, while its id is not known: its row may be written at any moment."""
    unfinished: Unfinished | None = None
    """What was said last, where it may not be stored yet."""
    role: str = ""
    """What the agent is asked to be in this conversation, beside what the settings say."""
    meter: Meter = field(default_factory=Meter)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call was recorded and begins. `summary` is one line a person may read."""

    execution: int
    tool: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call ended, with the status and one readable line."""

    execution: int
    tool: str
    status: str
    summary: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Paused:
    """The turn needs approvals; it ends here and continues from `snapshot` in another turn."""

    snapshot: bytes
    requests: tuple[PauseRequest, ...]
    text: str
    usage: Usage = field(default_factory=Usage)
    trace: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Final:
    """The whole answer. Always the last event of a turn that did not pause or fail."""

    text: str
    usage: Usage = field(default_factory=Usage)
    trace: dict[str, object] = field(default_factory=dict[str, object])


TurnEvent = TextDelta | ToolStarted | ToolFinished | Paused | Final


class Brain(Protocol):
    """Runs one turn."""

    def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Yield the turn's events, ending with `Final` or `Paused`. Raises `ModelError` when no model could answer.

        Closing the iterator (`aclose`) stops the turn; a tool that has started is left to finish and be recorded.
        """
        ...
