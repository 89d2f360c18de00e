"""Reminders and timers: made, listed and cancelled. Firing them is the schedule's work (`threads/schedule.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.ports import ScheduleStore
from antiphon.domain.schedule import Entry, EntryKind, NewEntry
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.overlap import best_matches
from antiphon.tools.builtin.when import InThePast, NotATime, Recurring, parse_duration, parse_when
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare

LONGEST_TIMER = timedelta(days=31)
FARTHEST = timedelta(days=5 * 366)
MOST_OPEN = 200
"""Reminders and timers one person may have open."""

Kind = Literal["any", "reminder", "timer"]


class ReminderArguments(Arguments):
    """What to be reminded of, and when."""

    when: str = Field(
        min_length=1, max_length=120, description='In the person\'s words: "in 10 minutes", "tomorrow at 9".'
    )
    text: str = Field("", max_length=1000, description="What to remind of; empty for a plain nudge.")


class TimerArguments(Arguments):
    """How long."""

    duration: str = Field(min_length=1, max_length=120, description='Such as "10 minutes" or "1h30m".')
    label: str = Field("", max_length=200, description="What it is for, if said.")


class ListArguments(Arguments):
    """Which kind."""

    kind: Kind = "any"


class CancelArguments(Arguments):
    """Which ones."""

    which: str = Field(
        "", max_length=200, description="Words out of its text, or its number; empty when only one is open."
    )
    all: bool = Field(False, description="Cancel every one of the kind.")
    kind: Kind = "any"


class RemindersCreate(Tool[ReminderArguments]):
    """`reminders.create`."""

    spec = declare(
        "reminders.create",
        "Remind the person here, once, at a time. Recurring reminders are not possible.",
        ReminderArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = ReminderArguments

    def __init__(self, schedule: ScheduleStore) -> None:
        self._schedule = schedule

    def title(self, arguments: ReminderArguments) -> str:
        """What is going to happen."""
        return f"Set a reminder {arguments.when}"

    async def run(self, call: ToolCall[ReminderArguments]) -> ToolResult:
        """Store it under this call's origin, so that a replay stores nothing twice."""
        asked = call.arguments.when
        try:
            due = parse_when(asked, call.now, call.zone, call.language)
        except Recurring:
            raise ToolError("I cannot repeat reminders yet, only remind you once. Give me a single time.") from None
        except InThePast:
            raise ToolError(f"“{asked}” is already over. Give me a time that is still to come.") from None
        except NotATime:
            raise ToolError(
                f"I do not understand the time “{asked}”. Try “in 10 minutes” or “tomorrow at 9”."
            ) from None
        if due - call.now > FARTHEST:
            raise ToolError("That is further away than the five years I can plan ahead.")
        entry = await _add(self._schedule, call, EntryKind.REMINDER, due, call.arguments.text)
        return ToolResult(f"Reminder set for {_local(entry.due_at, call)}", _described(entry, call))


class TimersCreate(Tool[TimerArguments]):
    """`timers.create`."""

    spec = declare(
        "timers.create", "Start a timer that rings here after a while.", TimerArguments, Risk.OWN, idempotent=True
    )
    arguments = TimerArguments

    def __init__(self, schedule: ScheduleStore) -> None:
        self._schedule = schedule

    def title(self, arguments: TimerArguments) -> str:
        """What is going to happen."""
        return f"Start a timer of {arguments.duration}"

    async def run(self, call: ToolCall[TimerArguments]) -> ToolResult:
        """Store it as an entry that is due when it rings."""
        asked = call.arguments.duration
        try:
            length = parse_duration(asked)
        except NotATime:
            raise ToolError(f"I do not understand the length “{asked}”. Try “10 minutes” or “1h30m”.") from None
        if not timedelta(seconds=1) <= length <= LONGEST_TIMER:
            raise ToolError("A timer can run for one second up to 31 days.")
        entry = await _add(self._schedule, call, EntryKind.TIMER, call.now + length, call.arguments.label)
        data = _described(entry, call) | {"duration": words_of(length), "seconds": int(length.total_seconds())}
        return ToolResult(f"Timer of {words_of(length)} started", data)


