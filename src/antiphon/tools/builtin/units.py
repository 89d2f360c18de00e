"""Units of measure, kitchen and computer included. pint does the arithmetic; the names people use are listed here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.numbers import digits
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare

_NAMES: dict[str, str] = {
    "millimeter": "mm millimeter millimeters millimetre millimetres",
    "centimeter": "cm centimeter centimeters centimetre centimetres cms",
    "meter": "m meter meters metre metres",
    "kilometer": "km kilometer kilometers kilometre kilometres kms klicks",
    "inch": 'inch inches " in',
    "foot": "ft foot feet '",
    "yard": "yd yard yards yds",
    "mile": "mi mile miles",
    "nautical_mile": "nautical_mile nautical_miles nmi",
    "light_year": "light_year light_years lightyear lightyears",
    "milligram": "mg milligram milligrams",
    "gram": "g gram grams gramme grammes gr gms",
    "kilogram": "kg kilo kilos kilogram kilograms kgs kilogramme kilogrammes",
    "metric_ton": "t tonne tonnes metric_ton metric_tons",
    "ton": "ton tons short_ton short_tons",
    "ounce": "oz ounce ounces",
    "pound": "lb lbs pound pounds",
    "stone": "stone stones st",
    "milliliter": "ml milliliter milliliters millilitre millilitres",
    "centiliter": "cl centiliter centiliters centilitre centilitres",
    "deciliter": "dl deciliter deciliters decilitre decilitres",
    "liter": "l liter liters litre litres",
    "teaspoon": "tsp teaspoon teaspoons tsps",
    "tablespoon": "tbsp tablespoon tablespoons tbsps tbs",
    "cup": "cup cups",
    "fluid_ounce": "fl_oz floz fluid_ounce fluid_ounces",
    "pint": "pt pint pints",
    "quart": "qt quart quarts",
    "gallon": "gal gallon gallons",
    "degC": "c °c celsius degrees_celsius degree_celsius centigrade degrees_c deg_c degrees_centigrade",
    "degF": "f °f fahrenheit degrees_fahrenheit degree_fahrenheit degrees_f deg_f farenheit fahrenheits",
    "kelvin": "k kelvin kelvins",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "d day days",
    "week": "wk week weeks",
    "month": "month months",
    "year": "yr year years",
    "bit": "bit bits",
    "byte": "byte bytes",
    "kilobyte": "kb kilobyte kilobytes",
    "megabyte": "mb megabyte megabytes meg megs",
    "gigabyte": "gb gigabyte gigabytes gig gigs",
    "terabyte": "tb terabyte terabytes",
    "petabyte": "pb petabyte petabytes",
    "kibibyte": "kib kibibyte kibibytes",
    "mebibyte": "mib mebibyte mebibytes",
    "gibibyte": "gib gibibyte gibibytes",
    "tebibyte": "tib tebibyte tebibytes",
    "megabit": "mbit megabit megabits",
    "gigabit": "gbit gigabit gigabits",
    "kilometer / hour": "km/h kmh kph kilometers_per_hour kilometres_per_hour",
    "mile / hour": "mph miles_per_hour",
    "meter / second": "m/s meters_per_second metres_per_second",
    "knot": "knot knots kn",
    "acre": "acre acres",
    "hectare": "ha hectare hectares",
    "meter ** 2": "m2 m² sqm square_meter square_meters square_metre square_metres",
    "foot ** 2": "ft2 ft² sqft sq_ft square_foot square_feet",
    "kilometer ** 2": "km2 km² square_kilometer square_kilometers square_kilometre square_kilometres",
    "mile ** 2": "square_mile square_miles",
    "meter ** 3": "m3 m³ cubic_meter cubic_meters cubic_metre cubic_metres",
    "joule": "j joule joules",
    "kilojoule": "kj kilojoule kilojoules",
    "calorie": "cal calorie calories",
    "kilocalorie": "kcal kilocalorie kilocalories",
    "kilowatt_hour": "kwh kilowatt_hour kilowatt_hours",
    "watt": "w watt watts",
    "kilowatt": "kw kilowatt kilowatts",
    "horsepower": "hp horsepower",
    "pascal": "pa pascal pascals",
    "bar": "bar bars",
    "psi": "psi",
    "atmosphere": "atm atmosphere atmospheres",
    "degree": "deg degree degrees",
    "radian": "rad radian radians",
}
_BY_NAME = {name.replace("_", " "): unit for unit, names in _NAMES.items() for name in names.split()}
_SYMBOL = {
    "degC": "°C", "degF": "°F", "kelvin": "K", "kilometer / hour": "km/h", "mile / hour": "mph",
    "meter / second": "m/s", "meter ** 2": "m²", "foot ** 2": "ft²", "kilometer ** 2": "km²",
    "mile ** 2": "square miles", "meter ** 3": "m³", "psi": "psi", "horsepower": "hp",
    "foot": "feet", "inch": "inches", "metric_ton": "tonnes", "stone": "stone", "hectare": "hectares",
}  # fmt: skip
_AMOUNT = re.compile(
    r"(\d+ and a half|\d+ 1/2|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|-?\d+/\d+|half an?|half|a quarter|an?)?\s*(.+)"
)


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount in one unit, or in two that belong together (5 feet 11 inches)."""

    parts: tuple[tuple[float, str], ...]


