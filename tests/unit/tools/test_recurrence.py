"""Repeating rules: counted on the wall clock through both changes of the clocks, bounded, and read out of words."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from antiphon.domain.schedule import Recurrence
from antiphon.tools.builtin.every import is_every, parse_every
from antiphon.tools.builtin.when import NotATime
from antiphon.tools.recurrence import BadRule, checked_rule, described, firings_between, first_firing, next_firing

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)  # a Saturday, 09:30 in Berlin


def _firings(
    rule: str, start: str, count: int, zone: str = "Europe/Berlin", after: datetime | None = None
) -> list[str]:
    """The next firings as that place's clocks show them."""
    recurrence = Recurrence(rule, datetime.fromisoformat(start), zone)
    at = after or recurrence.start.replace(tzinfo=ZoneInfo(zone)) - timedelta(seconds=1)
    found: list[str] = []
    for _ in range(count):
        following = next_firing(recurrence, at)
        if following is None:
            break
        found.append(f"{following.astimezone(ZoneInfo(zone)):%m-%d %H:%M %z}")
        at = following
    return found


def test_the_wall_clock_counts_through_both_changes() -> None:
    assert _firings("FREQ=DAILY", "2026-03-28T09:00", 2) == ["03-28 09:00 +0100", "03-29 09:00 +0200"]
    assert _firings("FREQ=DAILY", "2026-10-24T09:00", 2) == ["10-24 09:00 +0200", "10-25 09:00 +0100"]
    assert _firings("FREQ=WEEKLY;BYDAY=MO,TU", "2026-03-23T09:00", 4)[-1] == "03-31 09:00 +0200"


def test_a_time_the_change_skips_comes_as_much_later_and_once() -> None:
    assert _firings("FREQ=DAILY", "2026-03-28T02:30", 3) == [
        "03-28 02:30 +0100",
        "03-29 03:30 +0200",
        "03-30 02:30 +0200",
    ]
    # 02:30 does not exist and becomes 03:30, which comes after 03:00: the order is that of real time, nothing is lost.
    assert _firings("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", "2026-03-29T01:00", 4) == [
        "03-29 03:00 +0200",
        "03-29 03:30 +0200",
        "03-30 02:00 +0200",
        "03-30 02:30 +0200",
    ]


def test_a_time_that_comes_twice_happens_once() -> None:
    assert _firings("FREQ=DAILY", "2026-10-24T02:30", 3) == [
        "10-24 02:30 +0200",
        "10-25 02:30 +0200",
        "10-26 02:30 +0100",
    ]


def test_hours_and_minutes_are_real_time() -> None:
    assert _firings("FREQ=HOURLY;INTERVAL=2", "2026-10-25T00:00", 4) == [
        "10-25 00:00 +0200",
        "10-25 02:00 +0200",
        "10-25 03:00 +0100",
        "10-25 05:00 +0100",
    ]
    assert _firings("FREQ=MINUTELY;INTERVAL=90;COUNT=2", "2026-03-29T01:00", 5) == [
        "03-29 01:00 +0100",
        "03-29 03:30 +0200",
    ]


def test_rules_of_the_calendar() -> None:
    assert _firings("FREQ=MONTHLY;BYDAY=-1FR", "2026-11-01T16:00", 2) == ["11-27 16:00 +0100", "12-25 16:00 +0100"]
    assert _firings("FREQ=MONTHLY;BYMONTHDAY=31", "2026-11-01T08:00", 2) == ["12-31 08:00 +0100", "01-31 08:00 +0100"]
    assert _firings("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2026-11-01T08:00", 2) == [
        "02-29 08:00 +0100",
        "02-29 08:00 +0100",
    ]
    assert len(_firings("FREQ=DAILY;UNTIL=20261123", "2026-11-21T09:00", 9)) == 3
    assert _firings("FREQ=DAILY;COUNT=2", "2026-11-21T09:00", 9) == ["11-21 09:00 +0100", "11-22 09:00 +0100"]
    recurrence = Recurrence("FREQ=DAILY", datetime.fromisoformat("2026-11-01T09:00"), "Europe/Berlin")
    assert firings_between(recurrence, NOW - timedelta(days=4), NOW) == 4


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "every day",
        "FREQ=SECONDLY",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=1,2",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYSECOND=1",
        "FREQ=DAILY;BYEASTER=0",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=WEEKLY;BYDAY=2MO",
        "FREQ=MONTHLY;BYDAY=99MO",
        "FREQ=MINUTELY;BYMONTH=2",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;UNTIL=20261399",
        "FREQ=DAILY;UNTIL=20270101;COUNT=3",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=200",
        "FREQ=DAILY;COUNT=²",
        "FREQ=DAILY\nDTSTART:20200101",
        "FREQ=YEARLY;" + "BYMONTH=1;" * 40,
    ],
)
def test_rules_that_are_not_taken(rule: str) -> None:
    with pytest.raises(BadRule):
        checked_rule(rule)


