"""Implements `domain.schedule.ScheduleStore`: whatever is due. Called by `threads.schedule` and the reminder tools."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.errors import NotFound
from antiphon.domain.polls import closing_words
from antiphon.domain.replies import ReplyKind
from antiphon.domain.schedule import Entry, EntryKind, EntryState, NewEntry, Recurrence, Timing, fired_words
from antiphon.store import models, polls
from antiphon.store.approval_rows import resume_if_decided
from antiphon.store.db import Database, Tx
from antiphon.store.models.fields import from_epoch
from antiphon.store.polls import NEXT_CLOSING
from antiphon.store.thread_opening import thread_for, title_of
from antiphon.tools.recurrence import BadRule, firings_between, next_firing, zone_of

log = structlog.stdlib.get_logger(__name__)

LATE = timedelta(minutes=1)
"""A reminder that comes later than this (after an outage) says when it was due."""

_IDLE = """
state = 'active' AND NOT EXISTS (
    SELECT 1 FROM antiphon_task t
    WHERE t.thread_id = antiphon_thread.id AND t.state IN ('queued', 'running', 'waiting'))
"""
_CLOSE_IDLE = f"UPDATE antiphon_thread SET state = 'closed', closed_at = %s WHERE last_at <= %s AND {_IDLE}"
_NEXT_IDLE = f"SELECT min(last_at) FROM antiphon_thread WHERE {_IDLE}"
_NEXT_ENTRY = "SELECT min(due_at) FROM antiphon_scheduleentry WHERE state = 'pending'"
_NEXT_EXPIRY = "SELECT min(expires_at) FROM antiphon_approval WHERE state = 'pending'"
_EXPIRED_TASKS = (
    "SELECT DISTINCT task_id FROM antiphon_approval WHERE state = 'pending' AND expires_at <= %s ORDER BY 1"
)
_EXPIRE = """
UPDATE antiphon_approval SET state = 'expired', decided_at = %s
WHERE task_id = %s AND state = 'pending' AND expires_at <= %s
"""
_DUE = """
SELECT id FROM antiphon_scheduleentry WHERE state = 'pending' AND due_at <= %s ORDER BY due_at, id LIMIT %s {lock}
"""
_DUE_SQLITE = _DUE.format(lock="")
_DUE_POSTGRES = _DUE.format(lock="FOR UPDATE SKIP LOCKED")  # what another process is firing is not ours


class DjangoScheduleStore:
    """Reminders and timers; idle threads and expiring approvals are due from their own rows."""

    def __init__(self, database: Database, clock: Clock, *, idle_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._idle_seconds = idle_seconds

    async def add(self, entry: NewEntry) -> Entry:
        """Create an entry; the same `origin` returns the existing one. `NotFound` when there is no such channel."""
        now = self._clock.now()

        def add(tx: Tx) -> Entry:
            channel = models.Channel.objects.filter(key=entry.channel).first()
            if channel is None:
                raise NotFound("There is no such channel.")
            row, created = models.ScheduleEntry.objects.select_related("channel").get_or_create(
                origin=entry.origin,
                defaults={
                    "kind": entry.kind.value,
                    "state": EntryState.PENDING.value,
                    "due_at": entry.due_at,
                    "channel": channel,
                    "person_id": entry.person,
                    "text": entry.text,
                    "data": entry.data,
                    "created_at": now,
                    **_rule_columns(entry.recurrence),
                },
            )
            if created:
                tx.notify("schedule")
            return _entry(row)

        return await self._database.run(add)

    async def pending(self, person: int, channel: str | None = None) -> Sequence[Entry]:
        """A person's open reminders and timers, soonest first."""
        rows = _entries().filter(person_id=person, state=EntryState.PENDING).order_by("due_at", "id")
        if channel is not None:
            rows = rows.filter(channel__key=channel)
        return await self._database.read(lambda _: [_entry(row) for row in rows])

    async def cancel(self, person: int, entries: Sequence[int]) -> Sequence[Entry]:
        """Cancel the given pending entries of that person; returns those that were cancelled."""

        def cancel(tx: Tx) -> list[Entry]:
            found = _entries().filter(person_id=person, pk__in=list(entries), state=EntryState.PENDING)
            rows = list(found.select_for_update(of=("self",)).order_by("due_at", "id"))
            for row in rows:
                row.state = EntryState.CANCELLED.value
                row.save(update_fields=["state"])
            return [_entry(row) for row in rows]

        return await self._database.run(cancel)

    async def change(
        self, person: int, entry: int, *, text: str | None = None, timing: Timing | None = None
    ) -> Entry | None:
        """Change what is given of a pending entry of that person; None when there is no such entry (any more)."""

        def change(tx: Tx) -> Entry | None:
            found = _entries().filter(person_id=person, pk=entry, state=EntryState.PENDING)
            row = found.select_for_update(of=("self",)).first()
            if row is None:
                return None
            if text is not None:
                row.text = text
            if timing is not None:
                row.due_at = timing.due_at
                for name, value in _rule_columns(timing.recurrence).items():
                    setattr(row, name, value)
                tx.notify("schedule")
            row.save(update_fields=["text", "due_at", "rule", "rule_start", "rule_zone"])
            return _entry(row)

        return await self._database.run(change)

    async def next_due(self) -> datetime | None:
        """When an entry is due, a thread goes idle, a poll closes or an approval expires next; None when nothing is."""

        def read(tx: Tx) -> datetime | None:
            idle = _value(tx, _NEXT_IDLE)
            times = [
                _value(tx, _NEXT_ENTRY),
                _value(tx, _NEXT_EXPIRY),
                _value(tx, NEXT_CLOSING),
                idle + self._idle_seconds if idle is not None else None,
            ]
            known = [time for time in times if time is not None]
            return from_epoch(min(known)) if known else None

        return await self._database.read(read)

    async def fire_due(self, limit: int) -> int:
        """Carry out what is due, each entry with its whole effect in one transaction. Returns how many fired."""
        now = self._clock.now()

        def fire(tx: Tx) -> int:
            epoch = now.timestamp()
            due = tx.rows(_DUE_POSTGRES if tx.postgres else _DUE_SQLITE, epoch, limit)
            for (entry,) in due:
                self._fire(tx, entry, now)
            fired = len(due)
            for poll in polls.due(tx, now, limit):
                self._close_poll(tx, poll, now)
                fired += 1
            for (task,) in tx.rows(_EXPIRED_TASKS, epoch):
                tx.lock_task(task)
                fired += tx.execute(_EXPIRE, epoch, task, epoch)
                resume_if_decided(tx, task, epoch)
            return fired + tx.execute(_CLOSE_IDLE, epoch, epoch - self._idle_seconds)

        return await self._database.run(fire)

    def _fire(self, tx: Tx, entry: int, now: datetime) -> None:
        """Turn one due entry into a finished task with the agent's message and its reply."""
        row = models.ScheduleEntry.objects.select_related("channel", "person").get(pk=entry)
        epoch = now.timestamp()
        channel = row.channel
        tx.lock_channel(channel.key)
        following, missed = _following(row, now)
        text = _words(row, now, missed)
        thread = thread_for(tx, channel.pk, epoch, self._idle_seconds, title_of(text))
        row.task = _finished_task(tx, row, thread, text, now)
        row.fired_at = now
        if following is None:
            row.state = EntryState.DONE.value
        else:
            row.due_at = following
            tx.notify("schedule")
        row.save(update_fields=["state", "due_at", "fired_at", "task"])

    def _close_poll(self, tx: Tx, row: models.Poll, now: datetime) -> None:
        """Close a poll whose time is up, and say the result in its channel."""
        tx.lock_channel(row.channel.key)
        text = closing_words(polls.closed(row, now))
        thread = thread_for(tx, row.channel_id, now.timestamp(), self._idle_seconds, title_of(text))
        _finished_task(tx, row, thread, text, now)


