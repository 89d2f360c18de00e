"""German: numbers, times, sums and measures. Loaded with the first German message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from antiphon.brain.offline.languages.language import Language, pieces

_ONES = {
    "null": 0, "ein": 1, "eins": 1, "eine": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "fünf": 5, "fuenf": 5,
    "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "elf": 11, "zwölf": 12, "zwoelf": 12, "dreizehn": 13,
    "vierzehn": 14, "fünfzehn": 15, "fuenfzehn": 15, "sechzehn": 16, "siebzehn": 17, "achtzehn": 18, "neunzehn": 19,
}  # fmt: skip
_TENS = {
    "zwanzig": 20, "dreißig": 30, "dreissig": 30, "vierzig": 40, "fünfzig": 50, "fuenfzig": 50, "sechzig": 60,
    "siebzig": 70, "achtzig": 80, "neunzig": 90,
}  # fmt: skip
_ONE = "|".join(sorted(_ONES, key=len, reverse=True))
_TEN = "|".join(_TENS)
_BELOW_HUNDRED = rf"(?:(?:(?:{_ONE})und)?(?:{_TEN})|{_ONE})"
_BELOW_THOUSAND = rf"(?:(?:(?:{_ONE})?hundert(?:und)?)(?:{_BELOW_HUNDRED})?|{_BELOW_HUNDRED})"
_NUMBER = re.compile(
    rf"\b(?!(?:ein|eine)\b)((?:{_BELOW_THOUSAND})?tausend(?:und)?(?:{_BELOW_THOUSAND})?|{_BELOW_THOUSAND})\b"
)
_HALVES = re.compile(rf"\b({_ONE})einhalb\b")
_ORDINALS = {
    "ersten": 1, "zweiten": 2, "dritten": 3, "vierten": 4, "fünften": 5, "sechsten": 6, "siebten": 7, "siebenten": 7,
    "achten": 8, "neunten": 9, "zehnten": 10, "elften": 11, "zwölften": 12, "dreizehnten": 13, "vierzehnten": 14,
    "fünfzehnten": 15, "sechzehnten": 16, "siebzehnten": 17, "achtzehnten": 18, "neunzehnten": 19, "zwanzigsten": 20,
    "einundzwanzigsten": 21, "zweiundzwanzigsten": 22, "dreiundzwanzigsten": 23, "vierundzwanzigsten": 24,
    "fünfundzwanzigsten": 25, "sechsundzwanzigsten": 26, "siebenundzwanzigsten": 27, "achtundzwanzigsten": 28,
    "neunundzwanzigsten": 29, "dreißigsten": 30, "einunddreißigsten": 31,
}  # fmt: skip
_ORDINAL = re.compile(rf"\b(am|den|vom|zum|der|dem) ({'|'.join(sorted(_ORDINALS, key=len, reverse=True))})\b")
_MONTHS = {
    "januar": "january", "jänner": "january", "februar": "february", "märz": "march", "maerz": "march",
    "april": "april", "mai": "may", "juni": "june", "juli": "july", "august": "august", "september": "september",
    "oktober": "october", "november": "november", "dezember": "december", "jan": "january", "feb": "february",
    "apr": "april", "aug": "august", "sep": "september", "okt": "october", "nov": "november", "dez": "december",
}  # fmt: skip
_MONTH_NAMES = (
    "", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WEEKDAYS = {
    "montag": "monday", "dienstag": "tuesday", "mittwoch": "wednesday", "donnerstag": "thursday", "freitag": "friday",
    "samstag": "saturday", "sonnabend": "saturday", "sonntag": "sunday",
}  # fmt: skip
_HOLIDAYS = {
    "heiligabend": "christmas eve", "heiliger abend": "christmas eve", "weihnachten": "christmas",
    "erster weihnachtstag": "christmas day", "ersten weihnachtstag": "christmas day",
    "zweiter weihnachtstag": "26 december", "zweiten weihnachtstag": "26 december", "silvester": "new year's eve",
    "sylvester": "new year's eve", "neujahr": "new year's day", "nikolaus": "6 december", "halloween": "halloween",
    "valentinstag": "valentine's day", "tag der deutschen einheit": "3 october", "tag der arbeit": "1 may",
    "dreikönig": "6 january",
}  # fmt: skip
_PARTS = {
    "früh": "in the morning", "frueh": "in the morning", "morgen": "in the morning", "vormittag": "in the morning",
    "mittag": "at noon", "nachmittag": "in the afternoon", "abend": "in the evening", "nacht": "at night",
}  # fmt: skip
_PART = r"(?P<part>früh|frueh|morgen|vormittag|mittag|nachmittag|abend|nacht)"
_UNITS = {
    "sek": "seconds", "min": "minutes", "stu": "hours", "std": "hours", "tag": "days", "woc": "weeks",
    "mon": "months", "jah": "years", "h": "hours", "s": "seconds", "m": "minutes",
}  # fmt: skip
_UNIT = r"(?P<unit>sekunden?|sek|minuten?|min|stunden?|stdn?|std|h|s|tage?n?|wochen?|monate?n?|jahre?n?)\b\.?"
_COUNT = r"(?P<count>\d+(?:\.\d+)?|eine[rmns]?|ein|ein paar|einigen?|paar)"
_LEAD = r"(?:für |fuer )?(?P<lead>in |nach |binnen |innerhalb von )?(?:(?:etwa|ungefähr|circa|ca|genau|noch|rund|spätestens) )?"
_AT = r"(?:(?:um|gegen|bis|ab|auf|so um|für) )?"
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"


def _length(match: re.Match[str]) -> str:
    count = match["count"]
    if count.startswith("ein") and "paar" not in count and "einig" not in count:
        count = "1"
    elif not count[0].isdigit():
        count = "a few"
    unit = _UNITS.get(match["unit"][:3]) or _UNITS[match["unit"][0]]
    lead = "in " if match.groupdict().get("lead") else ""
    return f"{lead}{count} {unit}"


def _fixed(english: str) -> Callable[[re.Match[str]], str]:
    def say(match: re.Match[str]) -> str:
        return ("in " if match.groupdict().get("lead") else "") + english

    return say


def _at(hour: int, minute: int) -> str | None:
    return f"at {hour}:{minute:02}" if hour <= 24 and minute < 60 else None


def _clock(match: re.Match[str]) -> str | None:
    return _at(int(match["hour"]), int(match["minute"] or 0))


def _padded(match: re.Match[str]) -> str | None:
    """09:05 stays as it is written: the zero says that the morning is meant."""
    return f"at {match['hour']}:{match['minute']}" if int(match["hour"]) <= 24 else None


def _half(match: re.Match[str]) -> str | None:
    return _before(match, -30)


def _quarters(match: re.Match[str]) -> str | None:
    return _before(match, {"viertel nach": 15, "viertel vor": -15, "dreiviertel": -15, "viertel": -45}[match["which"]])


def _minutes(match: re.Match[str]) -> str | None:
    minutes = int(match["minute"]) * (-1 if match["side"] == "vor" else 1)
    return _before(match, minutes - (30 if match["half"] else 0))


def _before(match: re.Match[str], minutes: int) -> str | None:
    hour = int(match["hour"])
    if not 1 <= hour <= 24:
        return None
    total = hour * 60 + minutes
    if total < 60 and hour <= 12:
        total += 12 * 60
    return _at(total // 60, total % 60)


def _weekday(match: re.Match[str]) -> str:
    which = match["which"] or ""
    lead = "next " if which.startswith(("nächst", "naechst")) else "this coming " if which.startswith("komm") else "on "
    part = _PARTS[match["part"]] if match["part"] else ""
    return f"{lead}{_WEEKDAYS[match['weekday']]} {part}".strip()


def _date(match: re.Match[str]) -> str:
    return f"{int(match['day'])} {_MONTHS[match['month']]} {match['year'] or ''}".strip()


def _numbers(match: re.Match[str]) -> str | None:
    month = int(match["month"])
    if not 1 <= month <= 12 or not 1 <= int(match["day"]) <= 31:
        return None
    year = match["year"] or ""
    return f"{int(match['day'])} {_MONTH_NAMES[month]} {'20' + year if len(year) == 2 else year}".strip()


def _monthday(match: re.Match[str]) -> str:
    return f"the {int(match['day'])}th"


def _today(match: re.Match[str]) -> str:
    part = match["part"]
    known = {"abend": "this evening", "nacht": "tonight", "mittag": "today at noon", "nachmittag": "this afternoon"}
    return known.get(part, "this morning")


class German(Language):
    """See `Language`."""

    code = "de"
    lengths = pieces(
        (r"(?:eine[rmns]? |ne |ner )?(?:gute[rmn]? )?dreiviertel ?stunde", "45 minutes"),
        (r"(?:eine[rmns]? |ne |ner )?viertel ?stunde", "15 minutes"),
        (r"(?:eine[rmns]? |ne |ner )?halbe[rmns]? (?:stunde|std)", "30 minutes"),
        (r"(?:eine[rmns]? |ne |ner )?halbe[rmns]? minute", "30 seconds"),
        (r"(?:eine[rmns]? )?halben tag", "12 hours"),
        (rf"{_COUNT} ?{_UNIT}", _length),
        (r"(?P<h>\d{1,2})h(?P<m>\d{1,2})(?:m|min)?\b", r"\g<h> hours \g<m> minutes"),
        (r"(?:und|lang|bitte)\b", ""),
    )
    past = pieces(
        (r"gestern$", "yesterday"),
        (r"vorgestern$", "the day before yesterday"),
        (rf"vor {_COUNT} {_UNIT}$", lambda m: _length(m) + " ago" if m["unit"][:1] in "tw" else None),
    )
    times = pieces(
        (
            r"(?:jeden (?:werktag|arbeitstag)|werktags|wochentags|unter der woche|an werktagen|montags bis freitags)\b",
            "every weekday",
        ),
        (r"(?:jeden tag|täglich|taeglich|alle tage)\b", "every day"),
        (r"jeden (?:zweiten|2\.?) tag\b", "every other day"),
        (r"(?:jeden morgen)\b", "every day in the morning"),
        (r"(?:jeden abend)\b", "every day in the evening"),
        (r"(?:jede woche|wöchentlich)\b", "every week"),
        (r"(?:jede zweite woche|alle zwei wochen|alle 2 wochen)\b", "every 2 weeks"),
        (r"(?:jeden monat|monatlich)\b", "every month"),
        (r"(?:jedes jahr|jährlich)\b", "every year"),
        (r"(?:jede stunde|stündlich)\b", "every hour"),
        (
            rf"alle (?P<count>\d+) {_UNIT}",
            lambda m: f"every {m['count']} {_UNITS.get(m['unit'][:3]) or _UNITS[m['unit'][0]]}",
        ),
        (rf"jeden {_WEEKDAY}\b", lambda m: f"every {_WEEKDAYS[m['weekday']]}"),
        (rf"(?:immer )?{_WEEKDAY}s\b", lambda m: f"every {_WEEKDAYS[m['weekday']]}"),
        (rf"{_LEAD}(?:eine[rmns]? |ne |ner )?(?:gute[rmn]? )?dreiviertel ?stunde\b", _fixed("45 minutes")),
        (rf"{_LEAD}(?:eine[rmns]? |ne |ner )?viertel ?stunde\b", _fixed("15 minutes")),
        (rf"{_LEAD}(?:eine[rmns]? |ne |ner )?halbe[rmns]? (?:stunde|std)\b", _fixed("30 minutes")),
        (rf"{_LEAD}(?:eine[rmns]? |ne |ner )?halbe[rmns]? minute\b", _fixed("30 seconds")),
        (rf"heute in {_COUNT} {_UNIT}", lambda m: "in " + _length(m)),
        (
            rf"{_LEAD}{_COUNT} ?{_UNIT}(?P<tail> später| von jetzt an| ab jetzt)?",
            lambda m: _length(m) + (" later" if m["tail"] else ""),
        ),
        (r"(?:am |den |bis )?(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b", r"\g<year>-\g<month>-\g<day>"),
        (
            r"(?:(?:am|den|bis zum|zum|der|für den) )?(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d{2})?(?!\d)",
            _numbers,
        ),
        (rf"(?:(?:am|den|bis zum|zum|der|für den) )?(?P<day>\d{{1,2}})\.? {_MONTH}(?: (?P<year>\d{{4}}))?", _date),
        (r"(?:am|den|bis zum|zum|der) (?P<day>\d{1,2})\.(?![\d:])", _monthday),
        (rf"(?:(?:an|am|zu|bis|auf|der|den) )?(?P<name>{'|'.join(_HOLIDAYS)})\b", lambda m: _HOLIDAYS[m["name"]]),
        (rf"{_AT}(?:mitternacht|24 uhr|0 uhr)\b", "at midnight"),
        (rf"{_AT}12 uhr mittags\b", "at noon"),
        (rf"{_AT}halb (?P<hour>\d{{1,2}})\b(?: uhr)?", _half),
        (rf"{_AT}(?P<which>viertel nach|viertel vor|dreiviertel|viertel) (?P<hour>\d{{1,2}})\b(?: uhr)?", _quarters),
        (
            rf"{_AT}(?P<minute>\d{{1,2}})(?: minuten)? (?P<side>nach|vor) (?P<half>halb )?(?P<hour>\d{{1,2}})\b(?: uhr)?",
            _minutes,
        ),
        (rf"{_AT}(?P<hour>0\d)[:.](?P<minute>[0-5]\d)(?: ?uhr)?(?![\d:])", _padded),
        (rf"{_AT}(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?: ?uhr)?(?![\d:])", _clock),
        (rf"{_AT}(?P<hour>\d{{1,2}})\.(?P<minute>[0-5]\d) ?uhr\b", _clock),
        (rf"{_AT}(?P<hour>\d{{1,2}}) ?uhr (?P<minute>[0-5]?\d)\b(?! ?(?:min|sek|stu|uhr))", _clock),
        (rf"{_AT}(?P<hour>\d{{1,2}}) ?uhr(?P<minute>)\b", _clock),
        (rf"{_AT}eine?s? uhr\b", "at 1:00"),
        (r"(?:um|gegen|so um) (?P<hour>\d{1,2})\b(?![.:,]\d)", r"at \g<hour>"),
        (rf"heute {_PART}\b", _today),
        (r"heute\b", "today"),
        (r"(?:über|ueber)morgen\b", "the day after tomorrow"),
        (r"(?:bis |für |ab )?morgen (?:früh|frueh|vormittag)\b", "tomorrow in the morning"),
        (r"(?:bis |für |ab )?morgen\b", "tomorrow"),
        (
            rf"(?:(?:am|an diesem|diesen|dieser|für|bis|ab|den) )?(?P<which>nächste[nr]? |naechste[nr]? |kommende[nr]? )?{_WEEKDAY}(?: ?{_PART}s?)?\b",
            _weekday,
        ),
        (r"(?:in der |ab |bis )?(?:nächste[rn]?|naechste[rn]?|kommende[rn]?) woche\b", "next week"),
        (r"(?:im |ab |bis )?(?:nächsten|naechsten|kommenden) monat\b", "next month"),
        (r"(?:im |ab |bis )?(?:nächsten|nächstes|naechstes|kommendes) jahr\b", "next year"),
        (r"(?:am |dieses )(?:kommenden )?wochenende\b", "this weekend"),
        (r"(?:am )?(?:nächstes|nächsten) wochenende\b", "next weekend"),
        (r"(?:am |gegen )?(?:frühen |späten )?(?P<part>vormittag|nachmittag|abend)s?\b", lambda m: _PARTS[m["part"]]),
        (r"(?:morgens|frühmorgens|in der früh(?:e)?|am (?:frühen )?morgen|früh|frueh)\b", "in the morning"),
        (r"(?:zu |am |über )?mittags?\b", "at noon"),
        (r"(?:in der nacht|nachts)\b", "at night"),
        (r"(?:gleich|dann|und|noch|genau|pünktlich|schon|exakt|bitte|für|auf|am|immer)\b", ""),
    )
    sums = pieces(
        (r"(?<=\d) ?(?:×|x|mal|multipliziert mit|malgenommen mit) ?(?=[\d(√-]|wurzel)", " * "),
        (r"(?<=[\d)]) ?(?:geteilt durch|dividiert durch|durch|÷|:) ?(?=[\d(])", " / "),
        (r"(?<=[\d)%!]) (?:plus|und|addiert mit|dazu) (?=[\d(]|wurzel)", " + "),
        (r"(?<=[\d)%!]) (?:minus|weniger|abzüglich) (?=[\d(]|wurzel)", " - "),
        (r"\bminus (?=\d)", "-"),
        (r"(?<=[\d)]) (?:zum quadrat|im quadrat|quadriert|hoch 2)\b", " ^ 2"),
        (r"(?<=[\d)]) (?:hoch|zur potenz) (?=[\d(-])", " ^ "),
        (r"(?<=\d) ?(?:prozent|%) (?:von|aus|vom) ", "% of "),
        (r"(?<=\d) ?prozent\b", "%"),
        (r"\b(?:die )?(?:quadrat)?wurzel (?:aus|von) (\d+(?:\.\d+)?)", r"sqrt(\1)"),
        (r"(?<=\d) ?fakultät\b", "!"),
        (r"\bfakultät (?:von )?(\d+)", r"\1!"),
        (r"\b(?:die )?hälfte (?:von|aus) ", "0.5 * "),
        (r"\b(?:ein |das )?drittel von ", "1/3 * "),
        (r"\b(?:ein |das )?viertel von ", "0.25 * "),
        (r"\b(?:das )?doppelte von ", "2 * "),
        (r"\b(?:das )?dreifache von ", "3 * "),
        (r"[€$]|\b(?:euro|dollar)\b", ""),
    )
    dice_words = pieces(
        (r"\b(\d+)?\s?w\s?(\d+)\b", r"\1d\2"),
        (
            rf"\b({_BELOW_HUNDRED}|\d+)-?seitige[nrs]?\b",
            lambda m: f"{m[1] if m[1].isdigit() else _below_thousand(m[1])} sided",
        ),
        (r"\b(?:einen?|nen|den|meinen|ein|einer)\b", "1"),
        (r"\bdie würfel\b|^würfel$", "2 dice"),
        (r"\b(?:ein paar|paar) würfel\b", "2 dice"),
        (r"\b(\d+)[- ]?(?:seitige[nrs]?|er)\s*(?:würfel)?\b", r"\1 sided die"),
        (r"\bwürfeln?\b", "dice"),
        (r"\b(\d+)(?:mal| mal)\b", r"\1 times"),
        (r"\bplus\b", "+"),
        (r"\s+mit (\d+) seiten\b", r" with \1 sides"),
        (r"^(\d+) (\d+) sided", r"\1 \2 sided"),
        (r"^einmal\b", ""),
    )
    lengths_in_measures = pieces(
        (r"^(?:eine[nrms]?|ein) (?:halbe[rnms]?|halb)\b", "0.5"),
        (r"^(?:eine[nrms]?|ein)\b(?! ?viertel)", "1"),
        (r"^(?:(?:eine[nrms]?|ein) )?viertel ?", "0.25 "),
        (r"^halbe[rnms]?\b", "0.5"),
        (r"^minus (?=\d)", "-"),
        (r"^(?:der|die|das) ", "1 "),
        (r"^stunde\b", "1 stunde"),
    )
    units: ClassVar[Mapping[str, str]] = {
        name: english
        for english, names in {
            "millimeter": "millimeter millimetern", "centimeter": "zentimeter zentimetern centimeter",
            "meter": "meter metern", "kilometer": "kilometer kilometern", "inch": "zoll", "foot": "fuß fuss",
            "yard": "yard yards", "mile": "meile meilen", "nautical mile": "seemeile seemeilen",
            "light year": "lichtjahr lichtjahre lichtjahren", "milligram": "milligramm", "gram": "gramm",
            "kilogram": "kilo kilogramm kilos", "metric ton": "tonne tonnen", "ounce": "unze unzen",
            "pound": "pfund", "milliliter": "milliliter millilitern", "centiliter": "zentiliter",
            "deciliter": "deziliter", "liter": "liter litern", "teaspoon": "teelöffel tl",
            "tablespoon": "esslöffel el", "cup": "tasse tassen cup cups", "pint": "pint pints",
            "gallon": "gallone gallonen", "celsius": "celsius grad_celsius °c c", "fahrenheit":
            "fahrenheit grad_fahrenheit °f f", "kelvin": "kelvin", "second": "sekunde sekunden",
            "minute": "minute minuten", "hour": "stunde stunden", "day": "tag tage tagen", "week": "woche wochen",
            "month": "monat monate monaten", "year": "jahr jahre jahren", "bit": "bit", "byte": "byte bytes",
            "kilobyte": "kilobyte", "megabyte": "megabyte", "gigabyte": "gigabyte", "terabyte": "terabyte",
            "kilometers per hour": "stundenkilometer stundenkilometern kilometer_pro_stunde km/h kmh",
            "miles per hour": "meilen_pro_stunde mph", "meters per second": "meter_pro_sekunde m/s",
            "knot": "knoten", "hectare": "hektar", "square meter": "quadratmeter quadratmetern",
            "square kilometer": "quadratkilometer", "square foot": "quadratfuß", "cubic meter": "kubikmeter",
            "acre": "acre acres morgen", "calorie": "kalorie kalorien", "kilocalorie": "kilokalorie kilokalorien",
            "joule": "joule", "kilojoule": "kilojoule", "kilowatt hour": "kilowattstunde kilowattstunden",
            "horsepower": "ps pferdestärken", "kilowatt": "kilowatt", "watt": "watt", "bar": "bar", "stone": "stone",
        }.items()
        for name in (word.replace("_", " ") for word in names.split())
    }  # fmt: skip
    no_start = re.compile(
        r"(?:und|oder|dann|noch|bitte|schon|auf|für|immer|gleich|genau|am)$|(?:und|oder|dann|bitte)\b"
    )
    place_words = re.compile(
        r"^(?:in der stadt |der stadt |die stadt |(?:dem |der |den |die |das )(?=\w)|nach |in )|"
        r"(?:\b(?:gerade|jetzt|momentan|aktuell|derzeit|im moment|bitte|denn|so|heute))+$",
        re.IGNORECASE,
    )
    connectors = re.compile(
        r"^(?:den|die|der|dem|daran|dran|darüber|davon|dass|das|bitte|mal|und|für|mit|wegen|zu|zum|zur|ans|an (?:die|den|das|dem|der|meine[nrms]?|mein|unsere[nrms]?)|an|"
        r"um|auf|von|ich (?:muss|soll|sollte|will|möchte|darf)|ich|doch|noch|bescheid|über|,|:|-)(?:[ :,]+|$)",
        re.IGNORECASE,
    )
    connectors_after = re.compile(
        r"[ ,]+(?:dran|daran|bitte|bescheid|und|zu erinnern|erinnern|muss|an|,|zu)$", re.IGNORECASE
    )
    questions = re.compile(
        r"(?:was|wo|wer|wen|wem|wessen|welche[rnms]?|wie|warum|wieso|weshalb|wann|ob|wieviel|wohin|woher|womit|wozu)\b",
        re.IGNORECASE,
    )
    pronouns = re.compile(
        r"(?:es|das|dies|dieses|mich|dich|ihn|sie|uns|alles|mir|dir|jetzt|gut|nichts|das alles|alles über mich|ihm|ihr)",
        re.IGNORECASE,
    )
    mine = re.compile(r"\b(?:ich|mein(?:e[nrms]?)?|mir|mich|wir|unser(?:e[nrms]?)?|uns)\b", re.IGNORECASE)
    not_own = re.compile(
        r"\b(?:erinnerung(?:en)?|timer|wecker|alarm|zeitzone|termine?|uhr|uhrzeit|chance|recht|problem)\b",
        re.IGNORECASE,
    )

    def digits(self, text: str) -> str:
        """The text with number words as digits and with a decimal point. "ein" is left: it is mostly an article."""
        low = re.sub(r"\b(?:anderthalb|eineinhalb|anderthalbe|einundeinhalb)\b", "1.5", text)
        low = _HALVES.sub(lambda m: f"{_ONES[m[1]]}.5", low)
        low = _ORDINAL.sub(lambda m: f"{m[1]} {_ORDINALS[m[2]]}.", low)
        low = _NUMBER.sub(_number, low)
        low = re.sub(r"\b(\d+) komma (\d+)\b", r"\1.\2", low)
        low = re.sub(r"\b(\d+) millionen\b", r"\g<1>000000", low)
        low = re.sub(r"(?<![\d.])([1-9]\d{0,2}(?:\.\d{3})+)(?![\d.])", lambda m: m[1].replace(".", ""), low)
        return re.sub(r"(?<=\d),(?=\d)", ".", low)


def _number(match: re.Match[str]) -> str:
    word = match[1]
    total = 0
    if "tausend" in word:
        before, _, word = word.partition("tausend")
        total = 1000 * (_below_thousand(before) if before else 1)
        word = word.removeprefix("und")
    return str(total + (_below_thousand(word) if word else 0))


def _below_thousand(word: str) -> int:
    total = 0
    if "hundert" in word:
        before, _, word = word.partition("hundert")
        total = 100 * (_ONES[before] if before else 1)
        word = word.removeprefix("und")
    if not word:
        return total
    if word in _ONES:
        return total + _ONES[word]
    for ten, value in _TENS.items():
        if word.endswith(ten):
            rest = word.removesuffix(ten).removesuffix("und")
            return total + value + (_ONES[rest] if rest else 0)
    return total
