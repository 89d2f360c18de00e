"""From "every weekday at 9" or "on the first monday of the month" to a repeating rule. Used by the reminder tools.

English, and as strict as `when`: a phrase with a word that means nothing here is refused. Other languages give the tool
a rule instead of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from antiphon.domain.schedule import Recurrence
from antiphon.tools.builtin.numbers import digits
from antiphon.tools.builtin.when import NotATime, parse_day, usual_clock
from antiphon.tools.recurrence import checked_rule, first_firing

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_STEMS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:days?)?"
_DAY_LIST = rf"{_DAY}(?:(?:,? and |, ?| & | or |/| ){_DAY})*"
_EVERY = r"(?:every single|every|each)"
_PLURAL_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days"
_PLURAL_DAYS = rf"{_PLURAL_DAY}(?:(?:,? and |,? |/){_PLURAL_DAY})*"
_WORKDAY = r"(?:week ?day|work ?day|working day|business day|work day)s?"
_NTH = r"(?P<nth>first|1st|second|2nd|third|3rd|fourth|4th|last)"
_POSITIONS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_EACH_MONTH = r"(?:of )?(?:every|each|the|a|per) (?P<gap>other |second |2nd |\d+ )?months?"
_ADVERBS = {
    "hourly": "HOURLY", "daily": "DAILY", "nightly": "DAILY", "weekly": "WEEKLY", "monthly": "MONTHLY",
    "yearly": "YEARLY", "annually": "YEARLY", "fortnightly": "WEEKLY",
}  # fmt: skip
_UNITS = {"minute": "MINUTELY", "min": "MINUTELY", "hour": "HOURLY", "day": "DAILY", "week": "WEEKLY",
          "month": "MONTHLY", "year": "YEARLY"}  # fmt: skip


@dataclass(slots=True)
class _Rhythm:
    """What of the phrase says how often."""

    frequency: str
    interval: int = 1
    more: dict[str, str] = field(default_factory=dict[str, str])
    part: str = ""
    """A part of the day said with it: every *morning*."""


@dataclass(slots=True)
class _Bounds:
    first: date | None = None
    last: date | None = None
    count: int = 0


def parse_every(text: str, now: datetime, zone: ZoneInfo) -> Recurrence:
    """The rule meant, starting now. Without a time of day it is nine in the morning. Raises `NotATime`."""
    local = now.astimezone(zone).replace(tzinfo=None, microsecond=0)
    rest = _normal(text)
    if not rest or len(rest) > 160:
        raise NotATime(text)
    rest, bounds = _bounds(rest, now, zone)
    found = _rhythm(rest)
    if found is None:
        raise NotATime(text)
    rhythm, rest = found
    parts = {"FREQ": rhythm.frequency, **rhythm.more}
    if rhythm.interval > 1:
        parts["INTERVAL"] = str(rhythm.interval)
    if bounds.count:
        parts["COUNT"] = str(bounds.count)
    elif bounds.last:
        parts["UNTIL"] = f"{bounds.last:%Y%m%d}"
    exact = rhythm.frequency in ("MINUTELY", "HOURLY")
    if exact and rest:
        raise NotATime(text)
    if exact:
        step = timedelta(minutes=rhythm.interval * (60 if rhythm.frequency == "HOURLY" else 1))
        start = local + step if bounds.first is None else datetime.combine(bounds.first, time(9))
    else:
        clocks = _clocks(f"{rest} {rhythm.part}".strip(), text)
        if len(clocks) > 1:
            parts |= {"BYHOUR": ",".join(str(hour) for hour, _ in clocks), "BYMINUTE": str(clocks[0][1])}
        start = datetime.combine(bounds.first or local.date(), time(*clocks[0]))
        if rhythm.interval > 1:
            start = _next_fit(parts, start, now, zone)
    return Recurrence(checked_rule(_joined(parts)), start, str(zone))


def _joined(parts: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _next_fit(parts: Mapping[str, str], start: datetime, now: datetime, zone: ZoneInfo) -> datetime:
    """Every other Tuesday begins with the coming one, not in the week of the one that is over."""
    each = {name: value for name, value in parts.items() if name not in ("INTERVAL", "COUNT", "UNTIL")}
    first = first_firing(Recurrence(checked_rule(_joined(each)), start, str(zone)), now)
    return start if first is None else datetime.combine(first.astimezone(zone).date(), start.time())


def is_every(text: str) -> bool:
    """Whether the words are a rhythm and nothing else."""
    try:
        parse_every(text, datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC")), ZoneInfo("UTC"))
    except NotATime:
        return False
    return True


def _normal(text: str) -> str:
    text = re.sub(r"\b(second)\b", "2nd", text.casefold().replace("\u2019", "'"))  # no unit of time, here
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", digits(text))
    return re.sub(r"\s+", " ", re.sub(r"[;!?]|[.,](?!\d)(?=\s|$)", " ", text)).strip()


def _bounds(text: str, now: datetime, zone: ZoneInfo) -> tuple[str, _Bounds]:
    """ "starting tomorrow", "until friday", "for 5 days" off the end."""
    bounds = _Bounds()
    for _ in range(2):
        if match := re.search(r" ?\b(?:starting|beginning|from)(?: on)? ((?:\w+ ?){1,4})$", text):
            bounds.first = _day(match[1], now, zone)
        elif match := re.search(r" ?\b(?:until|till|til|up to) ((?:\S+ ?){1,4})$", text):
            bounds.last = _day(match[1], now, zone)
        elif match := re.search(r" ?\b(\d{1,4}) times$", text):
            bounds.count = int(match[1])
        else:
            break
        text = text[: match.start()].strip()
    return text, bounds


def _day(text: str, now: datetime, zone: ZoneInfo) -> date:
    return parse_day(text.strip(), now, zone)


def _rhythm(text: str) -> tuple[_Rhythm, str] | None:
    """How often, and the words left over (a time of day)."""
    for pattern, take in _PATTERNS:
        if match := pattern.search(text):
            rest = f"{text[: match.start()]} {text[match.end() :]}"
            return take(match), re.sub(r"\s+", " ", rest).strip()
    return None


def _gap(text: str | None) -> int:
    words = (text or "").strip()
    if not words:
        return 1
    return 2 if words in ("other", "second", "2nd") else int(words.rstrip("stndrh"))


def _codes(text: str) -> str:
    found = [next(code for code, stem in zip(_DAYS, _STEMS, strict=True) if word.startswith(stem))
             for word in re.findall(_DAY, text)]  # fmt: skip
    return ",".join(sorted(set(found), key=_DAYS.index))


def _of_month(match: re.Match[str]) -> _Rhythm:
    position = _POSITIONS[match["nth"]]
    gap = _gap(match["gap"])
    if match["day"] == "day":
        return _Rhythm("MONTHLY", gap, {"BYMONTHDAY": str(position)})
    if re.fullmatch(_WORKDAY, match["day"]):
        return _Rhythm("MONTHLY", gap, {"BYDAY": "MO,TU,WE,TH,FR", "BYSETPOS": str(position)})
    return _Rhythm("MONTHLY", gap, {"BYDAY": f"{position}{_codes(match['day'])}"})


def _nth_day(match: re.Match[str]) -> _Rhythm:
    return _Rhythm("MONTHLY", _gap(match["gap"]), {"BYMONTHDAY": str(_POSITIONS[match["nth"]])})


def _day_of_month(match: re.Match[str]) -> _Rhythm:
    days = sorted({int(number) for number in re.findall(r"\d+", match["days"])})
    if not days or days[-1] > 31 or days[0] < 1:
        raise NotATime(match[0])
    return _Rhythm("MONTHLY", _gap(match["gap"]), {"BYMONTHDAY": ",".join(map(str, days))})


def _day_of_year(match: re.Match[str]) -> _Rhythm:
    month = _MONTHS.index(match["month"][:3]) + 1
    if not 1 <= int(match["number"]) <= 31:
        raise NotATime(match[0])
    return _Rhythm("YEARLY", 1, {"BYMONTH": str(month), "BYMONTHDAY": match["number"]})


def _weekdays(match: re.Match[str]) -> _Rhythm:
    return _Rhythm("WEEKLY", _gap(match["gap"]), {"BYDAY": _codes(match["days"])}, match["part"] or "")


def _plain(match: re.Match[str]) -> _Rhythm:
    return _Rhythm(_UNITS[match["unit"]], _gap(match["gap"]))


_PART = r"(?: (?P<part>morning|afternoon|evening|night)s?)?"
_NUMBERS = r"(?P<days>\d{1,2}(?:st|nd|rd|th)(?:(?:,? and |, ?| )(?:the )?\d{1,2}(?:st|nd|rd|th))*)"
_NUMBER = r"(?P<number>\d{1,2})(?:st|nd|rd|th)?"
_RHYTHMS: Sequence[tuple[str, Callable[[re.Match[str]], _Rhythm]]] = (
    (
        rf"(?:on )?(?:{_EVERY} |the )?{_NTH} (?P<day>{_DAY}|day|{_WORKDAY}) {_EACH_MONTH}",
        _of_month,
    ),
    (rf"(?:every|each) (?P<gap>other |2nd |\d+ )?months? on the {_NTH} (?P<day>{_DAY}|day|{_WORKDAY})", _of_month),
    (rf"(?P<gap>)monthly on the {_NTH} (?P<day>{_DAY}|day|{_WORKDAY})", _of_month),
    (rf"(?:on )?(?:the )?{_NTH} {_EACH_MONTH}", _nth_day),
    (rf"(?:on )?(?:{_EVERY} |the )?{_NUMBERS} {_EACH_MONTH}", _day_of_month),
    (rf"(?:every|each) (?P<gap>other |2nd |\d+ )?months? on (?:the )?{_NUMBERS}", _day_of_month),
    (rf"(?P<gap>)monthly on (?:the )?{_NUMBERS}", _day_of_month),
    (
        rf"(?:(?:every|each) year|yearly|annually) on (?:the )?{_NUMBER} (?:of )?{_MONTH}",
        _day_of_year,
    ),
    (
        rf"(?:(?:every|each) year|yearly|annually) on {_MONTH} (?:the )?(?P<number>\d{{1,2}})(?:st|nd|rd|th)?",
        _day_of_year,
    ),
    (rf"(?:every|each) (?P<number>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}", _day_of_year),
    (rf"(?:every|each) {_MONTH} (?:the )?(?P<number>\d{{1,2}})(?:st|nd|rd|th)?", _day_of_year),
    (
        rf"(?:{_EVERY} (?P<gap>other |2nd |\d+ )?(?:weeks?|fortnight)|weekly|fortnightly) on (?P<days>{_DAY_LIST})",
        lambda match: _Rhythm(
            "WEEKLY", 2 if "fortnight" in match[0] else _gap(match["gap"]), {"BYDAY": _codes(match["days"])}
        ),
    ),
    (
        rf"(?:{_EVERY} |on |during )?(?:the )?{_WORKDAY}{_PART}",
        lambda match: _Rhythm("WEEKLY", 1, {"BYDAY": "MO,TU,WE,TH,FR"}, match["part"] or ""),
    ),
    (
        r"(?:every|each|on|at|over) (?:the )?weekends?|weekends",
        lambda match: _Rhythm("WEEKLY", 1, {"BYDAY": "SA,SU"}),
    ),
    (rf"(?:on )?{_EVERY} (?P<gap>other |2nd |3rd |\d+ )?(?P<days>{_DAY_LIST}){_PART}", _weekdays),
    (rf"(?P<gap>)(?:on )?(?P<days>{_PLURAL_DAYS}){_PART}", _weekdays),
    (rf"{_EVERY} fortnight|fortnightly", lambda match: _Rhythm("WEEKLY", 2)),
    (
        r"(?:in the )?(?:every|each) (?P<part>morning|afternoon|evening|night)",
        lambda match: _Rhythm("DAILY", 1, {}, match["part"]),
    ),
    (
        rf"{_EVERY} (?P<gap>other |2nd |3rd |\d+(?:th)? )?(?P<unit>minute|min|hour|day|week|month|year)s?",
        _plain,
    ),
    (
        r"(?P<word>hourly|daily|nightly|weekly|monthly|yearly|annually)",
        lambda match: _Rhythm(_ADVERBS[match["word"]], 1, {}, "night" if match["word"] == "nightly" else ""),
    ),
)
_PATTERNS = tuple((re.compile(rf"(?<!\S)(?:{pattern})(?!\S)"), take) for pattern, take in _RHYTHMS)


def _clocks(rest: str, text: str) -> list[tuple[int, int]]:
    """The times of day in what is left of the phrase; several only when they share their minute."""
    if not rest:
        return [(9, 0)]
    one = usual_clock(rest)
    if one is not None:
        return [one]
    pieces = [usual_clock(piece) for piece in re.split(r",? and |, ?", rest)]
    clocks = sorted({clock for clock in pieces if clock is not None})
    if None in pieces or len({minute for _, minute in clocks}) != 1:
        raise NotATime(text)
    return clocks
