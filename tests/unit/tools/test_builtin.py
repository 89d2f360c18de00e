"""The tools that need no store: sums, units, places, dice; and redaction."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain.tools import ExecutionStatus
from antiphon.telemetry.redaction import MARK, Redactor
from antiphon.tools.builtin.arithmetic import NotASum, OutOfBounds, calculate, spoken, to_expression
from antiphon.tools.builtin.dice import parse_dice
from antiphon.tools.builtin.places import find_place
from antiphon.tools.builtin.units import parse_measure
from tests.fakes.agent import Workbench


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("15% of 80", "12"),
        ("20% off 80", "64"),
        ("20 + 10%", "22"),
        ("the square root of 144", "12"),
        ("cube root of 27", "3"),
        ("twelve times twelve", "144"),
        ("2 to the power of 10", "1,024"),
        ("5!", "120"),
        ("add 1, 2, and 3", "6"),
        ("the average of 3, 4 and 5", "4"),
        ("9.99 * 3", "29.97"),
        ("1,000 + 2,500", "3,500"),
        ("divide 144 by 12", "12"),
        ("3/4 of 80", "60"),
        ("sin 30", "0.5"),
        ("1/3", "0.333333333333"),
        ("-5 + 3", "-2"),
        ("12345678901234567890 * 10", "123,456,789,012,345,678,900"),
    ],
)
def test_sums(text: str, value: str) -> None:
    assert spoken(calculate(text))[0] == value


@pytest.mark.parametrize("text", ["9**9**9", "10^100000", "500!", "1/0", "sqrt(-1)", "log(0)", "2**2**2**2**2**2"])
def test_sums_out_of_bounds_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(OutOfBounds):
        spoken(calculate(text))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "(1).real", "[1]*9999", "lambda: 1", "'a'*3", "open('x')", "e.__class__",
        "", "hello", "1 if 1 else 2", "f(2)", "x = 3", "2026-03-04", "sum(range(9))",
    ],
)  # fmt: skip
def test_what_is_no_sum_is_refused(text: str) -> None:
    with pytest.raises(NotASum):
        calculate(text)


@given(st.text(alphabet="0123456789+-*/%^().! esqrtpi,", max_size=40))
def test_no_text_breaks_the_calculator(text: str) -> None:
    to_expression(text)
    with contextlib.suppress(NotASum, OutOfBounds):
        spoken(calculate(text))


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"), ("the UK", "Europe/London"), ("NYC", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("UTC+2", "UTC+2"), ("München", "Europe/Berlin"), ("Europe/Berlin", "Europe/Berlin"),
        ("france", "Europe/Paris"),
        ("paris texas", "America/Chicago"), ("Portland, Oregon", "America/Los_Angeles"),
        ("são paulo", "America/Sao_Paulo"),
        ("California", "America/Los_Angeles"), ("Kathmandu", "Asia/Kathmandu"), ("eastern time", "America/New_York"),
        ("Washington DC", "America/New_York"), ("India", "Asia/Kolkata"), ("cest", "Europe/Paris"),
    ],
)  # fmt: skip
def test_places(name: str, zone: str) -> None:
    place = find_place(name)
    assert place is not None
    assert place.zone_name == zone


@pytest.mark.parametrize("name", ["Narnia", "", "my office", "UTC+99", "../etc/passwd", "\x00"])
def test_unknown_places(name: str) -> None:
    assert find_place(name) is None


@pytest.mark.parametrize(
    ("name", "region", "zone"),
    [
        ("Paris", "France", "Europe/Paris"),
        ("Springfield", "Missouri", "America/Chicago"),
        ("London", "United Kingdom", "Europe/London"),
        ("London, Ontario", "Ontario", "America/Toronto"),
        ("Paris, Texas", "Texas", "America/Chicago"),
        ("Tokyo", "", "Asia/Tokyo"),
    ],
)
def test_a_name_of_several_places_is_the_largest_one_and_says_which(name: str, region: str, zone: str) -> None:
    place = find_place(name)
    assert place is not None
    assert (place.region, place.zone_name) == (region, zone)


def test_a_country_of_many_zones_says_which_one_it_took() -> None:
    place = find_place("USA")
    assert place is not None
    assert "Washington" in place.note


@pytest.mark.parametrize(
    ("amount", "to", "result"),
    [
        ("5 miles", "km", "8.0467 kilometers"),
        ("350 F", "celsius", "176.67 °C"),
        ("-40 c", "fahrenheit", "-40 °F"),
        ("6 ft 2 in", "cm", "187.96 centimeters"),
        ("a cup", "ml", "236.59 milliliters"),
        ("1 tb", "gb", "1,000 gigabytes"),
        ("1 gib", "mib", "1,024 mebibytes"),
        ("two and a half kilos", "pounds", "5.5116 pounds"),
        ("a dozen", "eggs", None),
        ("5 people", "km", None),
        ("5 miles", "kilos", None),
    ],
)
async def test_units(amount: str, to: str, result: str | None) -> None:
    executed = await Workbench().session().call("units.convert", {"amount": amount, "to": to})
    if result is None:
        assert executed.status is ExecutionStatus.FAILED
    else:
        assert json.loads(executed.result)["data"]["to"] == result


def test_measures_need_a_unit() -> None:
    assert parse_measure("10 people") is None
    assert parse_measure("5") is None


@pytest.mark.parametrize(
    ("text", "dice"),
    [("2d6", "2d6"), ("a d20", "1d20"), ("two dice", "2d6"), ("3 eight-sided dice", "3d8"), ("4d6 plus 2", "4d6+2"),
     ("a pair of dice", "2d6"), ("d%", "1d100"), ("a d20 with a +5 bonus", "1d20+5")],
)  # fmt: skip
def test_dice_in_words(text: str, dice: str) -> None:
    assert str(parse_dice(text)) == dice


async def test_dice_stay_within_their_sides() -> None:
    data = json.loads((await Workbench().session().call("dice.roll", {"dice": "100d6-3"})).result)["data"]
    assert len(data["rolls"]) == 100
    assert set(data["rolls"]) <= set(range(1, 7))
    assert data["total"] == sum(data["rolls"]) - 3


@pytest.mark.parametrize(
    "secret",
    [
        "ant_abcdefgh12345678", "sk-proj-abcdefghijklmnopqrst", "Bearer abcdefghijklmnop1234", "AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\ncut off",
        "hunter2-hunter2",
    ],
)  # fmt: skip
def test_secrets_are_removed(secret: str) -> None:
    clean = Redactor(["hunter2-hunter2"]).text(f"before {secret} after")
    assert MARK in clean
    assert secret not in clean
    assert clean.startswith("before ")


def test_ordinary_words_are_left_alone() -> None:
    text = "The bearer of news asked about skating, an ant and a private key fob."
    assert Redactor(["", "a", "key"]).text(text) == text


async def test_a_person_may_keep_a_bounded_number_of_reminders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.tools.builtin.reminders.MOST_OPEN", 2)
    session = Workbench().session()
    statuses = [(await session.call("timers.create", {"duration": f"{n} minutes"})).status for n in (1, 2, 3)]
    assert statuses == [ExecutionStatus.OK, ExecutionStatus.OK, ExecutionStatus.FAILED]


async def test_a_replayed_reminder_is_stored_once() -> None:
    bench = Workbench()
    for _ in range(2):
        await bench.session().call("reminders.create", {"when": "in 5 minutes", "text": "tea"})
    assert len(bench.schedule.rows) == 1
