"""Reminders and timers: made, listed, changed and cancelled. Firing them is the schedule's (`threads/schedule.py`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.schedule import Entry, EntryKind, NewEntry, Recurrence, ScheduleStore, Timing
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.every import parse_every
from antiphon.tools.builtin.overlap import best_matches
from antiphon.tools.builtin.when import (
    InThePast,
    NotATime,
    Recurring,
    is_recurring,
    parse_duration,
    parse_when,
    usual_clock,
)
from antiphon.tools.recurrence import (
    LONGEST_RULE,
    BadRule,
    at_another_time,
    checked_rule,
    described,
    first_firing,
    is_exact,
    zone_of,
)
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare

LONGEST_TIMER = timedelta(days=31)
FARTHEST = timedelta(days=5 * 366)
MOST_OPEN = 200
"""Reminders and timers one person may have open."""

Kind = Literal["any", "reminder", "timer"]


_REPEAT = (
    "How it repeats, as an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=MO,TH or FREQ=MONTHLY;BYDAY=-1FR; the time of day "
    "is that of `when`. Empty when `when` says everything."
)


_LANGUAGE = 'Language in which it will be said, such as "de"; empty for the person\'s own.'


class ReminderArguments(Arguments):
    """What to be reminded of, and when."""

    when: str = Field(
        min_length=1,
        max_length=160,
        description='In the person\'s words: "in 10 minutes", "tomorrow at 9", "every weekday at 9". '
        "With repeat: the first time.",
    )
    text: str = Field("", max_length=1000, description="What to remind of; empty for a plain nudge.")
    repeat: str = Field("", max_length=LONGEST_RULE, description=_REPEAT)
    language: str = Field("", max_length=12, description=_LANGUAGE)


class TimerArguments(Arguments):
    """How long."""

    duration: str = Field(min_length=1, max_length=120, description='Such as "10 minutes" or "1h30m".')
    label: str = Field("", max_length=200, description="What it is for, if said.")
    language: str = Field("", max_length=12, description=_LANGUAGE)


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


class EditArguments(Arguments):
    """Which one, and what becomes of it."""

    which: str = Field(
        "",
        max_length=200,
        description='Words out of its text, its number, or "last" for the one made last; empty when only one is open.',
    )
    when: str = Field(
        "",
        max_length=160,
        description='The new time or rhythm: "10:30", "tomorrow at 9", "every friday at 8". Empty: unchanged.',
    )
    text: str = Field("", max_length=1000, description="What to remind of instead. Empty: unchanged.")
    repeat: str = Field("", max_length=LONGEST_RULE, description=_REPEAT)
    kind: Kind = "any"


AnyCall = (
    ToolCall[ReminderArguments]
    | ToolCall[TimerArguments]
    | ToolCall[ListArguments]
    | ToolCall[CancelArguments]
    | ToolCall[EditArguments]
)


class RemindersCreate(Tool[ReminderArguments]):
    """`reminders.create`."""

    spec = declare(
        "reminders.create",
        "Remind the person here at a time, once or again and again.",
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
        timing = _timing(call.arguments.when, call.arguments.repeat, call)
        entry = await _add(self._schedule, call, EntryKind.REMINDER, timing, call.arguments.text)
        return ToolResult(f"Reminder set for {_local(entry.due_at, call)}{_rhythm(entry)}", _described(entry, call))


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
        entry = await _add(self._schedule, call, EntryKind.TIMER, Timing(call.now + length), call.arguments.label)
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


class RemindersEdit(Tool[EditArguments]):
    """`reminders.edit`."""

    spec = declare(
        "reminders.edit",
        "Change the time, the rhythm or the text of one of the person's reminders.",
        EditArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = EditArguments

    def __init__(self, schedule: ScheduleStore) -> None:
        self._schedule = schedule

    async def run(self, call: ToolCall[EditArguments]) -> ToolResult:
        """Change the one that is meant beyond doubt; otherwise return the choices and change nothing."""
        asked = call.arguments
        if not (asked.when or asked.text or asked.repeat):
            raise ToolError("Tell me the new time or the new text.")
        entries = await _open(self._schedule, call, asked.kind)
        chosen = [max(entries, key=lambda entry: entry.id)] if entries and asked.which == "last" else None
        chosen = _meant(asked.which, entries) if chosen is None else chosen
        data: dict[str, object] = {"kind": asked.kind, "which": asked.which, "changed": None, "choices": []}
        if not entries:
            return ToolResult("There is nothing to change", data)
        if len(chosen) != 1:
            data["choices"] = [_described(entry, call) for entry in chosen or entries]
            return ToolResult("It is not clear which one is meant", data)
        timing = _new_timing(chosen[0], asked.when, asked.repeat, call)
        changed = await self._schedule.change(
            call.requester.person, chosen[0].id, text=asked.text or None, timing=timing
        )
        if changed is None:
            raise ToolError("That one has just fired or was cancelled, so there is nothing left to change.")
        data["changed"] = _described(changed, call)
        return ToolResult(f"Changed to {_local(changed.due_at, call)}{_rhythm(changed)}", data)


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
    timing: Timing,
    text: str,
) -> Entry:
    asks = call.requester
    if len(await schedule.pending(asks.person)) >= MOST_OPEN:
        raise ToolError(f"You have {MOST_OPEN} open reminders and timers, which is the most I keep. Cancel some first.")
    return await schedule.add(
        NewEntry(
            kind=kind,
            due_at=timing.due_at,
            channel=asks.channel,
            person=asks.person,
            origin=call.origin,
            text=text,
            recurrence=timing.recurrence,
            data={"language": call.arguments.language} if call.arguments.language else {},
        )
    )


def _timing(when: str, repeat: str, call: AnyCall) -> Timing:
    """When it is due first, and how it repeats. Raises `ToolError` in words for the person."""
    if repeat and not is_recurring(when):
        at = _once(when, call).astimezone(call.zone).replace(tzinfo=None)
        return _repeating(Recurrence(_rule(repeat), at, call.zone_name), call)
    if is_recurring(when):
        try:
            recurrence = parse_every(when, call.now, zone_of(call.zone_name))
        except NotATime:
            raise ToolError(
                f"I do not understand how often “{when}” is. Try “every weekday at 9” or “every 2 weeks on monday”."
            ) from None
        if repeat:
            recurrence = Recurrence(_rule(repeat), recurrence.start, recurrence.zone)
        return _repeating(recurrence, call)
    return Timing(_once(when, call))


def _rule(text: str) -> str:
    try:
        return checked_rule(text)
    except BadRule as error:
        raise ToolError(f"This way of repeating is not possible: {error}.") from None


def _repeating(recurrence: Recurrence, call: AnyCall) -> Timing:
    due = first_firing(recurrence, call.now)
    if due is None:
        raise ToolError("That would never happen: no day fits it in the next ten years.")
    return Timing(due, recurrence)


def _once(asked: str, call: AnyCall) -> datetime:
    try:
        due = parse_when(asked, call.now, call.zone, call.language)
    except InThePast:
        raise ToolError(f"“{asked}” is already over. Give me a time that is still to come.") from None
    except (NotATime, Recurring):
        raise ToolError(f"I do not understand the time “{asked}”. Try “in 10 minutes” or “tomorrow at 9”.") from None
    if due - call.now > FARTHEST:
        raise ToolError("That is further away than the five years I can plan ahead.")
    return due


def _new_timing(entry: Entry, when: str, repeat: str, call: AnyCall) -> Timing | None:
    """What an edit makes of an entry's time. A time of day alone keeps the rhythm, or the day of a single one."""
    if not when and not repeat:
        return None
    clock = usual_clock(when) if when and not is_recurring(when) else None
    old = entry.recurrence
    if clock is None or repeat:
        if not when:
            start = old.start if old else entry.due_at.astimezone(call.zone).replace(tzinfo=None)
            return _repeating(Recurrence(_rule(repeat), start, old.zone if old else call.zone_name), call)
        timing = _timing(when, repeat, call)
        if timing.recurrence is not None and is_recurring(when) and _names_no_clock(when):
            return _repeating(_kept_clock(timing.recurrence, entry, call), call)
        return timing
    if old is None:
        at = entry.due_at.astimezone(call.zone).replace(hour=clock[0], minute=clock[1], second=0, microsecond=0)
        return Timing(at.astimezone(UTC)) if at > call.now else Timing(_once(when, call))
    if is_exact(old.rule):
        raise ToolError("It comes every so many minutes or hours, so it has no time of day. Tell me a new rhythm.")
    return _repeating(at_another_time(old, *clock), call)


