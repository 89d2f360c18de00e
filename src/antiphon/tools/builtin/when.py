"""From "in an hour and a half", "tomorrow at 9" or "next friday at noon" to a moment. Used by reminders and the clock.

English is parsed here, in well under a millisecond and strictly: a phrase that is not understood to its last word is
refused, so nobody is reminded at a time they did not say. Other languages and rarer forms go to dateparser.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from antiphon.tools.builtin.numbers import digits


class NotATime(ValueError):
    """The phrase names no moment."""


class Recurring(NotATime):
    """The phrase asks for something that repeats."""


class InThePast(NotATime):
    """The phrase names a moment that is over."""


_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = tuple(name.casefold() for name in calendar.month_name)[1:]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks", "mo": "months", "y": "years"}
_UNIT = (
    r"(?P<unit>seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|mo|years?|yrs?|y)(?![a-z])"
)
_WEEKDAY = (
    r"(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)"
)
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_COUNT = (
    r"(?P<count>\d+(?:\.\d+)?(?: and a half)?|half an?|half|an?"
    r"|a couple(?: of)?|a few|a quarter of an?|a quarter|\d quarters of an?)"
)
_PARTS = {"morning": 9, "lunchtime": 12, "lunch time": 12, "afternoon": 15, "evening": 18, "night": 20}
_HOLIDAYS = {
    "christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "xmas": (12, 25),
    "new year's eve": (12, 31), "new years eve": (12, 31), "new year's day": (1, 1), "new years day": (1, 1),
    "new year's": (1, 1), "new year": (1, 1), "halloween": (10, 31), "valentine's day": (2, 14),
    "valentines day": (2, 14),
}  # fmt: skip
_NIGHT_ENDS = 5
"""Nobody means an hour up to this one in the night without saying "am"; "tomorrow at 6" means the evening too."""
_OVER = re.compile(r"\b(yesterday|ago|last (night|week|month|year|mon|tues|wednes|thurs|fri|satur|sun)\w*)\b")
_RECURRING = re.compile(
    r"\b(every|each|daily|weekly|monthly|yearly|annually|hourly|nightly|recurring|repeating|repeatedly"
    r"|(mon|tues|wednes|thurs|fri|satur|sun|week|work)days|weekends)\b"
)


@dataclass(slots=True)
class _Reading:
    """What was understood so far."""

    now: datetime
    marked: bool = False
    """Something that can only be a time was said ("in", "at", "pm", a day), not a bare number or duration."""
    months: int = 0
    days: int = 0
    exact: timedelta = field(default_factory=timedelta)
    has_duration: bool = False
    day: date | None = None
    day_words: str = ""
    clock: tuple[int, int] | None = None
    fixed: bool = False
    """The clock time is on the 24 hour clock, or says am or pm."""
    part: str = ""

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def understood(self) -> bool:
        return self.has_duration or self.day is not None or self.clock is not None or bool(self.part)


def is_recurring(text: str) -> bool:
    """Whether the phrase asks for something that repeats ("every day", "on mondays")."""
    return _RECURRING.search(text.casefold()) is not None


def parse_when(text: str, now: datetime, zone: tzinfo, language: str = "en") -> datetime:
    """The moment meant, in UTC and after `now`.

    A clock time that is over today means tomorrow; "tomorrow" alone means nine in the morning; "next friday" is the
    friday of the next calendar week. Raises `Recurring`, `InThePast` or `NotATime`.
    """
    if is_recurring(text):
        raise Recurring(text)
    if _OVER.search(text.casefold()):
        raise InThePast(text)
    local = now.astimezone(zone)
    reading = _read(text, local)
    moment = _moment(reading, zone) if reading is not None else _by_dateparser(text, local, zone, language)
    if moment <= now:
        raise InThePast(text)
    return moment.astimezone(UTC)


def parse_day(text: str, now: datetime, zone: tzinfo, language: str = "en") -> date:
    """The day meant, past or future. Raises `NotATime`."""
    local = now.astimezone(zone)
    lowered = _normal(text)
    if lowered == "yesterday":
        return local.date() - timedelta(days=1)
    if lowered == "the day before yesterday":
        return local.date() - timedelta(days=2)
    if match := re.fullmatch(rf"{_COUNT} {_UNIT} ago", lowered):
        amount = _count(match["count"])
        unit = _unit(match["unit"])
        if unit in ("days", "weeks"):
            return local.date() - timedelta(**{unit: amount})
    reading = _read(text, local)
    if reading is None:
        return _by_dateparser(text, local, zone, language).astimezone(zone).date()
    if reading.day is None and reading.has_duration:
        return (_add(local, reading.months, reading.days) + reading.exact).date()
    return reading.day or local.date()


def parse_duration(text: str) -> timedelta:
    """A length of time such as "10 minutes", "1h30m" or "an hour and a half". Raises `NotATime`."""
    reading = _read(text, datetime(2000, 1, 1, tzinfo=UTC))
    if reading is None or not reading.has_duration or reading.day or reading.clock or reading.part or reading.months:
        raise NotATime(text)
    return timedelta(days=reading.days) + reading.exact


def usual_clock(text: str) -> tuple[int, int] | None:
    """The time of day meant by "at 9", "7 pm" or "in the evening" where it is a habit; None for anything else.

    A bare hour up to five is meant after noon, unless the words say otherwise.
    """
    reading = _read(text, datetime(2000, 1, 1, tzinfo=UTC)) or _read(f"at {text}", datetime(2000, 1, 1, tzinfo=UTC))
    if reading is None or reading.has_duration or (reading.day is not None and reading.part != "night"):
        return None
    if reading.clock is None:
        return (_PARTS[reading.part], 0) if reading.part else None
    hour, minute = reading.clock
    if reading.fixed:
        return hour, minute
    if reading.part in ("afternoon", "evening", "night") or (not reading.part and 1 <= hour <= _NIGHT_ENDS):
        hour = hour % 12 + 12
        return (0 if hour == 12 and reading.part == "night" else hour, minute)
    return hour, minute


def split_when(text: str) -> tuple[str, str] | None:
    """Split a request into its time phrase and the rest, or None when it has none at its start or end.

    "call mum tomorrow at 9" -> ("tomorrow at 9", "call mum"). The longest phrase wins.
    """
    words = text.split()
    for length in range(min(len(words), 12), 0, -1):
        for phrase, rest in ((words[-length:], words[:-length]), (words[:length], words[length:])):
            candidate = " ".join(phrase).strip(" ,.;!?")
            if is_time_phrase(candidate):
                return candidate, " ".join(rest).strip(" ,;")
    return None


def is_time_phrase(text: str) -> bool:
    """Whether the words can only be meant as a time."""
    if is_recurring(text):
        from antiphon.tools.builtin.every import is_every  # late: it reads the times of day with this module

        return is_every(text)
    if re.match(r"(and|the|of|a|an|then|sharp)\b", text.casefold()) and not re.match(
        r"(the (\d|day after|end|twenty|thirty)|an? )", text.casefold()
    ):
        return False
    reading = _read(text, datetime(2000, 1, 1, tzinfo=UTC))
    return reading is not None and reading.marked


def _normal(text: str) -> str:
    text = digits(text.casefold().replace("\u2019", "'"))
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\bo'?\s?clock\b", "oclock", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return re.sub(r"\s+", " ", re.sub(r"[,;!?]|\.(?!\d)", " ", text)).strip()


def _read(text: str, now: datetime) -> _Reading | None:
    """Consume the phrase piece by piece; None when a word is left that means nothing here."""
    rest = _normal(text)
    reading = _Reading(now)
    if not rest or len(rest) > 120:
        return None
    while rest:
        for pattern, take in _PIECES:
            if (match := pattern.match(rest)) and take(reading, match):
                rest = rest[match.end() :].lstrip()
                break
        else:
            return None
    return reading if reading.understood else None


def _count(words: str) -> float:
    if words.endswith(" and a half"):
        return _count(words.removesuffix(" and a half")) + 0.5
    if words.startswith("half"):
        return 0.5
    if words.startswith("a quarter"):
        return 0.25
    if "quarters" in words:
        return int(words[0]) / 4
    if words.startswith("a couple"):
        return 2
    if words == "a few":
        return 3
    return 1 if words in ("a", "an") else float(words)


def _unit(word: str) -> str:
    return _UNITS["mo" if word.startswith("mo") else word[0]]


def _take_duration(reading: _Reading, match: re.Match[str]) -> bool:
    amount = _count(match["count"]) + (0.5 if match["half"] else 0)
    unit = _unit(match["unit"])
    if amount > 1_000_000 or (unit in ("months", "years") and amount != int(amount)):
        return False
    if unit in ("days", "weeks") and amount == int(amount):
        reading.days += int(amount) * (7 if unit == "weeks" else 1)
    elif unit in ("months", "years"):
        reading.months += int(amount) * (12 if unit == "years" else 1)
    else:
        reading.exact += timedelta(**{unit: amount})
    reading.has_duration = True
    reading.marked = reading.marked or bool(match["lead"] or match["tail"])
    return True


def _take_compact(reading: _Reading, match: re.Match[str]) -> bool:
    hours, minutes, seconds = (int(match[name] or 0) for name in ("h", "m", "s"))
    if not (match["h"] or match["m"] or match["s"]):
        return False
    reading.exact += timedelta(hours=hours, minutes=minutes, seconds=seconds)
    reading.has_duration = True
    reading.marked = reading.marked or bool(match["lead"])
    return True


def _set_clock(reading: _Reading, hour: int, minute: int, meridiem: str, *, fixed: bool) -> bool:
    if reading.clock is not None or hour > 24 or minute > 59:
        return False
    if meridiem:
        if not 1 <= hour <= 12:
            return False
        hour = hour % 12 + (12 if meridiem == "pm" else 0)
    reading.clock = (hour % 24, minute)
    reading.fixed = bool(meridiem) or fixed or hour > 12 or hour == 0
    return True


def _take_clock(reading: _Reading, match: re.Match[str]) -> bool:
    bare = not (match["minute"] or match["meridiem"] or match["oclock"] or match["at"])
    if bare and reading.day is None and not reading.part:
        return False
    padded = match["hour"].startswith("0") and match["minute"] is not None
    taken = _set_clock(reading, int(match["hour"]), int(match["minute"] or 0), match["meridiem"] or "", fixed=padded)
    reading.marked = reading.marked or taken
    return taken


def _take_past(reading: _Reading, match: re.Match[str]) -> bool:
    minutes = {"half": 30, "quarter": 15}.get(match["minute"]) or int(match["minute"])
    hour = int(match["hour"])
    if match["side"] in ("to", "til", "till", "before"):
        hour, minutes = (hour - 1) or 12, 60 - minutes
    reading.marked = True
    return _set_clock(reading, hour, minutes, match["meridiem"] or "", fixed=False)


def _take_named_clock(reading: _Reading, match: re.Match[str]) -> bool:
    reading.marked = True
    if match[1] == "midnight":
        return _set_clock(reading, 24, 0, "", fixed=True)
    return _set_clock(reading, 12, 0, "pm", fixed=True)


def _take_part(reading: _Reading, match: re.Match[str]) -> bool:
    words = match[0]
    if reading.part:
        return False
    if "tonight" in words:
        reading.part, reading.day = "night", reading.day or reading.today
    else:
        reading.part = match["part"]
        if "this" in words:
            reading.day = reading.day or reading.today
    reading.marked = True
    return True


def _take_day(reading: _Reading, match: re.Match[str]) -> bool:
    ahead = {"today": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1, "tomorow": 1, "tommorow": 1, "tommorrow": 1}
    word = match[1]
    return _set_day(reading, reading.today + timedelta(days=2 if "after" in word else ahead[word]), word)


def _set_day(reading: _Reading, day: date, words: str = "") -> bool:
    if reading.day is not None:
        return False
    reading.day, reading.day_words, reading.marked = day, words, True
    return True


def _take_weekday(reading: _Reading, match: re.Match[str]) -> bool:
    wanted = next(i for i, name in enumerate(_WEEKDAYS) if name.startswith(match["weekday"][:3]))
    here = reading.today.weekday()
    which = match["which"] or ""
    if reading.day is not None:
        return reading.day.weekday() == wanted
    if "next" in which:
        ahead = 7 - here + wanted
    else:
        ahead = (wanted - here) % 7
        if "week" in (match["after"] or ""):
            ahead += 7
    return _set_day(reading, reading.today + timedelta(days=ahead), "weekday")


def _take_span(reading: _Reading, match: re.Match[str]) -> bool:
    span = match["span"]
    here = reading.today
    if span == "week":
        return _set_day(reading, here + timedelta(days=7 - here.weekday()))
    if span == "month":
        return _set_day(reading, _add_months(here.replace(day=1), 1))
    if span == "year":
        return _set_day(reading, date(here.year + 1, 1, 1))
    ahead = (5 - here.weekday()) % 7 + (7 if match["which"] == "next" else 0)
    return _set_day(reading, here + timedelta(days=ahead))


def _take_date(reading: _Reading, match: re.Match[str]) -> bool:
    month = next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3]))
    return _dated(reading, int(match["year"] or 0), month, int(match["day"]))


def _take_iso(reading: _Reading, match: re.Match[str]) -> bool:
    return _dated(reading, int(match[1]), int(match[2]), int(match[3]))


def _take_holiday(reading: _Reading, match: re.Match[str]) -> bool:
    month, day = _HOLIDAYS[match[1]]
    return _dated(reading, int(match[2] or 0), month, day)


def _dated(reading: _Reading, year: int, month: int, day: int) -> bool:
    try:
        found = date(year or reading.today.year, month, day)
        if not year and found < reading.today:
            found = date(found.year + 1, month, day)
    except ValueError:
        return False
    return _set_day(reading, found)


def _take_monthday(reading: _Reading, match: re.Match[str]) -> bool:
    day = int(match["day"])
    month = reading.today if day >= reading.today.day else _add_months(reading.today.replace(day=1), 1)
    for ahead in range(12):
        candidate = _add_months(month.replace(day=1), ahead)
        if day <= calendar.monthrange(candidate.year, candidate.month)[1]:
            return day >= 1 and _set_day(reading, candidate.replace(day=day))
    return False


def _take_end_of_day(reading: _Reading, match: re.Match[str]) -> bool:
    del match
    return _set_clock(reading, 17, 0, "", fixed=True) and (reading.day is not None or _set_day(reading, reading.today))


def _skip(reading: _Reading, match: re.Match[str]) -> bool:
    del reading, match
    return True


_CLOCK = (
    r"(?P<hour>\d{1,2})(?:(?:[:.h]| (?=\d\d(?! ?(?:min|sec|hour|day|[smh]\b))))(?P<minute>[0-5]\d))?"
    r"\s?(?P<meridiem>am|pm)?(?P<oclock>\s?oclock)?(?![\w:/-])"
)
_LEAD = r"(?P<lead>(?:in|after|within) (?:about |around |exactly |another )?)?"
_PIECES: tuple[tuple[re.Pattern[str], Callable[[_Reading, re.Match[str]], bool]], ...] = tuple(
    (re.compile(pattern), take)
    for pattern, take in (
        (r"(?:on |by )?(\d{4})-(\d{1,2})-(\d{1,2})\b", _take_iso),
        (
            rf"{_LEAD}{_COUNT}(?:(?<=\d) ?| )(?:more )?{_UNIT}(?P<half> and a half)?(?: time)?"
            r"(?P<tail> from now| later| from today)?",
            _take_duration,
        ),
        (rf"{_LEAD}(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?:in)?)?(?:(?P<s>\d+)s)?(?![a-z\d])", _take_compact),
        (
            rf"(?:on |by )?(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b(?: (?P<year>\d{{4}}))?",
            _take_date,
        ),
        (
            rf"(?:on |by )?{_MONTH} (?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![:\d])(?: (?P<year>\d{{4}}))?",
            _take_date,
        ),
        (r"(?:on |by )?the (?P<day>\d{1,2})(?:st|nd|rd|th)", _take_monthday),
        (rf"(?:on |at |by )?({'|'.join(_HOLIDAYS)})\b(?: (\d{{4}}))?", _take_holiday),
        (r"(?:at |by |around |before )?(noon|midday|midnight|12 noon|12 midnight)\b", _take_named_clock),
        (
            r"(?:at |by |around |about )?(?:a )?(?P<minute>half|quarter|\d{1,2})(?: minutes?)? "
            r"(?P<side>past|after|to|til|till|before) (?P<hour>\d{1,2})\s?(?P<meridiem>am|pm)?(?![\w:])",
            _take_past,
        ),
        (rf"(?P<at>(?:at|by|around|about|for|@) ?(?:about |around |exactly )?)?{_CLOCK}", _take_clock),
        (r"(?:by |at )?(?:the )?end of (?:the |my )?(?:work ?)?day\b|(?:by )?eod\b", _take_end_of_day),
        (
            r"(?:in the |during the |this |at |later )?tonight\b"
            r"|(?:in the |during the |this |at |later this )(?P<part>morning|afternoon|evening|night|lunch ?time)\b",
            _take_part,
        ),
        (r"(?:the )?(day after tomorrow)\b", _take_day),
        (r"(?:by )?(today|tomorrow|tmrw|tmr|tomorow|tommorow|tommorrow)\b", _take_day),
        (
            rf"(?P<which>on next |by next |next |on this |this |this coming |coming |on |by )?{_WEEKDAY}\b"
            r"(?P<after> after next| week| next week)?",
            _take_weekday,
        ),
        (r"(?:at |on |over )?(?:the )?(?P<which>next|this|the) (?P<span>week|month|year|weekend)\b", _take_span),
        (r"(?P<part>morning|afternoon|evening|night|lunch ?time)\b", _take_part),
        (r"(?:and|at|on|the|of|in|sharp|from now|later|exactly|please|time|first thing)\b", _skip),
    )
)


def _add_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _add(at: datetime, months: int, days: int) -> datetime:
    """Calendar arithmetic on the wall clock. Raises `NotATime` beyond the calendar."""
    try:
        moved = _add_months(at.date(), months) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise NotATime("too far away") from error
    return datetime.combine(moved, at.time(), at.tzinfo)


def _moment(reading: _Reading, zone: tzinfo) -> datetime:
    now = reading.now
    try:
        if reading.has_duration and reading.day is None:
            moved = _add(now, reading.months, reading.days).astimezone(UTC) + reading.exact
            if reading.clock is None and not reading.part:
                return moved
            reading.day = moved.astimezone(zone).date()
        return _on_the_clock(reading, zone)
    except OverflowError as error:
        raise NotATime("too far away") from error


def _on_the_clock(reading: _Reading, zone: tzinfo) -> datetime:
    now, day = reading.now, reading.day
    if reading.clock is None:
        hour = _PARTS[reading.part] if reading.part else 9
        if day == reading.today and not reading.part and reading.day_words == "today":
            hour = 18
        at = _at(day or reading.today, hour, 0, zone)
        if at <= now and (day is None or reading.day_words == "weekday"):
            at = _at((day or reading.today) + timedelta(days=7 if day else 1), hour, 0, zone)
        return at
    hour, minute = reading.clock
    if reading.part and not reading.fixed:
        evening = reading.part in ("afternoon", "evening", "night")
        hour = hour % 12 + (12 if evening and not (reading.part == "night" and hour == 12) else 0)
        reading.fixed = True
    midnight = reading.fixed and (hour, minute) == (0, 0)
    if day is None:
        choices = [hour] if reading.fixed else [hour % 12, hour % 12 + 12] if hour != 12 else [12, 24]
        for ahead in (0, 1):
            for choice in choices:
                at = _at(reading.today + timedelta(days=ahead + choice // 24), choice % 24, minute, zone)
                if at > now and (reading.fixed or choice > _NIGHT_ENDS):
                    return at
        day = reading.today
    if day == reading.today and not reading.fixed:
        later = [_at(day, choice, minute, zone) for choice in (hour, hour % 12 + 12)]
        return next((at for at in later if at > now), later[-1])
    if not reading.fixed and 1 <= hour <= _NIGHT_ENDS + 1:
        hour += 12
    chosen = day + timedelta(days=1 if midnight else 0)
    at = _at(chosen, hour, minute, zone)
    if at <= now and reading.day_words == "weekday":
        at = _at(chosen + timedelta(days=7), hour, minute, zone)
    return at


def _at(day: date, hour: int, minute: int, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(hour, minute), zone)


def _by_dateparser(text: str, local: datetime, zone: tzinfo, language: str) -> datetime:
    """The rarer forms and the other languages. Needs a digit or a word of dateparser's own, and the whole phrase."""
    import dateparser  # late: a tenth of a second that most turns never need

    english = language.casefold().startswith("en")
    if len(text) > 80 or not re.search(r"\d+[/.-]\d+" if english else r"[^\W\d_]{3,}|\d+[/.-]\d+", text):
        raise NotATime(text)
    found = dateparser.parse(
        text,
        languages=[language.partition("-")[0]] if language else None,
        settings={"RELATIVE_BASE": local.replace(tzinfo=None), "PREFER_DATES_FROM": "future"},
    )
    if found is None:
        raise NotATime(text)
    if found.time() == time(0) and not re.search(r"\b0?0[:.]00\b", text):
        found = found.replace(hour=9)
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def warm_up() -> None:
    """Import and prime dateparser now."""
    import dateparser  # late, see above

    dateparser.parse("in 2 days", languages=["en"])
