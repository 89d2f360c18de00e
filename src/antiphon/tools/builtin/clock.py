"""What time and what day it is, anywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.places import Place, find_place
from antiphon.tools.builtin.when import NotATime, parse_day
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare


class ClockArguments(Arguments):
    """Where."""

    place: str = Field("", max_length=80, description="City, country or time zone; empty for the person's own zone.")


class DateArguments(ClockArguments):
    """Where, and which day."""

    day: str = Field("", max_length=80, description='A day such as "tomorrow", "next friday" or "24 december".')


def place_of(name: str, zone: tzinfo, zone_name: str) -> Place:
    """The asked place, or the person's own zone. Raises `ToolError` for one that is not known."""
    if not name:
        return Place("", zone, zone_name)
    place = find_place(name)
    if place is None:
        raise ToolError(f"I do not know a place or time zone called “{name}”.")
    return place


class ClockNow(Tool[ClockArguments]):
    """`clock.now`."""

    spec = declare(
        "clock.now",
        "The current time, in the person's own time zone or in any city, country or time zone of the world.",
        ClockArguments,
        Risk.READ,
    )
    arguments = ClockArguments

    async def run(self, call: ToolCall[ClockArguments]) -> ToolResult:
        """The time there, and how far it is from the person's own."""
        place = place_of(call.arguments.place, call.zone, call.zone_name)
        there = call.now.astimezone(place.zone)
        ahead = _hours_ahead(call.now, place.zone, call.zone)
        where = f" in {place.label}" if place.label else ""
        data: dict[str, object] = {
            "time": f"{there:%H:%M}",
            "seconds": there.second,
            "date": there.date().isoformat(),
            "weekday": f"{there:%A}",
            "place": place.label,
            "region": place.region,
            "zone": place.zone_name,
            "utc_offset": _offset(there),
            "hours_ahead_of_person": ahead,
            "note": place.note,
        }
        return ToolResult(f"It is {there:%H:%M} on {there:%A}, {_day(there.date())}{where}.", data)


class DifferenceArguments(Arguments):
    """Between where and where."""

    place: str = Field(min_length=1, max_length=80, description="City, country or time zone.")
    other: str = Field("", max_length=80, description="The second place; empty for the person's own zone.")


class ClockDifference(Tool[DifferenceArguments]):
    """`clock.difference`."""

    spec = declare(
        "clock.difference",
        "By how many hours the clocks of two places differ now; with one place, from the person's own.",
        DifferenceArguments,
        Risk.READ,
    )
    arguments = DifferenceArguments

    async def run(self, call: ToolCall[DifferenceArguments]) -> ToolResult:
        """The difference and both times."""
        one = place_of(call.arguments.place, call.zone, call.zone_name)
        other = place_of(call.arguments.other, call.zone, call.zone_name)
        ahead = _hours_ahead(call.now, one.zone, other.zone)
        data: dict[str, object] = {
            "place": one.label,
            "region": one.region,
            "zone": one.zone_name,
            "time": f"{call.now.astimezone(one.zone):%H:%M}",
            "other": other.label,
            "other_region": other.region,
            "other_zone": other.zone_name,
            "other_time": f"{call.now.astimezone(other.zone):%H:%M}",
            "hours_ahead": ahead,
            "note": " ".join(note for note in (one.note, other.note) if note),
        }
        return ToolResult(f"{one.label} is {ahead:+g} hours from {other.label or other.zone_name}", data)


class ClockDate(Tool[DateArguments]):
    """`clock.date`."""

    spec = declare(
        "clock.date",
        "The date and weekday of today or of a day such as “next friday” or “24 december”, the days until it and the "
        "calendar week, in the person's zone or at a place.",
        DateArguments,
        Risk.READ,
    )
    arguments = DateArguments

    async def run(self, call: ToolCall[DateArguments]) -> ToolResult:
        """The day, its weekday and week, and how far away it is."""
        place = place_of(call.arguments.place, call.zone, call.zone_name)
        today = call.now.astimezone(place.zone).date()
        day = today
        if call.arguments.day:
            try:
                day = parse_day(call.arguments.day, call.now, place.zone, call.language)
            except NotATime:
                raise ToolError(f"I do not understand which day “{call.arguments.day}” is.") from None
        away = (day - today).days
        data: dict[str, object] = {
            "date": day.isoformat(),
            "weekday": f"{day:%A}",
            "week": day.isocalendar().week,
            "day_of_year": day.timetuple().tm_yday,
            "days_from_today": away,
            "asked": call.arguments.day,
            "place": place.label,
            "region": place.region,
            "zone": place.zone_name,
            "note": place.note,
        }
        verb = "is" if away >= 0 else "was"
        subject = "Today" if away == 0 else call.arguments.day.capitalize()
        return ToolResult(f"{subject} {verb} {day:%A}, {_day(day)}.", data)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _offset(at: datetime) -> str:
    raw = at.strftime("%z")
    return f"UTC{raw[:3]}:{raw[3:5]}"


def _hours_ahead(now: datetime, there: tzinfo, here: tzinfo) -> float:
    """Hours by which `there` is ahead of `here` at this moment."""
    apart = now.astimezone(there).replace(tzinfo=UTC) - now.astimezone(here).replace(tzinfo=UTC)
    return round(apart.total_seconds() / 3600, 2)