def parse_unit(name: str) -> str | None:
    """The unit people mean, as pint calls it, or None."""
    wanted = re.sub(r"\s+", " ", name.casefold().strip(" .?!,")).replace("-", " ")
    wanted = re.sub(r"^(us|american|imperial|the|degrees?(?= (c|f|celsius|fahrenheit|kelvin)\b)) ", "", wanted)
    return _BY_NAME.get(wanted) or (_BY_NAME.get(f"degrees {wanted}"))


def parse_measure(text: str) -> Measure | None:
    """ "5 miles", "a cup", "6 ft 2", "100f", "two and a half kilos": an amount with its unit, or None."""
    wanted = digits(text.casefold().strip(" .?!,")).replace("\u2019", "'")
    wanted = re.sub(r"(?<=\d),(?=\d{3}\b)", "", wanted)
    wanted = re.sub(r"^(minus|negative) (?=\d)", "-", wanted)
    if match := re.fullmatch(
        r"(\d+)\s?(?:ft|feet|foot|')\s?(?:and )?(\d+(?:\.\d+)?)\s?(?:in|inch|inches|\"|'')?", wanted
    ):
        return Measure(((float(match[1]), "foot"), (float(match[2]), "inch")))
    if match := re.fullmatch(r"(\d+)\s?(?:lbs?|pounds?)\s?(?:and )?(\d+(?:\.\d+)?)\s?(?:oz|ounces?)", wanted):
        return Measure(((float(match[1]), "pound"), (float(match[2]), "ounce")))
    match = _AMOUNT.fullmatch(wanted)
    if match is None or (unit := parse_unit(re.sub(r"^of an? ", "", match[2]))) is None:
        return None
    return Measure(((_amount(match[1]), unit),))


def _amount(words: str | None) -> float:
    if words is None or words in ("a", "an"):
        return 1.0
    if words.startswith("half"):
        return 0.5
    if words == "a quarter":
        return 0.25
    if words.endswith((" and a half", " 1/2")):
        return float(words.split()[0]) + 0.5
    if "/" in words:
        above, below = words.split("/")
        return float(above) / float(below) if float(below) else 0.0
    return float(words)


@cache
def _registry() -> Any:
    import pint  # late: a sixth of a second, and the registry half a one

    make: Any = pint.UnitRegistry
    return make(autoconvert_offset_to_baseunit=True)


def warm_up() -> None:
    """Build the registry now."""
    _registry().Quantity(1, "mile").to("kilometer")


class UnitsArguments(Arguments):
    """What to convert into what."""

    amount: str = Field(
        min_length=1, max_length=60, description='With its unit, such as "5 miles", "350 F", "6 ft 2 in".'
    )
    to: str = Field(min_length=1, max_length=40, description='The wanted unit, such as "km", "celsius", "cups".')


class UnitsConvert(Tool[UnitsArguments]):
    """`units.convert`."""

    spec = declare(
        "units.convert",
        "Convert lengths, weights, volumes (kitchen too), temperatures, speeds, areas, times, data sizes and energy.",
        UnitsArguments,
        Risk.READ,
    )
    arguments = UnitsArguments

    async def run(self, call: ToolCall[UnitsArguments]) -> ToolResult:
        """The converted amount."""
        asked, wanted = call.arguments.amount, call.arguments.to
        measure, unit = parse_measure(asked), parse_unit(wanted)
        if measure is None or unit is None:
            unknown = asked if measure is None else wanted
            raise ToolError(f"I do not know the unit in “{unknown}”.")
        import pint  # late, see `_registry`

        registry = _registry()
        try:
            value = sum(float(registry.Quantity(amount, name).to(unit).magnitude) for amount, name in measure.parts)
        except pint.DimensionalityError:
            raise ToolError(f"“{asked}” cannot be expressed in {wanted}: these measure different things.") from None
        except (pint.PintError, OverflowError, ValueError):
            raise ToolError(f"I cannot convert “{asked}” to {wanted}.") from None
        source = " ".join(f"{_number(amount)} {symbol(name, amount)}" for amount, name in measure.parts)
        result = f"{_number(value)} {symbol(unit, value)}"
        exact = float(_number(value).replace(",", "")) == value
        data: dict[str, object] = {
            "from": source,
            "to": result,
            "value": value,
            "unit": unit,
            "exact": exact,
            "parts": [[amount, name] for amount, name in measure.parts],
        }
        return ToolResult(f"{source} {'=' if exact else '≈'} {result}", data)


def symbol(unit: str, amount: float) -> str:
    """How a unit is written after an amount."""
    if unit in _SYMBOL and not (amount == 1 and unit in ("foot", "inch", "metric_ton", "hectare")):
        return _SYMBOL[unit]
    name = {"metric_ton": "tonne"}.get(unit, unit).replace("_", " ")
    return name if amount == 1 else f"{name}s"


def _number(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 1e15:
        places = 2 if abs(value) >= 100 else 4 if abs(value) >= 0.01 else 6
        text = f"{round(value, places):,.{places}f}"
        return text.rstrip("0").rstrip(".")
    return f"{value:.6g}"