def test_a_rule_that_never_comes_true_ends_at_once() -> None:
    began = time.process_time()
    for rule in ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30"):
        assert next_firing(Recurrence(rule, datetime.fromisoformat("2027-02-01T00:00"), "Europe/Berlin"), NOW) is None
    start = datetime.fromisoformat("1970-01-01T00:00")
    old = Recurrence("FREQ=DAILY;BYHOUR=1,2,3,4,5,6;BYMINUTE=0", start, "Europe/Berlin")
    assert next_firing(old, NOW) is not None
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize(
    ("words", "rule", "first"),
    [
        ("every weekday at 9", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-11-23 09:00"),
        ("every second Tuesday", "FREQ=WEEKLY;BYDAY=TU;INTERVAL=2", "2026-11-24 09:00"),
        ("every second Tuesday of the month", "FREQ=MONTHLY;BYDAY=2TU", "2026-12-08 09:00"),
        ("every 3 days at 8:15", "FREQ=DAILY;INTERVAL=3", "2026-11-22 08:15"),
        ("on mondays and thursdays at 6pm", "FREQ=WEEKLY;BYDAY=MO,TH", "2026-11-23 18:00"),
        ("every friday at 5", "FREQ=WEEKLY;BYDAY=FR", "2026-11-27 17:00"),
        ("every evening at 8", "FREQ=DAILY", "2026-11-21 20:00"),
        ("on the first of every month", "FREQ=MONTHLY;BYMONTHDAY=1", "2026-12-01 09:00"),
        ("on the last day of every month at noon", "FREQ=MONTHLY;BYMONTHDAY=-1", "2026-11-30 12:00"),
        ("every year on may 5", "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=5", "2027-05-05 09:00"),
        ("every day at 9 and 17:00", "FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0", "2026-11-21 17:00"),
        ("every day at 10 until friday", "FREQ=DAILY;UNTIL=20261127", "2026-11-21 10:00"),
        ("every 2 hours", "FREQ=HOURLY;INTERVAL=2", "2026-11-21 11:30"),
        ("weekends at 10", "FREQ=WEEKLY;BYDAY=SA,SU", "2026-11-21 10:00"),
    ],
)
def test_words(words: str, rule: str, first: str) -> None:
    recurrence = parse_every(words, NOW, BERLIN)
    at = first_firing(recurrence, NOW)
    assert at is not None
    assert (recurrence.rule, f"{at.astimezone(BERLIN):%Y-%m-%d %H:%M}") == (rule, first)
    assert is_every(words)


@pytest.mark.parametrize(
    "words", ["every", "every cat", "every hour at 5", "every 90 seconds", "every 32nd of may", ""]
)
def test_words_that_are_no_rhythm(words: str) -> None:
    with pytest.raises(NotATime):
        parse_every(words, NOW, BERLIN)


def test_rules_in_words_again() -> None:
    start = datetime.fromisoformat("2026-11-21T09:00")
    for rule, words in {
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR": "every weekday at 09:00",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU": "every 2 weeks on Tuesday at 09:00",
        "FREQ=MONTHLY;BYDAY=-1FR": "every month on the last Friday at 09:00",
        "FREQ=YEARLY": "every year on the 21st of November at 09:00",
        "FREQ=HOURLY;INTERVAL=3": "every 3 hours",
    }.items():
        assert described(Recurrence(rule, start, "Europe/Berlin"))["words"] == words
