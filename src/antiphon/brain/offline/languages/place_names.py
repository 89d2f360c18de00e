"""Places as other languages call them: the tables of the tools first, then the names CLDR has, then a few cities more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from antiphon.tools.builtin.places import find_place, fold

_CITIES: Mapping[str, Mapping[str, str]] = {
    "de": {
        "nizza": "nice", "neapel": "naples", "venedig": "venice", "florenz": "florence", "genua": "genoa",
        "turin": "turin", "genf": "geneva", "basel": "basel", "luzern": "lucerne", "straßburg": "strasbourg",
        "brügge": "bruges", "lüttich": "liège", "den haag": "the hague", "krakau": "kraków", "danzig": "gdańsk",
        "breslau": "wrocław", "bozen": "bolzano", "triest": "trieste", "sevilla": "seville", "göteborg": "gothenburg",
        "kalifornien": "california", "englisch": "", "england": "england", "schottland": "scotland",
        "hawaii": "hawaii", "bali": "bali", "mallorca": "palma", "teneriffa": "tenerife", "texas": "texas",
        "kanarische inseln": "tenerife", "kanaren": "tenerife", "amerika": "usa", "die usa": "usa", "sankt petersburg":
        "saint petersburg", "washington": "washington dc", "neuseeland": "new zealand", "tschechien": "czechia",
    },
    "es": {
        "ginebra": "geneva", "niza": "nice", "nápoles": "naples", "venecia": "venice", "florencia": "florence",
        "turín": "turin", "milán": "milan", "colonia": "köln", "fráncfort": "frankfurt", "marsella": "marseille",
        "burdeos": "bordeaux", "lyon": "lyon", "oporto": "porto", "amberes": "antwerp", "la haya": "the hague",
        "edimburgo": "edinburgh", "cracovia": "kraków", "sídney": "sydney", "nueva orleans": "new orleans",
        "filadelfia": "philadelphia", "california": "california", "escocia": "scotland", "inglaterra": "england",
        "gales": "wales", "hawái": "hawaii", "tejas": "texas", "pekín": "beijing", "cantón": "guangzhou",
        "bombay": "mumbai", "ciudad de méxico": "mexico city", "cdmx": "mexico city", "mallorca": "palma",
        "nueva zelanda": "new zealand", "ee uu": "usa", "estados unidos": "usa", "eeuu": "usa", "holanda": "netherlands",
        "washington": "washington dc", "san petersburgo": "saint petersburg",
    },
}  # fmt: skip


def english_place(name: str, language: str) -> str | None:
    """What the tools know a place by, or None. The own names of a language win over another place called alike."""
    wanted = fold(name)
    if not wanted:
        return None
    own = _exonyms(language).get(wanted)
    if own is not None:
        return own or None
    return name if find_place(name) is not None else None


def own_name(label: str, zone: str, language: str) -> str:
    """What the language calls a place the tools named; the tools' own name when nothing better is known."""
    known = _labels(language)
    bare = fold(label)
    if bare == fold(_english_city(zone)) + " city":  # the tables say "New York City" where everybody says "New York"
        bare, label = fold(_english_city(zone)), _english_city(zone)
    return known.get((bare, zone)) or known.get((bare, ""), label)


def _territories(language: str) -> Mapping[str, str]:
    """Country code -> name."""
    from babel import Locale  # late: a tenth of a second, and English needs none of it

    names = cast("Mapping[str, str]", Locale(language).territories)
    return {code: name for code, name in names.items() if len(code) == 2 and code.isalpha()}


def _zone_cities(language: str) -> Mapping[str, str]:
    """Time zone -> the city it is named after."""
    from babel import Locale  # late, as above

    zones = cast("Mapping[str, Mapping[str, str]]", Locale(language).time_zones)
    return {zone: names["city"] for zone, names in zones.items() if "city" in names and "/" in zone}


def _english_city(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


@cache
def _exonyms(language: str) -> Mapping[str, str]:
    """Folded name -> what the tools know it by."""
    found: dict[str, str] = {}
    english = _territories("en")
    for code, name in _territories(language).items():
        if (known := english.get(code)) and find_place(known):
            found[fold(name)] = known
    for zone, city in _zone_cities(language).items():
        plain = _english_city(zone)
        if fold(city) != fold(plain) and find_place(zone) is not None:
            # The city where the tables have it (its label is nicer), its time zone where they do not.
            by_name = find_place(plain)
            found[fold(city)] = plain if by_name is not None and by_name.zone_name == zone else zone
    return found | {fold(name): known for name, known in _CITIES[language].items()}


@cache
def _labels(language: str) -> Mapping[tuple[str, str], str]:
    """(folded English label, zone or "") -> the name in the language."""
    found: dict[tuple[str, str], str] = {}
    own = _territories(language)
    for code, name in _territories("en").items():
        if code in own:
            found[(fold(name), "")] = own[code]
    for zone, city in _zone_cities(language).items():
        found[(fold(_english_city(zone)), zone)] = city
    for name, known in _CITIES[language].items():
        if known and (place := find_place(known)) is not None and len(name) > 3:
            found.setdefault((fold(place.label), place.zone_name), name.title())
    return found
