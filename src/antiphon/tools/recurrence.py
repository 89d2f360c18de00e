"""When a repeating reminder is due. Used by the reminder tools, the API and the schedule's store.

Rules are RFC 5545 RRULEs, read and counted by python-dateutil. They are counted on the person's wall clock, so "every
day at 9" stays at nine when the clocks change: a time that the change skips (02:30 in spring) happens as much later as
the clocks were moved, one that comes twice (02:30 in autumn) happens the first time only. Every so many minutes or
hours is counted in real time instead: two hours are two hours.

What a rule may say is bounded: a rule that never comes true (30 February) is searched for until the year 9999.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import dropwhile, islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

from antiphon.domain.schedule import Recurrence

HORIZON = timedelta(days=10 * 366)
"""A rule with no firing in the next ten years has ended. It is long enough for every 29 February but that of 2100."""
LONGEST_RULE = 200
_CLOCK_CHANGE = timedelta(hours=3)
"""No change of the clocks is larger: candidates this close to each other may change their order in real time."""
_MOST_CANDIDATES = 2_000
_EXACT = {"MINUTELY": timedelta(minutes=1), "HOURLY": timedelta(hours=1)}
_FREQUENCIES = (*_EXACT, "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAYS: tuple[str, ...] = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WORKDAYS = _DAYS[:5]
_DAY_NAMES: Mapping[str, str] = dict[str, str](
    zip(_DAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)
_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_NUMBERS: Mapping[str, tuple[int, int, bool]] = {
    "INTERVAL": (1, 1000, False),
    "COUNT": (1, 10_000, False),
    "BYMONTH": (1, 12, False),
    "BYMONTHDAY": (1, 31, True),
    "BYSETPOS": (1, 4, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
}
"""Parts that hold numbers: smallest, largest, and whether counting from the end (-1) is allowed."""
_ONE_NUMBER = ("INTERVAL", "COUNT")
_DAY = re.compile(rf"([+-]?\d{{1,2}})?({'|'.join(_DAYS)})")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")


class BadRule(ValueError):
    """The rule is not one we take. The message says which part is wrong and what is allowed."""


def checked_rule(text: str) -> str:
    """The rule in its normal spelling. Raises `BadRule`."""
    if len(text) > LONGEST_RULE:
        raise BadRule(f"a rule has at most {LONGEST_RULE} characters")
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise BadRule(f"{_shown(part)} is not of the form NAME=VALUE")
        if name in parts:
            raise BadRule(f"{name} stands there twice")
        parts[name] = value
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise BadRule(f"FREQ is one of {', '.join(_FREQUENCIES)}")
    for name, value in parts.items():
        _check_part(name, value, frequency)
    _check_together(parts)
    return ";".join(f"{name}={parts[name]}" for name in ("FREQ", *sorted(parts.keys() - {"FREQ"})))


_ALWAYS = ("FREQ", "INTERVAL", "COUNT", "UNTIL")
_DAILY = (*_ALWAYS, "WKST", "BYDAY", "BYHOUR", "BYMINUTE")
_TAKEN = {"MINUTELY": _ALWAYS, "HOURLY": _ALWAYS, "DAILY": _DAILY, "WEEKLY": _DAILY}


def _check_together(parts: Mapping[str, str]) -> None:
    """Refuse parts that exclude each other, and those that together may never come true."""
    many = parts.get("INTERVAL", "1") != "1"
    if "COUNT" in parts and "UNTIL" in parts:
        raise BadRule("COUNT and UNTIL exclude each other")
    if parts["FREQ"] == "DAILY" and many and "BYDAY" in parts:
        raise BadRule("BYDAY and INTERVAL belong to FREQ=WEEKLY")
    if parts["FREQ"] == "MONTHLY" and many and "BYMONTH" in parts:
        raise BadRule("BYMONTH and INTERVAL belong to FREQ=YEARLY")
    if "BYSETPOS" in parts and "BYDAY" not in parts:
        raise BadRule("BYSETPOS counts among the weekdays of BYDAY")
    if "BYMONTHDAY" not in parts:
        return
    if "BYDAY" in parts and ("BYMONTH" in parts or "BYSETPOS" in parts or many or parts["FREQ"] != "MONTHLY"):
        raise BadRule("BYDAY and BYMONTHDAY go together in every month only")
    days = [abs(int(day)) for day in parts["BYMONTHDAY"].split(",")]
    months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
    if min(days) > max(monthrange(2024, month)[1] for month in months):
        raise BadRule("no such month has that day")


def _check_part(name: str, value: str, frequency: str) -> None:
    if name == "FREQ":
        return
    if name not in _TAKEN.get(frequency, (name,)):
        raise BadRule(f"{_shown(name)} is not taken with FREQ={frequency}")
    if name == "WKST" and value in _DAYS:
        return
    if name == "UNTIL":
        try:
            _local_until(value if _UNTIL.fullmatch(value) else "")
        except ValueError:
            raise BadRule("UNTIL is a date such as 20301231 or a time such as 20301231T230000Z") from None
        return
    if name == "BYDAY":
        _check_days(value, frequency)
        return
    if name not in _NUMBERS:
        raise BadRule(f"{_shown(name)} is not taken")
    low, high, negative = _NUMBERS[name]
    numbers = value.split(",")
    if name in _ONE_NUMBER and len(numbers) > 1:
        raise BadRule(f"{name} is one number")
    for number in numbers:
        digits = number.removeprefix("-") if negative else number
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and low <= int(digits) <= high):
            raise BadRule(f"{name} is a number from {low} to {high}")


def _check_days(value: str, frequency: str) -> None:
    for day in value.split(","):
        match = _DAY.fullmatch(day)
        if match is None:
            raise BadRule(f"BYDAY holds weekdays such as MO or 2TU, not {_shown(day)}")
        if match[1] and (frequency not in ("MONTHLY", "YEARLY") or not 1 <= abs(int(match[1])) <= 5):
            raise BadRule(f"{_shown(day)}: a counted weekday belongs to FREQ=MONTHLY or YEARLY")


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name, or UTC where it is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def next_firing(recurrence: Recurrence, after: datetime) -> datetime | None:
    """The first firing later than `after` (aware), in UTC; None when there is none. Raises `BadRule`."""
    rule = checked_rule(recurrence.rule)
    zone = zone_of(recurrence.zone)
    after = after.astimezone(UTC)
    if _parts(rule)["FREQ"] in _EXACT:
        return _next_exact(rule, recurrence.start.replace(tzinfo=zone).astimezone(UTC), after)
    best: tuple[datetime, datetime] | None = None
    for local in _candidates(rule, recurrence.start, after.astimezone(zone).replace(tzinfo=None) - _CLOCK_CHANGE):
        if best is not None and local > best[1] + _CLOCK_CHANGE:
            break
        at = local.replace(tzinfo=zone).astimezone(UTC)
        if at > after and (best is None or at < best[0]):
            best = (at, local)
    return best[0] if best else None


def firings_between(recurrence: Recurrence, first: datetime, last: datetime, *, most: int = 1_000) -> int:
    """How many firings lie after `first` and up to `last`; counting stops at `most`."""
    count, at = 0, next_firing(recurrence, first)
    while at is not None and at <= last and count < most:
        count, at = count + 1, next_firing(recurrence, at)
    return count


def first_firing(recurrence: Recurrence, now: datetime) -> datetime | None:
    """The first firing of a new rule: not before its start, and later than `now`."""
    start = recurrence.start.replace(tzinfo=zone_of(recurrence.zone)).astimezone(UTC) - timedelta(seconds=1)
    return next_firing(recurrence, max(start, now))


def _candidates(rule: str, start: datetime, after: datetime) -> Iterator[datetime]:
    """Local times the rule gives, later than `after` and in order."""
    parts = _parts(rule)
    if "COUNT" not in parts and parts.get("INTERVAL", "1") == "1" and parts["FREQ"] in ("DAILY", "WEEKLY"):
        # Each day is like any other: an old rule need not be counted from its first day.
        days = max(0, (after - start).days - 8)
        if parts["FREQ"] == "WEEKLY":
            days -= days % 7
        start += timedelta(days=days)
    end = max(after, start) + HORIZON
    if "UNTIL" in parts:
        end = min(end, _local_until(parts["UNTIL"]))
    text = ";".join(f"{name}={value}" for name, value in parts.items() if name not in ("COUNT", "UNTIL"))
    try:
        counted = rrulestr(f"RRULE:{text}", dtstart=start)
    except ValueError as error:
        raise BadRule(f"the rule cannot be counted: {error}") from error
    if not isinstance(counted, rrule):
        raise BadRule("only one rule is taken")
    firings = iter(counted.replace(until=end))
    if "COUNT" in parts:
        firings = islice(firings, int(parts["COUNT"]))
    yield from islice(dropwhile(lambda local: local <= after, firings), _MOST_CANDIDATES)


def _local_until(text: str) -> datetime:
    """UNTIL as a local time: a date means that whole day, and the local clock counts."""
    return datetime.fromisoformat(text[:15] if "T" in text else f"{text}T235959")


def _next_exact(rule: str, start: datetime, after: datetime) -> datetime | None:
    """Minutes and hours pass alike everywhere, so this is plain arithmetic."""
    parts = _parts(rule)
    step = _EXACT[parts["FREQ"]] * int(parts.get("INTERVAL", "1"))
    number = max(0, (after - start) // step + 1)
    at = start + number * step
    if "COUNT" in parts and number >= int(parts["COUNT"]):
        return None
    if "UNTIL" in parts and at > _local_until(parts["UNTIL"]).replace(tzinfo=UTC):
        return None
    return at


@lru_cache(maxsize=1024)
def _parts(rule: str) -> Mapping[str, str]:
    return dict(part.split("=", 1) for part in rule.split(";"))


def at_another_time(recurrence: Recurrence, hour: int, minute: int) -> Recurrence:
    """The same rhythm at another time of day."""
    parts = {name: value for name, value in _parts(recurrence.rule).items() if name not in ("BYHOUR", "BYMINUTE")}
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    start = recurrence.start.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return Recurrence(checked_rule(rule), start, recurrence.zone)


def is_exact(rule: str) -> bool:
    """Whether the rule counts minutes or hours and so has no time of day."""
    return _parts(rule)["FREQ"] in _EXACT


def described(recurrence: Recurrence) -> dict[str, object]:
    """The rule taken apart, for wording it in any language, and `words` in English.

    `every` is minute, hour, day, week, month or year; `days` are two-letter weekdays; `position` tells which of them in
    the month (-1 is the last, 0 every one); `times` are local times of day.
    """
    parts = _parts(checked_rule(recurrence.rule))
    days = [match for day in parts.get("BYDAY", "").split(",") if (match := _DAY.fullmatch(day))]
    positions = {int(match[1]) for match in days if match[1]}
    facts: dict[str, object] = {
        "rule": recurrence.rule,
        "zone": recurrence.zone,
        "every": {"MINUTELY": "minute", "HOURLY": "hour", "DAILY": "day"}.get(
            parts["FREQ"], parts["FREQ"].removesuffix("LY").lower()
        ),
        "interval": int(parts.get("INTERVAL", "1")),
        "days": [match[2] for match in days],
        "position": positions.pop() if len(positions) == 1 else int(parts.get("BYSETPOS", "0").split(",")[0]),
        "month_days": [int(day) for day in parts.get("BYMONTHDAY", "").split(",") if day],
        "months": [int(month) for month in parts.get("BYMONTH", "").split(",") if month],
        "times": _times(parts, recurrence.start),
        "count": int(parts.get("COUNT", "0")),
        "until": parts.get("UNTIL", "")[:8],
    }
    return facts | {"words": _words(parts, facts, recurrence.start)}


def _times(parts: Mapping[str, str], start: datetime) -> list[str]:
    if parts["FREQ"] in _EXACT:
        return []
    hours = [int(hour) for hour in parts["BYHOUR"].split(",")] if "BYHOUR" in parts else [start.hour]
    minutes = [int(minute) for minute in parts["BYMINUTE"].split(",")] if "BYMINUTE" in parts else [start.minute]
    return [f"{hour:02}:{minute:02}" for hour in sorted(hours) for minute in sorted(minutes)]


def _words(parts: Mapping[str, str], facts: Mapping[str, object], start: datetime) -> str:
    """The rhythm as English speakers say it: "every weekday at 09:00"."""
    interval = int(parts.get("INTERVAL", "1"))
    unit = str(facts["every"])
    text = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
    days = [match for day in parts.get("BYDAY", "").split(",") if (match := _DAY.fullmatch(day))]
    codes = [match[2] for match in days]
    position = facts["position"]
    names = _listed([_DAY_NAMES[code] for code in codes])
    if unit in ("week", "day") and codes:
        whole = "every" if interval == 1 else f"every {interval} weeks on"
        if sorted(codes) == sorted(_WORKDAYS):
            text = f"{whole} weekday"
        elif sorted(codes) == ["SA", "SU"] and interval == 1:
            text = "every Saturday and Sunday"
        else:
            text = f"{whole} {names}"
    elif unit == "week":
        day = _DAY_NAMES[_DAYS[start.weekday()]]
        text = f"every {day}" if interval == 1 else f"every {interval} weeks on {day}"
    elif unit in ("month", "year"):
        if codes:
            text += f" on the {_ordinal(int(str(position)))} {names}" if position else f" on every {names}"
        else:
            numbers = [int(day) for day in parts["BYMONTHDAY"].split(",")] if "BYMONTHDAY" in parts else [start.day]
            text += f" on the {_listed([_ordinal(number) + (' day' if number < 0 else '') for number in numbers])}"
        if unit == "year":
            months = [int(month) for month in parts["BYMONTH"].split(",")] if "BYMONTH" in parts else [start.month]
            text += f" of {_listed([_MONTH_NAMES[month - 1] for month in months])}"
    times = _times(parts, start)
    if times:
        text += f" at {_listed(times)}"
    if "COUNT" in parts:
        text += f", {parts['COUNT']} times"
    if until := str(facts["until"]):
        text += f", until {until[:4]}-{until[4:6]}-{until[6:8]}"
    return text


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))


def _ordinal(number: int) -> str:
    if number < 0:
        return "last" if number == -1 else f"{_ordinal(-number)} last"
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:40]) or "an empty part"
