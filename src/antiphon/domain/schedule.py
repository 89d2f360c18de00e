"""Things people asked to happen at a time. (Idle threads and expiring approvals are due too, from their own rows.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


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


_SAID = {
    "en": {
        "reminder": ("Here is your reminder.", "Reminder: {what}"),
        "timer": ("Your timer is up.", "Timer: {what}"),
        "late": ("it was due at {at:%H:%M on %d %B}", "; {missed} more came due since"),
    },
    "de": {
        "reminder": ("Hier ist deine Erinnerung.", "Erinnerung: {what}"),
        "timer": ("Dein Timer ist abgelaufen.", "Timer: {what}"),
        "late": ("fällig um {at:%H:%M} Uhr am {at:%d.%m.}", "; seitdem noch {missed}-mal fällig"),
    },
    "es": {
        "reminder": ("Aquí tienes tu recordatorio.", "Recordatorio: {what}"),
        "timer": ("Tu temporizador ha terminado.", "Temporizador: {what}"),
        "late": ("era para las {at:%H:%M} del {at:%d/%m}", "; desde entonces, {missed} más"),
    },
}


def fired_words(
    kind: str, text: str, languages: Sequence[str], late_since: datetime | None = None, missed: int = 0
) -> str:
    """What a person reads when an entry fires, in the first of `languages` that is known here, else in English.

    `late_since` is when it was due, on the person's clock, if that is long ago; `missed` firings since are not made up
    for one by one.
    """
    known = (language.partition("-")[0].casefold() for language in languages)
    words = _SAID[next((language for language in known if language in _SAID), "en")]
    what = text.strip()
    bare, named = words["timer" if kind == EntryKind.TIMER else "reminder"]
    said = named.format(what=what) if what else bare
    if late_since is None:
        return said
    due, more = words["late"]
    return f"{said} ({due.format(at=late_since)}{more.format(missed=missed) if missed else ''})"


class ScheduleStore(Protocol):
    """Whatever is due."""

    async def add(self, entry: NewEntry) -> Entry:
        """Create an entry; the same `origin` returns the existing one."""
        ...

    async def pending(self, person: int, channel: str | None = None) -> Sequence[Entry]:
        """A person's open reminders and timers, soonest first."""
        ...

    async def cancel(self, person: int, entries: Sequence[int]) -> Sequence[Entry]:
        """Cancel the given pending entries of that person; returns those that were cancelled."""
        ...

    async def change(
        self, person: int, entry: int, *, text: str | None = None, timing: Timing | None = None
    ) -> Entry | None:
        """Change what is given of a pending entry of that person; None when there is no such entry (any more)."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next entry is due, a thread goes idle, or an approval expires; None when nothing is to come."""
        ...

    async def fire_due(self, limit: int) -> int:
        """Carry out what is due, each entry with its whole effect in one transaction. Returns how many fired.

        A reminder or timer becomes a finished task (kind scheduled) with the agent's message and its reply; one that
        repeats moves to its next time, and firings missed meanwhile count as this one. An active
        thread without live tasks whose last message is older than the idle time is closed. A pending approval past
        its time expires, and the last one of a pause queues its task again.
        """
        ...
