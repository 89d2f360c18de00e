"""Times as people say them. Now is Wednesday, 4 March 2026, 16:00 in Berlin."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.builtin.numbers import digits
from antiphon.tools.builtin.when import (
    InThePast,
    NotATime,
    Recurring,
    is_time_phrase,
    parse_day,
    parse_duration,
    parse_when,
    split_when,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("in ten minutes", "03-04 16:10"),
        ("in an hour and a half", "03-04 17:30"),
        ("in 2 and a half hours", "03-04 18:30"),
        ("in 1 hour and 30 minutes", "03-04 17:30"),
        ("in half an hour", "03-04 16:30"),
        ("three quarters of an hour", "03-04 16:45"),
        ("in a couple of hours", "03-04 18:00"),
        ("1h30m", "03-04 17:30"),
        ("10 minutes from now", "03-04 16:10"),
        ("tomorrow at 9", "03-05 09:00"),
        ("tomorrow at 3", "03-05 15:00"),
        ("tomorrow", "03-05 09:00"),
        ("tomorrow morning at 7", "03-05 07:00"),
        ("day after tomorrow at noon", "03-06 12:00"),
        ("at 18:30", "03-04 18:30"),
        ("at 9", "03-04 21:00"),
        ("at 3", "03-05 15:00"),
        ("at 9am", "03-05 09:00"),
        ("at six thirty", "03-04 18:30"),
        ("at half past six", "03-04 18:30"),
        ("quarter to 7", "03-04 18:45"),
        ("at 9 in the evening", "03-04 21:00"),
        ("tonight", "03-04 20:00"),
        ("in the morning", "03-05 09:00"),
        ("noon", "03-05 12:00"),
        ("at midnight", "03-05 00:00"),
        ("on friday", "03-06 09:00"),
        ("friday at 5", "03-06 17:00"),
        ("wednesday at 9am", "03-11 09:00"),
        ("next friday at noon", "03-13 12:00"),
        ("next week", "03-09 09:00"),
        ("in 3 days", "03-07 16:00"),
        ("in 3 days at 9", "03-07 09:00"),
        ("in a month", "04-04 16:00"),
        ("on the 5th of may at 10", "05-05 10:00"),
        ("the 15th at 3pm", "03-15 15:00"),
        ("december 24 at 6 p.m.", "12-24 18:00"),
        ("2026-12-24 18:00", "12-24 18:00"),
        ("12/24/2026", "12-24 09:00"),
        ("new year's eve", "12-31 09:00"),
        ("next summer time sunday", None),
    ],
)
def test_moments(text: str, local: str | None) -> None:
    if local is None:
        with pytest.raises(NotATime):
            parse_when(text, NOW, BERLIN)
    else:
        assert f"{parse_when(text, NOW, BERLIN).astimezone(BERLIN):%m-%d %H:%M}" == local


@pytest.mark.parametrize("text", ["every day at 9", "daily", "on mondays", "each friday at noon"])
def test_repeating_times_are_told_apart(text: str) -> None:
    with pytest.raises(Recurring):
        parse_when(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["today at 9am", "yesterday", "2020-01-01"])
def test_the_past_is_refused(text: str) -> None:
    with pytest.raises(InThePast):
        parse_when(text, NOW, BERLIN)


@pytest.mark.parametrize(
    "text", ["", "gibberish", "5", "in five", "at 25:00", "february 30", "call mum", "in 9999999999 years"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NotATime):
        parse_when(text, NOW, BERLIN)


def test_summer_time_keeps_the_wall_clock_for_days_and_the_length_for_hours() -> None:
    before = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # 13:00 in Berlin; the clocks change in the night
    assert parse_when("tomorrow at 13:00", before, BERLIN) - before == timedelta(hours=23)
    assert parse_when("in 24 hours", before, BERLIN) - before == timedelta(hours=24)
    assert parse_when("in 1 day", before, BERLIN) - before == timedelta(hours=23)


@pytest.mark.parametrize(
    ("text", "when", "rest"),
    [
        ("call mum tomorrow at 9", "tomorrow at 9", "call mum"),
        ("in ten minutes to stretch", "in ten minutes", "to stretch"),
        ("meet bob at the park at noon", "at noon", "meet bob at the park"),
        ("pick up Anna, at 5:30pm", "at 5:30pm", "pick up Anna"),
        ("drink water every day", "every day", "drink water"),
    ],
)
def test_time_phrases_are_found(text: str, when: str, rest: str) -> None:
    assert split_when(text) == (when, rest)


@pytest.mark.parametrize("text", ["buy milk", "study two hours", "watch ocean's 11", "may the force be with you", ""])
def test_bare_numbers_and_lengths_are_no_time_phrases(text: str) -> None:
    assert split_when(text) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("tomorrow", date(2026, 3, 5)),
        ("yesterday", date(2026, 3, 3)),
        ("christmas", date(2026, 12, 25)),
        ("3 days ago", date(2026, 3, 1)),
        ("in 2 weeks", date(2026, 3, 18)),
        ("march 1", date(2027, 3, 1)),
    ],
)
def test_days(text: str, day: date) -> None:
    assert parse_day(text, NOW, BERLIN) == day


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("an hour and a half", 5400), ("1 minute 5 seconds", 65)])
def test_lengths(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["tomorrow", "at 9", "2 months", "soon"])
def test_moments_are_no_lengths(text: str) -> None:
    with pytest.raises(NotATime):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty five", "25"),
        ("one hundred and five", "105"),
        ("ten thirty", "10 30"),
        ("two point five", "2.5"),
        ("a thousand", "1000"),
        ("this one", "this one"),
        ("the second guy", "the second guy"),
        ("twenty-first", "21th"),
        ("two million three hundred thousand", "2300000"),
    ],
)
def test_number_words(text: str, expected: str) -> None:
    assert digits(text) == expected


@given(st.text(max_size=60))
def test_no_text_breaks_the_parsers(text: str) -> None:
    is_time_phrase(text)
    split_when(text)
    try:
        found = parse_when(text, NOW, BERLIN)
    except NotATime:
        return
    assert found > NOW
    assert found.utcoffset() == timedelta(0)