def _names_no_clock(when: str) -> bool:
    """Whether a rhythm was named without a time of day ("weekly"), so that the old one stays."""
    return re.search(r"\d|\b(noon|midday|midnight|morning|afternoon|evening|night|nightly)", when.casefold()) is None


def _kept_clock(new: Recurrence, entry: Entry, call: AnyCall) -> Recurrence:
    """A new rhythm at the old time of day."""
    if is_exact(new.rule):
        return new
    local = entry.due_at.astimezone(call.zone)
    return at_another_time(new, local.hour, local.minute)


async def _open(schedule: ScheduleStore, call: AnyCall, kind: Kind) -> Sequence[Entry]:
    entries = await schedule.pending(call.requester.person)
    return [entry for entry in entries if kind in ("any", entry.kind.value)]


def _meant(which: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    if not which:
        return entries
    if which.lstrip("#").isdigit():
        number = int(which.lstrip("#"))
        return [entry for entry in entries if entry.id == number]
    return best_matches(which, entries, lambda entry: f"{entry.text} {_names_of_rhythm(entry)}")


def _names_of_rhythm(entry: Entry) -> str:
    """What a repeating entry may be called by: "the daily reminder", "the one on mondays"."""
    if entry.recurrence is None:
        return ""
    facts = described(entry.recurrence)
    unit = str(facts["every"])
    words = f"{facts['words']} {'daily' if unit == 'day' else f'{unit}ly'} recurring repeating"
    plural = " ".join(f"{word}s" for word in re.findall(r"\w+day\b", words))
    return f"{words} {plural} {'weekly' if plural else ''}"


def _rhythm(entry: Entry) -> str:
    return f", then {described(entry.recurrence)['words']}" if entry.recurrence else ""


def _local(at: datetime, call: AnyCall) -> str:
    return f"{at.astimezone(call.zone):%Y-%m-%d %H:%M} ({call.zone_name})"


def _described(entry: Entry, call: AnyCall) -> dict[str, object]:
    due = entry.due_at.astimezone(call.zone)
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "text": entry.text,
        "due": due.isoformat(timespec="seconds"),
        "in": words_of(max(entry.due_at - call.now, timedelta())),
        "days_from_today": (due.date() - call.now.astimezone(call.zone).date()).days,
        "zone": call.zone_name,
        "repeats": described(entry.recurrence) if entry.recurrence else None,
    }