class RemindersList(Tool[ListArguments]):
    """`reminders.list`."""

    spec = declare("reminders.list", "List the person's open reminders and timers.", ListArguments, Risk.READ)
    arguments = ListArguments

    def __init__(self, schedule: ScheduleStore) -> None:
        self._schedule = schedule

    async def run(self, call: ToolCall[ListArguments]) -> ToolResult:
        """Soonest first."""
        entries = await _open(self._schedule, call, call.arguments.kind)
        data: dict[str, object] = {
            "kind": call.arguments.kind,
            "entries": [_described(entry, call) for entry in entries],
        }
        return ToolResult(f"{len(entries)} open", data)


class RemindersCancel(Tool[CancelArguments]):
    """`reminders.cancel`."""

    spec = declare(
        "reminders.cancel",
        "Cancel one of the person's reminders or timers by its words or number, or all of them.",
        CancelArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = CancelArguments

    def __init__(self, schedule: ScheduleStore) -> None:
        self._schedule = schedule

    async def run(self, call: ToolCall[CancelArguments]) -> ToolResult:
        """Cancel what is meant beyond doubt; otherwise return the choices and cancel nothing."""
        asked = call.arguments
        entries = await _open(self._schedule, call, asked.kind)
        chosen = list(entries) if asked.all else _meant(asked.which, entries)
        data: dict[str, object] = {"kind": asked.kind, "which": asked.which, "cancelled": [], "choices": []}
        if not entries:
            return ToolResult("There is nothing to cancel", data)
        if len(chosen) != 1 and not asked.all:
            data["choices"] = [_described(entry, call) for entry in chosen or entries]
            return ToolResult("It is not clear which one is meant", data)
        gone = await self._schedule.cancel(call.requester.person, [entry.id for entry in chosen])
        data["cancelled"] = [_described(entry, call) for entry in gone]
        return ToolResult(f"Cancelled {len(gone)}", data)


def words_of(length: timedelta) -> str:
    """A length of time in words: "1 hour 30 minutes"."""
    seconds = int(length.total_seconds())
    parts: list[str] = []
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts) or "0 seconds"


async def _add(
    schedule: ScheduleStore,
    call: ToolCall[ReminderArguments] | ToolCall[TimerArguments],
    kind: EntryKind,
    due: datetime,
    text: str,
) -> Entry:
    asks = call.requester
    if len(await schedule.pending(asks.person)) >= MOST_OPEN:
        raise ToolError(f"You have {MOST_OPEN} open reminders and timers, which is the most I keep. Cancel some first.")
    return await schedule.add(
        NewEntry(kind=kind, due_at=due, channel=asks.channel, person=asks.person, origin=call.origin, text=text)
    )


async def _open(
    schedule: ScheduleStore, call: ToolCall[ListArguments] | ToolCall[CancelArguments], kind: Kind
) -> Sequence[Entry]:
    entries = await schedule.pending(call.requester.person)
    return [entry for entry in entries if kind in ("any", entry.kind.value)]


def _meant(which: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    if not which:
        return entries
    if which.lstrip("#").isdigit():
        number = int(which.lstrip("#"))
        return [entry for entry in entries if entry.id == number]
    return best_matches(which, entries, lambda entry: entry.text)


def _local(at: datetime, call: ToolCall[ReminderArguments]) -> str:
    return f"{at.astimezone(call.zone):%Y-%m-%d %H:%M} ({call.zone_name})"


def _described(
    entry: Entry,
    call: ToolCall[ReminderArguments] | ToolCall[TimerArguments] | ToolCall[ListArguments] | ToolCall[CancelArguments],
) -> dict[str, object]:
    due = entry.due_at.astimezone(call.zone)
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "text": entry.text,
        "due": due.isoformat(timespec="seconds"),
        "in": words_of(max(entry.due_at - call.now, timedelta())),
        "days_from_today": (due.date() - call.now.astimezone(call.zone).date()).days,
        "zone": call.zone_name,
    }
