"""Reminders and timers in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from antiphon.domain.schedule import Entry, EntryState, NewEntry, Timing
from antiphon.tools.recurrence import next_firing
from tests.fakes.clock import FakeClock


class FakeSchedule:
    """Implements `domain.schedule.ScheduleStore`; firing only marks the entry, there is no channel here."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[int, Entry] = {}
        self.origins: dict[str, int] = {}
        self.asked: list[NewEntry] = []

    async def add(self, entry: NewEntry) -> Entry:
        """Create, once per origin."""
        if entry.origin in self.origins:
            return self.rows[self.origins[entry.origin]]
        self.asked.append(entry)
        row = Entry(
            id=len(self.rows) + 1,
            kind=entry.kind,
            state=EntryState.PENDING,
            due_at=entry.due_at,
            channel=entry.channel,
            person=entry.person,
            text=entry.text,
            created_at=self._clock.now(),
            recurrence=entry.recurrence,
        )
        self.rows[row.id] = row
        self.origins[entry.origin] = row.id
        return row

    async def pending(self, person: int, channel: str | None = None) -> Sequence[Entry]:
        """Open ones of a person, soonest first."""
        found = [
            e
            for e in self.rows.values()
            if e.person == person and e.state is EntryState.PENDING and channel in (None, e.channel)
        ]
        return sorted(found, key=lambda e: (e.due_at, e.id))

    async def cancel(self, person: int, entries: Sequence[int]) -> Sequence[Entry]:
        """Cancel pending ones of that person."""
        done: list[Entry] = []
        for entry in await self.pending(person):
            if entry.id in entries:
                self.rows[entry.id] = replace(entry, state=EntryState.CANCELLED)
                done.append(self.rows[entry.id])
        return done

    async def change(
        self, person: int, entry: int, *, text: str | None = None, timing: Timing | None = None
    ) -> Entry | None:
        """Change a pending one of that person."""
        row = self.rows.get(entry)
        if row is None or row.person != person or row.state is not EntryState.PENDING:
            return None
        if text is not None:
            row = replace(row, text=text)
        if timing is not None:
            row = replace(row, due_at=timing.due_at, recurrence=timing.recurrence)
        self.rows[entry] = row
        return row

    async def next_due(self) -> datetime | None:
        """The soonest pending entry."""
        return min((e.due_at for e in self.rows.values() if e.state is EntryState.PENDING), default=None)

    async def fire_due(self, limit: int) -> int:
        """Mark what is due as done."""
        due = [e for e in self.rows.values() if e.state is EntryState.PENDING and e.due_at <= self._clock.now()]
        for entry in due[:limit]:
            now = self._clock.now()
            following = next_firing(entry.recurrence, max(now, entry.due_at)) if entry.recurrence else None
            state = EntryState.PENDING if following else EntryState.DONE
            self.rows[entry.id] = replace(entry, state=state, due_at=following or entry.due_at, fired_at=now)
        return len(due[:limit])
