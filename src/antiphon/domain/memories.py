"""What the agent was told to remember, what it would like to, and what people thought of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from antiphon.domain.conversation import Message


class MemoryScope(StrEnum):
    """Whom a memory is about. A person's memories are theirs alone; a server's are seen by everybody there."""

    PERSON = "person"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Memory:
    """One remembered fact with its provenance: who said it, in which channel, when."""

    id: int
    scope: MemoryScope
    subject: int
    text: str
    author: int
    channel: str
    created_at: datetime
    origin: str = ""
    """What it came from: the same origin is remembered once."""


class ProposalState(StrEnum):
    """pending -> accepted | denied."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A fact the agent would like to remember about a person; `memory` is what it became once they agreed."""

    id: int
    person: int
    text: str
    channel: str
    state: ProposalState
    created_at: datetime
    decided_at: datetime | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a person thought of one answer: `value` is 1 or -1, `correction` what they wrote about it, if anything."""

    id: int
    value: int
    question: str
    answer: str
    correction: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said in a thread up to message `upto`, in short; `author` is the model that wrote it."""

    thread: int
    upto: int
    text: str
    author: str


class MemoryStore(Protocol):
    """What was remembered."""

    async def remember(
        self, scope: MemoryScope, subject: int, text: str, *, author: int, channel: str, origin: str
    ) -> Memory:
        """Store a fact; the same `origin` returns the existing one."""
        ...

    async def recall(self, scope: MemoryScope, subject: int, query: str, limit: int) -> Sequence[Memory]:
        """The memories about a subject, most relevant to `query` first (newest first when it is empty)."""
        ...

    async def forget(self, scope: MemoryScope, subject: int, memories: Sequence[int] | None) -> Sequence[Memory]:
        """Forget the given memories of that subject, or all with None; returns what was forgotten."""
        ...

    async def restore(self, memory: Memory) -> Memory:
        """Take back that a memory was forgotten: the same text, scope, time and id. Twice is once."""
        ...


class ProposalStore(Protocol):
    """What the agent would like to remember."""

    async def propose(self, person: int, text: str, *, channel: str, origin: str) -> Proposal:
        """Store a question to the person; the same `origin` returns the existing one."""
        ...

    async def decide(self, proposal: int, person: int, *, accept: bool) -> Proposal:
        """The person's answer; accepting remembers the fact in the same transaction.

        The same answer again changes nothing, another one is a `Conflict`. `NotFound` when it is not theirs.
        """
        ...


class FeedbackStore(Protocol):
    """What people thought of answers."""

    async def rate(self, message: int, person: int, value: int, text: str) -> None:
        """Store a person's opinion (1 or -1) of an agent's message; a second one replaces the first. `NotFound`."""
        ...

    async def retract(self, feedback: int, person: int) -> None:
        """Take an opinion back: from then on it changes nothing. `NotFound` when it is not there or not theirs."""
        ...

    async def lessons(self, person: int, question: str, limit: int) -> Sequence[Lesson]:
        """A person's opinions of answers to questions like this one, the most alike first."""
        ...


class SummaryStore(Protocol):
    """Rolling summaries of long threads."""

    async def summary(self, thread: int) -> Summary | None:
        """What is stored for a thread."""
        ...

    async def keep(self, summary: Summary) -> None:
        """Store it, unless a later one is there already or the thread is gone."""
        ...

    async def unsummarised(self, thread: int, *, after: int, before: int, limit: int) -> Sequence[Message]:
        """The messages of a thread between two ids (both exclusive), oldest first, up to `limit`."""
        ...
