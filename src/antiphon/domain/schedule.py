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
    """An entry that does not repeat fires once; a repeating one stays pending until its rule ends."""

    PENDING = "pending"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When something repeats: an RFC 5545 rule on the wall clock of a place.

    `rule` is an RRULE value ("FREQ=WEEKLY;BYDAY=MO,TU"). `zone` is the IANA name of the clock that counts, `start` the
    naive local time there from which the rule is counted: it gives what the rule leaves open, such as the hour.
    """

    rule: str
    start: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A thing to be done at `due_at`. `origin` makes creation idempotent: the same origin gives the same entry.

    With `recurrence`, `due_at` is its first firing.
    """

    kind: EntryKind
    due_at: datetime
    channel: str
    person: int | None
    origin: str
    text: str = ""
    data: dict[str, object] = field(default_factory=dict[str, object])
    recurrence: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """A new time for an entry: when it is due next, and how it repeats from then on (None: not at all)."""

    due_at: datetime
    recurrence: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored schedule entry. For a repeating one `due_at` is the next firing and `fired_at` the last."""

    id: int
    kind: EntryKind
    state: EntryState
    due_at: datetime
    channel: str
    person: int | None
    text: str
    created_at: datetime
    fired_at: datetime | None = None
    recurrence: Recurrence | None = None
