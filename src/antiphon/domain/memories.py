"""What the agent was told to remember, what it would like to, and what people thought of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