def _following(entry: models.ScheduleEntry, now: datetime) -> tuple[datetime | None, int]:
    """When a repeating entry fires next, and how many firings were missed beside the one it makes up for now.

    Never before the firing that is being made: a clock that was set back does not repeat it.
    """
    recurrence = _recurrence(entry)
    if recurrence is None:
        return None, 0
    try:
        following = next_firing(recurrence, max(now, entry.due_at))
        return following, firings_between(recurrence, entry.due_at, now) if now - entry.due_at >= LATE else 0
    except BadRule:
        log.exception("schedule.rule_unreadable", entry=entry.pk)
        return None, 0


def _finished_task(
    tx: Tx, entry: models.ScheduleEntry | models.Poll, thread: int, text: str, now: datetime
) -> models.Task:
    """The task of a fired entry or a closed poll. Its message is the agent's own: nobody asked anything now."""
    message = models.Message.objects.create(
        channel_id=entry.channel_id, thread_id=thread, author="agent", text=text, at=now, created_at=now
    )
    task = models.Task.objects.create(
        kind="scheduled",
        channel_id=entry.channel_id,
        thread_id=thread,
        message=message,
        person_id=entry.person_id,
        state="done",
        created_at=now,
        updated_at=now,
    )
    message.answers = task
    message.save(update_fields=["answers"])
    models.Reply.objects.create(
        task=task,
        kind=ReplyKind.REMINDER.value,
        channel_id=entry.channel_id,
        platform=entry.channel.platform,
        message=message,
        text=text,
        state="ready",
        created_at=now,
        updated_at=now,
    )
    models.Channel.objects.filter(pk=entry.channel_id).update(last_at=now)
    tx.notify("replies")
    return task


def _words(entry: models.ScheduleEntry, now: datetime, missed: int) -> str:
    """What the person reads: in the language it was asked for in, else in their own."""
    own = entry.person.language if entry.person else ""
    languages = (str(entry.data.get("language", "")), own)
    if now - entry.due_at < LATE:
        return fired_words(entry.kind, entry.text, languages)
    zone = zone_of(entry.rule_zone or (entry.person.timezone if entry.person else "UTC"))
    return fired_words(entry.kind, entry.text, languages, entry.due_at.astimezone(zone), missed)


def _entries():
    return models.ScheduleEntry.objects.select_related("channel")


def _entry(row: models.ScheduleEntry) -> Entry:
    return Entry(
        id=row.pk,
        kind=EntryKind(row.kind),
        state=EntryState(row.state),
        due_at=row.due_at,
        channel=row.channel.key,
        person=row.person_id,
        text=row.text,
        created_at=row.created_at,
        fired_at=row.fired_at,
        recurrence=_recurrence(row),
    )


def _recurrence(row: models.ScheduleEntry) -> Recurrence | None:
    if not row.rule:
        return None
    return Recurrence(row.rule, datetime.fromisoformat(row.rule_start), row.rule_zone)


def _rule_columns(recurrence: Recurrence | None) -> dict[str, str]:
    if recurrence is None:
        return {"rule": "", "rule_start": "", "rule_zone": ""}
    start = recurrence.start.replace(tzinfo=None).isoformat(timespec="seconds")
    return {"rule": recurrence.rule, "rule_start": start, "rule_zone": recurrence.zone}


def _value(tx: Tx, sql: str) -> float | None:
    row = tx.row(sql)
    return row[0] if row else None
