"""Spanish: numbers, times, sums and measures. Loaded with the first Spanish message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from antiphon.brain.offline.languages.language import Language, pieces

_ONES = {
    "cero": 0, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10,
    "once": 11, "doce": 12, "trece": 13, "catorce": 14, "quince": 15, "dieciseis": 16, "dieciséis": 16,
    "diecisiete": 17, "dieciocho": 18, "diecinueve": 19, "veinte": 20, "veintiuno": 21, "veintiún": 21,
    "veintiun": 21, "veintiuna": 21, "veintidos": 22, "veintidós": 22, "veintitres": 23, "veintitrés": 23,
    "veinticuatro": 24, "veinticinco": 25, "veintiseis": 26, "veintiséis": 26, "veintisiete": 27, "veintiocho": 28,
    "veintinueve": 29,
}  # fmt: skip
_TENS = {"treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60, "setenta": 70, "ochenta": 80, "noventa": 90}
_HUNDREDS = {
    "cien": 100, "ciento": 100, "doscientos": 200, "doscientas": 200, "trescientos": 300, "trescientas": 300,
    "cuatrocientos": 400, "cuatrocientas": 400, "quinientos": 500, "quinientas": 500, "seiscientos": 600,
    "seiscientas": 600, "setecientos": 700, "ochocientos": 800, "novecientos": 900, "novecientas": 900,
}  # fmt: skip
_WORDS = {**_ONES, **_TENS, **_HUNDREDS, "mil": 1000}
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_RUN = re.compile(rf"\b(?:\d+ (?=mil\b))?(?:{_WORD})\b(?: (?:y )?(?:{_WORD}|un[oa]?)\b)*")
_MONTHS = {
    "enero": "january", "febrero": "february", "marzo": "march", "abril": "april", "mayo": "may", "junio": "june",
    "julio": "july", "agosto": "august", "septiembre": "september", "setiembre": "september", "octubre": "october",
    "noviembre": "november", "diciembre": "december",
}  # fmt: skip
_MONTH_NAMES = tuple(dict.fromkeys(_MONTHS.values()))
_WEEKDAYS = {
    "lunes": "monday", "martes": "tuesday", "miércoles": "wednesday", "miercoles": "wednesday", "jueves": "thursday",
    "viernes": "friday", "sábado": "saturday", "sabado": "saturday", "domingo": "sunday",
}  # fmt: skip
_HOLIDAYS = {
    "nochebuena": "christmas eve", "navidad": "christmas", "nochevieja": "new year's eve", "año nuevo": "new year's day",
    "fin de año": "new year's eve", "reyes": "6 january", "halloween": "halloween", "san valentín": "valentine's day",
    "san valentin": "valentine's day", "el día de reyes": "6 january", "la navidad": "christmas",
}  # fmt: skip
_UNITS = {
    "seg": "seconds", "min": "minutes", "hor": "hours", "h": "hours", "día": "days", "dia": "days", "sem": "weeks",
    "mes": "months", "año": "years", "ano": "years", "s": "seconds", "m": "minutes",
}  # fmt: skip
_UNIT = r"(?P<unit>segundos?|segs?|minutos?|mins?|horas?|hs|h|s|d[ií]as?|semanas?|meses|mes|años?)\b\.?"
_COUNT = r"(?P<count>\d+(?:\.\d+)?|un[oa]?|unos cuantos|unas cuantas|unos|unas|un par de)"
_LEAD = r"(?:para )?(?P<lead>en |dentro de |pasad[oa]s? |al cabo de )?(?:(?:unos|unas|como|aproximadamente|exactamente) (?=\d))?"
_AT = r"(?:(?:a|para|sobre|hacia|desde|tipo|antes de) )?(?:eso de )?(?:las?|los) "
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})\b"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"
_OF_DAY = r"(?: (?:de|por|en) (?P<part>la mañana|la tarde|la noche|la madrugada))?(?: (?P<meridiem>am|pm|a\. ?m\.?|p\. ?m\.?))?"
_PARTS = {
    "la mañana": "in the morning",
    "la tarde": "in the afternoon",
    "la noche": "in the evening",
    "la madrugada": "am",
}


def _length(match: re.Match[str]) -> str:
    count = match["count"]
    if count in ("un", "una", "uno"):
        count = "1"
    elif count == "un par de":
        count = "2"
    elif not count[0].isdigit():
        count = "a few"
    unit = _UNITS.get(match["unit"][:3]) or _UNITS[match["unit"][0]]
    groups = match.groupdict()
    return f"{'in ' if groups.get('lead') else ''}{count} {unit}{' 30 minutes' if groups.get('half') else ''}"


def _fixed(english: str) -> Callable[[re.Match[str]], str]:
    def say(match: re.Match[str]) -> str:
        return ("in " if match.groupdict().get("lead") else "") + english

    return say


def _of_day(match: re.Match[str], hour: int, minute: int) -> str | None:
    if hour > 24 or minute > 59:
        return None
    part, meridiem = match["part"], (match["meridiem"] or "").replace(".", "").replace(" ", "")
    if part == "la madrugada" and hour <= 12:
        return f"at {hour}:{minute:02} am" if hour else f"at 0:{minute:02}"
    if part == "la noche" and hour == 12:
        return "at midnight"
    tail = meridiem or (_PARTS[part] if part and hour <= 12 else "")
    if part == "la tarde" and hour <= 12:
        tail = "pm"
    if part == "la noche" and 5 <= hour < 12:
        tail = "pm"
    return f"at {hour}:{minute:02} {tail}".strip()


def _clock(match: re.Match[str]) -> str | None:
    hour = 1 if match["hour"] in ("una", "1") else int(match["hour"])
    side = (match.groupdict().get("side") or "").strip()
    extra = match.groupdict().get("extra") or ""
    minutes = {"": 0, "media": 30, "cuarto": 15}.get(extra)
    minutes = int(extra) if minutes is None else minutes
    if side == "menos":
        total = hour * 60 - minutes
        if total < 60 and hour <= 12:
            total += 12 * 60
        return _of_day(match, total // 60, total % 60)
    return _of_day(match, hour, minutes)


def _written(match: re.Match[str]) -> str | None:
    if match["hour"].startswith("0") and not match["part"] and not match["meridiem"]:
        return f"at {match['hour']}:{match['minute']}"
    return _of_day(match, int(match["hour"]), int(match["minute"]))


def _weekday(match: re.Match[str]) -> str:
    lead = "next " if match["next"] or match["after"] else "on "
    return f"{lead}{_WEEKDAYS[match['weekday']]}"


def _date(match: re.Match[str]) -> str:
    day = "1" if match["day"] == "primero" else str(int(match["day"]))
    return f"{day} {_MONTHS[match['month']]} {match['year'] or ''}".strip()


def _numbers(match: re.Match[str]) -> str | None:
    month = int(match["month"])
    if not 1 <= month <= 12 or not 1 <= int(match["day"]) <= 31:
        return None
    year = match["year"] or ""
    return f"{int(match['day'])} {_MONTH_NAMES[month - 1]} {'20' + year if len(year) == 2 else year}".strip()


class Spanish(Language):
    """See `Language`."""

    code = "es"
    lengths = pieces(
        (r"(?:un )?tres cuartos de hora|3 cuartos de hora", "45 minutes"),
        (r"(?:un )?cuarto de hora", "15 minutes"),
        (r"(?:una )?media hora", "30 minutes"),
        (r"(?:un )?medio minuto", "30 seconds"),
        (r"(?:una )?hora y media", "1.5 hours"),
        (r"(?:una )?hora y cuarto", "75 minutes"),
        (r"(?P<count>\d+) (?P<unit>horas) y (?P<half>media)", _length),
        (rf"{_COUNT} ?{_UNIT}", _length),
        (r"(?:y|con|de)\b", ""),
    )
    past = pieces(
        (r"ayer$", "yesterday"),
        (r"(?:antes de ayer|anteayer)$", "the day before yesterday"),
        (rf"hace {_COUNT} {_UNIT}$", lambda m: _length(m) + " ago" if m["unit"][:2] in ("dí", "di", "se") else None),
    )
    times = pieces(
        (r"(?:todos los d[ií]as|cada d[ií]a|a diario|diariamente)\b", "every day"),
        (
            r"(?:entre semana|de lunes a viernes|los d[ií]as (?:laborables|hábiles)|cada d[ií]a laborable)\b",
            "every weekday",
        ),
        (r"(?:cada dos d[ií]as|cada 2 d[ií]as|un d[ií]a sí y otro no)\b", "every other day"),
        (r"(?:todas las mañanas|cada mañana)\b", "every day in the morning"),
        (r"(?:todas las noches|cada noche)\b", "every day in the evening"),
        (r"(?:todas las semanas|cada semana|semanalmente)\b", "every week"),
        (r"(?:todos los meses|cada mes|mensualmente)\b", "every month"),
        (r"(?:todos los años|cada año|anualmente)\b", "every year"),
        (r"(?:cada hora)\b", "every hour"),
        (
            rf"cada (?P<count>\d+) {_UNIT}",
            lambda m: f"every {m['count']} {_UNITS.get(m['unit'][:3]) or _UNITS[m['unit'][0]]}",
        ),
        (rf"(?:cada|todos los|los) {_WEEKDAY}s?\b", lambda m: f"every {_WEEKDAYS[m['weekday']]}"),
        (rf"{_LEAD}(?:un )?(?:tres|3) cuartos de hora\b", _fixed("45 minutes")),
        (rf"{_LEAD}(?:un )?cuarto de hora\b", _fixed("15 minutes")),
        (rf"{_LEAD}(?:una )?media hora\b", _fixed("30 minutes")),
        (rf"{_LEAD}(?:un )?medio minuto\b", _fixed("30 seconds")),
        (rf"{_LEAD}(?:una )?hora y media\b", _fixed("1.5 hours")),
        (rf"{_LEAD}(?:una )?hora y cuarto\b", _fixed("75 minutes")),
        (rf"{_LEAD}(?P<count>\d+) (?P<unit>horas) y (?P<half>media)\b", _length),
        (
            rf"{_LEAD}{_COUNT} ?{_UNIT}(?P<tail> después| más tarde| a partir de ahora)?",
            lambda m: _length(m) + (" later" if m["tail"] else ""),
        ),
        (r"(?:el )?(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b", r"\g<year>-\g<month>-\g<day>"),
        (
            rf"(?:(?:el|del|para el|hasta el|al) )?(?:d[ií]a )?(?:{_WEEKDAY} )?(?P<day>\d{{1,2}}|primero) de {_MONTH}(?: (?:de|del) (?P<year>\d{{4}}))?",
            _date,
        ),
        (
            r"(?:(?:el|del|para el|hasta el|al) )?(?:d[ií]a )?(?P<day>\d{1,2})[/.](?P<month>\d{1,2})(?:[/.](?P<year>\d{4}|\d{2}))?(?![\d:])",
            _numbers,
        ),
        (r"(?:el|para el) d[ií]a (?P<day>\d{1,2})(?![\d:])", lambda m: f"the {int(m['day'])}th"),
        (
            rf"(?:(?:en|para|por|el d[ií]a de|el|la|a) )?(?P<name>{'|'.join(sorted(_HOLIDAYS, key=len, reverse=True))})\b",
            lambda m: _HOLIDAYS[m["name"]],
        ),
        (r"(?:a la |a |de |para la )?media ?noche\b", "at midnight"),
        (r"(?:al |a |de |para el )?medio ?d[ií]a\b", "at noon"),
        (rf"{_AT}12 del? (?:mediod[ií]a|medio d[ií]a)\b", "at noon"),
        (rf"(?:{_AT}|a )(?P<hour>\d{{1,2}})[:.h](?P<minute>[0-5]\d)(?: ?h(?:oras|s)?\b)?{_OF_DAY}(?![\d:])", _written),
        (rf"(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?: ?h(?:oras|s)?\b)?{_OF_DAY}(?![\d:])", _written),
        (
            rf"{_AT}(?P<hour>\d{{1,2}}|una)(?P<side> y | menos | con )(?P<extra>media|cuarto|\d{{1,2}})\b{_OF_DAY}",
            _clock,
        ),
        (rf"{_AT}(?P<hour>\d{{1,2}}|una)\b(?: en punto| horas)?{_OF_DAY}(?![:.,]\d)", _clock),
        (r"(?:hoy por la mañana|esta mañana)\b", "this morning"),
        (r"(?:hoy por la tarde|esta tarde|hoy en la tarde)\b", "this afternoon"),
        (r"(?:hoy por la noche|esta noche|hoy en la noche)\b", "tonight"),
        (r"hoy\b", "today"),
        (r"pasado mañana\b", "the day after tomorrow"),
        (r"(?:para )?mañana (?:temprano|por la mañana|en la mañana)\b", "tomorrow in the morning"),
        (r"(?:para )?mañana (?:por|en) la tarde\b", "tomorrow in the afternoon"),
        (r"(?:para )?mañana (?:por|en) la noche\b", "tomorrow in the evening"),
        (r"(?:para )?mañana\b", "tomorrow"),
        (
            rf"(?:(?:el|este|para el|al) )?(?P<next>próximo |proximo )?{_WEEKDAY}\b(?P<after> que viene| próximo| proximo| de la semana que viene)?",
            _weekday,
        ),
        (r"(?:la )?(?:próxima semana|proxima semana|semana que viene|semana próxima)\b", "next week"),
        (r"(?:el )?(?:próximo mes|proximo mes|mes que viene)\b", "next month"),
        (r"(?:el )?(?:próximo año|año que viene)\b", "next year"),
        (r"(?:el |este )fin de semana\b", "this weekend"),
        (r"(?:el )?próximo fin de semana\b", "next weekend"),
        (r"(?:por|en|de) la mañana\b", "in the morning"),
        (r"(?:por|en|de) la tarde\b", "in the afternoon"),
        (r"(?:por|en|de) la noche\b", "in the evening"),
        (r"(?:y|a|de|para|el|en punto|exactamente|justo|por favor)\b", ""),
    )
    sums = pieces(
        (r"(?<=[\d)]) ?(?:×|x|por|multiplicado por|veces) ?(?=[\d(-]|la raíz|raíz|raiz)", " * "),
        (r"(?<=[\d)]) ?(?:dividido (?:entre|por)|dividido|entre|÷|:) ?(?=[\d(])", " / "),
        (r"(?<=[\d)%!]) (?:más|mas|y|sumado a) (?=[\d(]|raíz|la raíz)", " + "),
        (r"(?<=[\d)%!]) (?:menos) (?=[\d(]|raíz|la raíz)", " - "),
        (r"\bmenos (?=\d)", "-"),
        (r"(?<=[\d)]) (?:al cuadrado|elevado al cuadrado)\b", " ^ 2"),
        (r"(?<=[\d)]) (?:al cubo|elevado al cubo)\b", " ^ 3"),
        (r"(?<=[\d)]) (?:elevado a(?: la)?|a la) (?=[\d(-])", " ^ "),
        (r"\b(?:el )?(\d+(?:\.\d+)?) ?% de ", r"\1% of "),
        (r"\b(?:la )?ra[ií]z (?:cuadrada )?de (\d+(?:\.\d+)?)", r"sqrt(\1)"),
        (r"(?<=\d) factorial\b", "!"),
        (r"\b(?:el )?factorial de (\d+)", r"\1!"),
        (r"\b(?:la )?mitad de ", "0.5 * "),
        (r"\b(?:el |un )?doble de ", "2 * "),
        (r"\b(?:el |un )?triple de ", "3 * "),
        (r"\b(?:un |el )?tercio de ", "1/3 * "),
        (r"\b(?:un |la )?cuarta parte de |\bun cuarto de (?=\d)", "0.25 * "),
        (r"[€$]|\b(?:euros?|dólares|dolares|pesos)\b", ""),
    )
    dice_words = pieces(
        (r"\b(?:un|una|el|mi)\b", "1"),
        (r"\b(?:los dados|unos dados)\b|^dados$", "2 dice"),
        (r"\b(\d+)? ?dados? de (\d+)(?: caras| lados)?\b", r"\1 \2 sided dice"),
        (r"\bdados?\b", "dice"),
        (r"\bmás\b", "+"),
        (r"\b(\d+) veces\b", r"\1 times"),
        (r"^1 (?=\d*d\d)", ""),
        (r"\bvez\b", ""),
    )
    lengths_in_measures = pieces(
        (r"^(\d+) (\w+) y medi[oa]$", r"\1.5 \2"),
        (r"^(?:un |una )?(?:medi[oa])\b", "0.5"),
        (r"^(?:una? )?(\w+) y medi[oa]$", r"1.5 \1"),
        (r"^(?:un|una)\b", "1"),
        (r"^menos (?=\d)", "-"),
        (r"^(?:el|la) ", "1 "),
    )
    units: ClassVar[Mapping[str, str]] = {
        name: english
        for english, names in {
            "millimeter": "milímetro milímetros milimetros", "centimeter": "centímetro centímetros centimetros",
            "meter": "metro metros", "kilometer": "kilómetro kilómetros kilometro kilometros",
            "inch": "pulgada pulgadas", "foot": "pie pies", "yard": "yarda yardas", "mile": "milla millas",
            "nautical mile": "milla_náutica millas_náuticas", "light year": "año_luz años_luz",
            "milligram": "miligramo miligramos", "gram": "gramo gramos", "kilogram": "kilo kilos kilogramo kilogramos",
            "metric ton": "tonelada toneladas", "ounce": "onza onzas", "pound": "libra libras",
            "milliliter": "mililitro mililitros", "centiliter": "centilitro centilitros",
            "deciliter": "decilitro decilitros", "liter": "litro litros", "teaspoon": "cucharadita cucharaditas",
            "tablespoon": "cucharada cucharadas", "cup": "taza tazas", "pint": "pinta pintas",
            "gallon": "galón galones galon", "celsius": "celsius grados_celsius centígrados grados_centígrados °c c",
            "fahrenheit": "fahrenheit grados_fahrenheit °f f", "kelvin": "kelvin", "second": "segundo segundos",
            "minute": "minuto minutos", "hour": "hora horas", "day": "día días dia dias", "week": "semana semanas",
            "month": "mes meses", "year": "año años", "bit": "bit bits", "byte": "byte bytes",
            "kilobyte": "kilobyte kilobytes", "megabyte": "megabyte megabytes megas",
            "gigabyte": "gigabyte gigabytes gigas", "terabyte": "terabyte terabytes teras",
            "kilometers per hour": "kilómetros_por_hora km/h kmh", "miles per hour": "millas_por_hora mph",
            "meters per second": "metros_por_segundo m/s", "knot": "nudo nudos", "hectare": "hectárea hectáreas hectarea",
            "square meter": "metro_cuadrado metros_cuadrados", "square kilometer": "kilómetros_cuadrados",
            "square foot": "pies_cuadrados", "cubic meter": "metro_cúbico metros_cúbicos", "acre": "acre acres",
            "calorie": "caloría calorías", "kilocalorie": "kilocaloría kilocalorías", "joule": "julio julios",
            "kilojoule": "kilojulio kilojulios", "kilowatt hour": "kilovatio_hora kilovatios_hora",
            "horsepower": "caballos caballos_de_vapor cv", "kilowatt": "kilovatio kilovatios", "watt": "vatio vatios",
            "bar": "bar bares",
        }.items()
        for name in (word.replace("_", " ") for word in names.split())
    }  # fmt: skip
    no_start = re.compile(r"(?:y|o|de|a|para|el|por favor|exactamente|justo|en punto)$|(?:y|o|de(?! lunes))\b(?! la)")
    place_words = re.compile(
        r"^(?:la ciudad de |el estado de |en (?=\w))|(?:\s*\b(?:ahora mismo|ahora|en este momento|actualmente|por favor|hoy))+$",
        re.IGNORECASE,
    )
    connectors = re.compile(
        r"^(?:que tengo que|que hay que|que debo|de que|que|de|del|a|al|lo de|lo del|acerca de|sobre|para|por favor|por|"
        r"tengo que|debo|algo|la|el|los|las|y|mi|con|,|:|-)(?:[ :,]+|$)",
        re.IGNORECASE,
    )
    connectors_after = re.compile(r"[ ,]+(?:por favor|que|de|y|a|tengo que|para|lo de)$", re.IGNORECASE)
    questions = re.compile(
        r"(?:qué|que es|dónde|donde|quién|quien|cuál|cual|cómo|como|por qué|por que|cuándo|cuando|cuánt[oa]s?|cuant[oa]s?)\b",
        re.IGNORECASE,
    )
    pronouns = re.compile(
        r"(?:lo|la|eso|esto|me|mí|ti|te|él|ella|todo|todo esto|todo eso|ahora|bien|nada|nos|algo|todo sobre mí)",
        re.IGNORECASE,
    )
    mine = re.compile(r"\b(?:yo|mi|mis|mí|me|nuestr[oa]s?|nos|nosotros|tengo|soy|estoy)\b", re.IGNORECASE)
    not_own = re.compile(
        r"\b(?:recordatorios?|temporizador(?:es)?|alarmas?|zona horaria|citas?|hora|problema|derechos?)\b",
        re.IGNORECASE,
    )

    def digits(self, text: str) -> str:
        """The text with number words as digits and with a decimal point. "un" and "una" stay: they are articles."""
        low = _RUN.sub(_run, re.sub(r"\bpor ?ciento\b", "%", text))
        low = re.sub(r"\b(\d+) (?:coma|punto) (\d+)\b", r"\1.\2", low)
        low = re.sub(r"\b(\d+|un) mill(?:ón|on|ones)\b", lambda m: ("1" if m[1] == "un" else m[1]) + "000000", low)
        low = re.sub(r"(?<![\d.])([1-9]\d{0,2}(?:\.\d{3})+)(?![\d.])", lambda m: m[1].replace(".", ""), low)
        return re.sub(r"(?<=\d),(?=\d)", ".", low)


def _run(match: re.Match[str]) -> str:
    """ "treinta y cinco" is one number, "seis y diez" are two."""
    groups: list[str] = []
    total, current, last, joined = 0, 0, -1, False
    for word in match[0].split():
        if word == "y":
            joined = True
            continue
        value = 1 if word in ("un", "uno", "una") else int(word) if word.isdigit() else _WORDS[word]
        if value == 1000 and (last > 0 or last == -1):
            total, current = total + max(current, 1) * 1000, 0
        elif (
            last == -1
            or last == 1000
            or (last >= 100 and value < 100 and not joined)
            or (30 <= last < 100 and last % 10 == 0 and 0 < value < 10 and joined)
        ):
            current += value
        else:
            groups.append(str(total + current))
            if joined:
                groups.append("y")
            total, current = 0, value
        last, joined = value, False
    groups.append(str(total + current))
    return " ".join(groups)
