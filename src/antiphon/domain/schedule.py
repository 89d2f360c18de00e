"""Things people asked to happen at a time. (Idle threads and expiring approvals are due too, from their own rows.)"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EntryKind(StrEnum):
    """What happens when an entry is due."""

    REMINDER = "reminder"
    TIMER = "timer"


class EntryState(StrEnum):
    """An entry fires once."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A thing to be done at `due_at`. `origin` makes creation idempotent: the same origin gives the same entry."""

    kind: EntryKind
    due_at: datetime
    channel: str
    person: int | None
    origin: str
    text: str = ""
    data: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored schedule entry."""

    id: int
    kind: EntryKind
    state: EntryState
    due_at: datetime
    channel: str
    person: int | None
    text: str
    created_at: datetime
    fired_at: datetime | None = None
