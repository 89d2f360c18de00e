"""The answers of the offline model in German and Spanish: what `answers` is for English.

The sentences stand in `intents/<language>.yaml` under `answers`; "a|b" is singular and plural. Dates, numbers, measures
and names of days come from CLDR by babel, the names of places from `languages.place_names`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import cast

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal
from babel.units import format_unit

from antiphon.brain.models import ModelChoice
from antiphon.brain.offline.answers import Data, summary
from antiphon.brain.offline.grammar import load
from antiphon.brain.offline.languages.place_names import own_name

_MOST_LISTED = 12
_UNITS = {
    "millimeter": "length-millimeter", "centimeter": "length-centimeter", "meter": "length-meter",
    "kilometer": "length-kilometer", "inch": "length-inch", "foot": "length-foot", "yard": "length-yard",
    "mile": "length-mile", "nautical_mile": "length-nautical-mile", "light_year": "length-light-year",
    "milligram": "mass-milligram", "gram": "mass-gram", "kilogram": "mass-kilogram", "metric_ton": "mass-tonne",
    "ton": "mass-ton", "ounce": "mass-ounce", "pound": "mass-pound", "stone": "mass-stone",
    "milliliter": "volume-milliliter", "centiliter": "volume-centiliter", "deciliter": "volume-deciliter",
    "liter": "volume-liter", "teaspoon": "volume-teaspoon", "tablespoon": "volume-tablespoon", "cup": "volume-cup",
    "fluid_ounce": "volume-fluid-ounce", "pint": "volume-pint", "quart": "volume-quart", "gallon": "volume-gallon",
    "degC": "temperature-celsius", "degF": "temperature-fahrenheit", "kelvin": "temperature-kelvin",
    "second": "duration-second", "minute": "duration-minute", "hour": "duration-hour", "day": "duration-day",
    "week": "duration-week", "month": "duration-month", "year": "duration-year", "bit": "digital-bit",
    "byte": "digital-byte", "kilobyte": "digital-kilobyte", "megabyte": "digital-megabyte",
    "gigabyte": "digital-gigabyte", "terabyte": "digital-terabyte", "petabyte": "digital-petabyte",
    "megabit": "digital-megabit", "gigabit": "digital-gigabit", "kilometer / hour": "speed-kilometer-per-hour",
    "mile / hour": "speed-mile-per-hour", "meter / second": "speed-meter-per-second", "knot": "speed-knot",
    "acre": "area-acre", "hectare": "area-hectare", "meter ** 2": "area-square-meter",
    "foot ** 2": "area-square-foot", "kilometer ** 2": "area-square-kilometer", "mile ** 2": "area-square-mile",
    "meter ** 3": "volume-cubic-meter", "joule": "energy-joule", "kilojoule": "energy-kilojoule",
    "calorie": "energy-calorie", "kilocalorie": "energy-kilocalorie", "kilowatt_hour": "energy-kilowatt-hour",
    "watt": "power-watt", "kilowatt": "power-kilowatt", "horsepower": "power-horsepower",
    "bar": "pressure-bar", "psi": "pressure-pound-force-per-square-inch", "atmosphere": "pressure-atmosphere",
    "degree": "angle-degree", "radian": "angle-radian",
}  # fmt: skip
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LIKE_A_TIME = re.compile(
    r"\d|(?:in|am|um|an|en|a las?|el|dentro|vor|nach|morgen|gestern|ayer|mañana|hoy|heute)\b", re.I
)


@cache
def answers_in(language: str) -> AnswersIn:
    """The answers of one of the other languages."""
    return AnswersIn(language)


class AnswersIn:
    """Implements `answering.Answers`."""

    def __init__(self, language: str) -> None:
        source = load(language).source
        self._language = language
        self._locale = Locale(language)
        self._say: Mapping[str, str] = source["answers"]
        self._rhythms: Mapping[str, str] = source["rhythms"]
        self._examples: Mapping[str, Sequence[str]] = source["examples"]
        self._errors = [(re.compile(pattern, re.DOTALL), words) for pattern, words in source["errors"]]
        self._wordings: Mapping[str, Callable[[Data], str]] = {
            "clock.now": self._now,
            "clock.date": self._date,
            "clock.difference": self._difference,
            "math.calculate": self._math,
            "units.convert": self._units,
            "dice.roll": self._dice,
            "coin.flip": self._coin,
            "reminders.create": self._reminder,
            "timers.create": self._timer,
            "reminders.list": self._reminders,
            "reminders.edit": self._changed,
            "reminders.cancel": self._cancelled,
            "memory.remember": lambda data: self._of("noted_here" if data["scope"] == "server" else "noted", data),
            "memory.recall": self._recalled,
            "memory.forget": self._forgot,
            "memory.forget_all": self._forgot_all,
            "profile.timezone": self._timezone,
            "profile.language": self._own_language,
            "profile.name": self._name,
            "system.help": self._help,
            "system.status": self._status,
            "channel.summary": self._summary,
            "polls.create": self._poll,
            "polls.show": self._poll,
            "polls.close": self._poll,
            "polls.vote": lambda data: self._of("voted", data),
        }

    def cannot(self, choice: ModelChoice, failures: Sequence[str], *, short: bool = False) -> str:
        """See `Answers`."""
        if short:
            return self._say["cannot_short"]
        return self._of("cannot_now", {"model": choice.label}) if failures else self._say["cannot"]

    def told(self, fact: str) -> str:
        """See `Answers`."""
        return self._of("told", {"fact": fact})

    def again(self) -> str:
        """See `Answers`."""
        return self._say["again"]

    def not_allowed(self, tool: str) -> str:
        """See `Answers`."""
        return self._of("not_allowed", {"tool": tool})

    def missing(self, what: str, arguments: Mapping[str, object]) -> str:
        """See `Answers`."""
        if what != "when":
            return self._say[f"missing_{what}"]
        text = str(arguments.get("text", ""))
        about = self._of("missing_about", {"text": text}) if text else ""
        again = text if text and not _LIKE_A_TIME.match(text) else self._say["missing_example"]
        return self._of("missing_when", {"about": about, "example": again})

    def word(self, tool: str, outcome: Mapping[str, object]) -> str:
        """See `Answers`."""
        said = str(outcome.get("summary", ""))
        if outcome.get("status", "ok") != "ok":
            return self._error(said)
        data, wording = outcome.get("data"), self._wordings.get(tool)
        if not isinstance(data, Mapping) or wording is None:
            return said or self._say["failed"]
        try:
            return wording(cast("Data", data))
        except (KeyError, ValueError, TypeError, IndexError):
            # A record of an older version: its one-line summary is still true.
            return said

    def _error(self, said: str) -> str:
        for pattern, words in self._errors:
            if match := pattern.search(said):
                return match.expand(words)
        return self._of("failed_with", {"reason": said}) if said else self._say["failed"]

    def _of(self, key: str, data: Mapping[str, object], count: float | None = None) -> str:
        """A sentence with its gaps filled; `count` chooses between singular and plural."""
        words = self._say[key]
        if count is not None:
            one, _, many = words.partition("|")
            words = one if count == 1 else many or one
        return words.format_map({**data, "n": "" if count is None else self._number(count)})

    def _number(self, value: float) -> str:
        places = 2 if abs(value) >= 100 else 4 if abs(value) >= 0.01 else 6
        if value and not 0.000001 <= abs(value) < 1e15:
            return format_decimal(value, format="0.#####E0", locale=self._locale)
        return format_decimal(round(value, places), locale=self._locale, decimal_quantization=False)

    def _day(self, day: date, *, year: bool = True) -> str:
        skeleton = {"de": ("EEEE, d. MMMM y", "EEEE, d. MMMM"), "es": ("EEEE, d 'de' MMMM 'de' y", "EEEE, d 'de' MMMM")}
        return format_date(day, skeleton[self._language][0 if year else 1], locale=self._locale)

    def _place(self, data: Data, place: str = "place", zone: str = "zone", region: str = "region") -> str:
        """The place by its own name, with its country or state where its name alone could mean another."""
        if not (label := str(data[place])):
            return ""
        where = str(data.get(region, ""))
        name = own_name(label, str(data[zone]), self._language)
        return f"{name} ({own_name(where, '', self._language)})" if where else name

    def _zone_hint(self, zone: object) -> str:
        return " " + self._say["zone_hint"] if zone == "UTC" else ""

    def _hours(self, hours: float) -> str:
        return format_unit(abs(hours), "duration-hour", locale=self._locale)

    def _now(self, data: Data) -> str:
        day = self._day(date.fromisoformat(str(data["date"])), year=False)
        if not data["place"]:
            return self._of(self._hour_key("time", data), {**data, "day": day}) + self._zone_hint(data["zone"])
        ahead = float(cast("float", data["hours_ahead_of_person"]))
        distance = ""
        if ahead:
            distance = self._of("ahead_of_you" if ahead > 0 else "behind_of_you", {"hours": self._hours(ahead)})
        return self._of(
            self._hour_key("time_in", data), {**data, "place": self._place(data), "day": day, "distance": distance}
        )

    def _hour_key(self, key: str, data: Data) -> str:
        """One o'clock is singular where the hour has a number."""
        one = f"{key}_one"
        return one if one in self._say and re.match(r"0?1:", str(data["time"])) else key

    def _date(self, data: Data) -> str:
        day, away = self._day(date.fromisoformat(str(data["date"]))), int(cast("int", data["days_from_today"]))
        if not data["asked"]:
            where = self._of("in_place", {"place": self._place(data)}) if data["place"] else ""
            return self._of("today", {"day": day, "where": where, "week": data["week"]})
        if away in (-1, 0, 1):
            return self._of({-1: "yesterday_was", 0: "today_is", 1: "tomorrow_is"}[away], {"day": day})
        return self._of("day_ahead" if away > 0 else "day_past", {"day": day}, abs(away))

    def _difference(self, data: Data) -> str:
        ahead = float(cast("float", data["hours_ahead"]))
        one, other = (
            self._place(data),
            self._place(data, "other", "other_zone", "other_region") if data["other"] else "",
        )
        key = "same_time" if not ahead else "ahead" if ahead > 0 else "behind"
        key += "" if other else "_you"
        return self._of(key, {**data, "place": one, "other": other, "hours": self._hours(ahead)})

    def _math(self, data: Data) -> str:
        asked = re.sub(r"[?=\s]+$", "", str(data["asked"]))
        return f"{self._figures(asked)} {'=' if data['exact'] else '≈'} **{self._figures(str(data['value']))}**"

    def _figures(self, text: str) -> str:
        """Numbers written the English way, rewritten."""
        return re.sub(r"\d[\d,]*(?:\.\d+)?", self._figure, text).replace("% of ", self._say["percent_of"])

    def _figure(self, match: re.Match[str]) -> str:
        whole, _, rest = match[0].replace(",", "").partition(".")
        grouped = format_decimal(int(whole), locale=self._locale) if "," in match[0] else whole
        return f"{grouped},{rest}" if rest else grouped

    def _units(self, data: Data) -> str:
        parts = cast("Sequence[tuple[float, str]]", data["parts"])
        source = " ".join(self._measure(float(amount), unit) for amount, unit in parts)
        target = self._measure(float(cast("float", data["value"])), str(data["unit"]))
        return f"{source} {'=' if data['exact'] else '≈'} **{target}**"

    def _measure(self, amount: float, unit: str) -> str:
        places = 2 if abs(amount) >= 100 else 4 if abs(amount) >= 0.01 else 6
        known = _UNITS.get(unit)
        if known is None or not (amount == 0 or 1e-6 <= abs(amount) < 1e15):
            return f"{self._number(amount)} {unit.replace('_', ' ')}"
        pattern = "#,##0.######"
        return format_unit(round(amount, places), known, format=pattern, locale=self._locale)

    def _dice(self, data: Data) -> str:
        rolls, plus = cast("Sequence[int]", data["rolls"]), int(cast("int", data["plus"]))
        dice = str(data["dice"]).replace("d", "W") if self._language == "de" else str(data["dice"])
        if len(rolls) == 1 and not plus:
            return self._of("rolled", {"total": data["total"], "dice": dice})
        shown = " + ".join(map(str, rolls)) if len(rolls) <= 20 else self._of("dice", {}, len(rolls))
        extra = f" {'+' if plus > 0 else chr(0x2212)} {abs(plus)}" if plus else ""
        return f"{dice}: {shown}{extra} = **{data['total']}**"

    def _coin(self, data: Data) -> str:
        sides = cast("Sequence[str]", data["sides"])
        names = [self._say[side] for side in sides]
        if len(names) == 1:
            return self._of("coin", {"side": names[0].capitalize()})
        return self._of(
            "coins",
            {
                "list": ", ".join(names).capitalize() if self._language == "es" else ", ".join(names),
                "heads": data["heads"],
                "tails": data["tails"],
            },
        )

    def _due(self, entry: Data) -> str:
        due = datetime.fromisoformat(str(entry["due"]))
        clock = f"{due:%H:%M:%S}" if due.second else f"{due:%H:%M}"
        days = int(cast("int", entry["days_from_today"]))
        key = {0: "due_today", 1: "due_tomorrow"}.get(days, "due_on")
        return self._of(key, {"clock": clock, "day": self._day(due.date(), year=days > 1)})

    def _length(self, english: str) -> str:
        """ "1 hour 30 minutes" in the language."""
        parts = re.findall(r"(\d+) (day|hour|minute|second)s?", english)
        return " ".join(format_unit(int(n), f"duration-{unit}", locale=self._locale) for n, unit in parts)

    def _soon(self, entry: Data) -> str:
        remaining = str(entry["in"])
        return "" if "day" in remaining else self._of("soon", {"length": self._length(remaining)})

    def _rhythm(self, entry: Data) -> str:
        """The rhythm of a repeating entry from its facts."""
        facts = cast("Data", entry["repeats"])
        every, interval = str(facts["every"]), int(cast("int", facts["interval"]))
        days = cast("Sequence[str]", facts["days"])
        names = [self._locale.days["format"]["wide"][_DAYS.index(day)] for day in days]
        listed = format_list(names, locale=self._locale) if names else ""
        if sorted(days) == ["FR", "MO", "TH", "TU", "WE"] and interval == 1:
            text = self._rhythms["weekdays"]
        elif names and every in ("week", "day") and interval == 1:
            text = self._rhythms["on_days"].format(days=listed)
        else:
            one, _, many = self._rhythms[every].partition("|")
            text = one if interval == 1 else many.format(n=interval)
            if position := int(cast("int", facts["position"])):
                text += self._rhythms["last_day" if position < 0 else "nth_day"].format(n=position, days=listed)
            elif names:
                text += self._rhythms["also_days"].format(days=listed)
            elif numbers := cast("Sequence[int]", facts["month_days"]):
                text += self._rhythms["month_days"].format(
                    days=format_list([f"{n}" for n in numbers], locale=self._locale)
                )
        times = cast("Sequence[str]", facts["times"])
        if times:
            text += self._rhythms["at"].format(times=format_list(list(times), locale=self._locale))
        return text + (f" ({facts['zone']})" if facts["zone"] != entry["zone"] else "")

    def _reminder(self, entry: Data) -> str:
        about = f": {entry['text']}" if entry["text"] else "."
        hint = self._zone_hint(entry["zone"])
        if entry.get("repeats"):
            first = self._of("first_time", {"due": self._due(entry), "soon": self._soon(entry)})
            return self._of("reminder", {"due": self._rhythm(entry), "soon": "", "about": about}) + f"\n{first}{hint}"
        return self._of("reminder", {"due": self._due(entry), "soon": self._soon(entry), "about": about}) + hint

    def _timer(self, entry: Data) -> str:
        label = f" „{entry['text']}“" if self._language == "de" else f" “{entry['text']}”"
        return self._of(
            "timer",
            {
                "label": label if entry["text"] else "",
                "length": self._length(str(entry["duration"])),
                "due": self._due(entry),
            },
        )

    def _line(self, entry: Data) -> str:
        name = str(entry["text"]) or self._say["a_timer" if entry["kind"] == "timer" else "a_reminder"]
        when = f"{self._due(entry)}{self._soon(entry)}"
        if entry.get("repeats"):
            when = self._of("next_time", {"rhythm": self._rhythm(entry), "due": self._due(entry)})
        return f"- **{name}** {when} ({self._say['number']} {entry['id']})"

    def _listed(self, lines: Sequence[str]) -> str:
        more = len(lines) - _MOST_LISTED
        return "\n".join(lines[:_MOST_LISTED]) + ("\n- " + self._of("more", {}, more) if more > 0 else "")

    def _reminders(self, data: Data) -> str:
        entries = _list_of(data, "entries")
        if not entries:
            return self._say[f"none_{data['kind']}"]
        return self._of("coming_up", {}, len(entries)) + "\n" + self._listed([self._line(entry) for entry in entries])

    def _changed(self, data: Data) -> str:
        entry, choices = data["changed"], _list_of(data, "choices")
        if entry:
            entry = cast("Data", entry)
            return self._of("changed", {"line": self._line(entry).removeprefix("- ")})
        if choices:
            lines = self._listed([self._line(choice) for choice in choices])
            return self._of("which_changed", {"id": choices[0]["id"]}) + "\n" + lines
        return self._say["nothing_to_change"]

    def _cancelled(self, data: Data) -> str:
        gone, choices = _list_of(data, "cancelled"), _list_of(data, "choices")
        if len(gone) == 1:
            name = gone[0]["text"] or self._say["a_timer" if gone[0]["kind"] == "timer" else "a_reminder"]
            when = self._rhythm(gone[0]) if gone[0].get("repeats") else self._due(gone[0])
            return self._of("cancelled", {"name": name, "due": when})
        if gone:
            return self._of("cancelled_all", {}, len(gone))
        if choices:
            lines = self._listed([self._line(choice) for choice in choices])
            return self._of("which_cancelled", {"id": choices[0]["id"]}) + "\n" + lines
        return self._say["nothing_to_cancel"] + " " + self._say[f"none_{data['kind']}"]

    def _recalled(self, data: Data) -> str:
        memories = _list_of(data, "memories")
        if not memories:
            return self._of("knows_not", data) if data["query"] else self._say["knows_nothing"]
        if data["query"]:
            best = [m for m in memories if m["fit"] == memories[0]["fit"]][:3]
            if len(best) == 1:
                return self._of("you_told" if best[0]["scope"] == "person" else "noted_fact", best[0])
            return self._say["was_told"] + "\n" + "\n".join(f"- {m['text']}" for m in best)
        here = f" ({self._say['this_server']})"
        return (
            self._say["everything"]
            + "\n"
            + self._listed([f"- {m['text']}{'' if m['scope'] == 'person' else here}" for m in memories])
        )

    def _forgot(self, data: Data) -> str:
        gone, choices = cast("Sequence[str]", data["forgotten"]), cast("Sequence[str]", data["choices"])
        if gone:
            return self._of("forgotten", {"text": gone[0]})
        if choices:
            return self._say["which_forgotten"] + "\n" + self._listed([f"- {text}" for text in choices])
        return self._of("nothing_to_forget", data)

    def _forgot_all(self, data: Data) -> str:
        count = int(cast("int", data["count"]))
        whom = "server" if data["scope"] == "server" else "you"
        return self._of(f"forgot_all_{whom}", {}, count) if count else self._say["nothing_known"]

    def _timezone(self, data: Data) -> str:
        return self._of("zone_now" if data["changed"] else "zone_is", data)

    def _own_language(self, data: Data) -> str:
        code = str(data["language"])[:2]
        name = cast("Mapping[str, str]", self._locale.languages).get(code, code)
        name = name[0].upper() + name[1:] if self._language == "de" else name
        key = (
            "language_is" if not data["changed"] else "language_now" if code in ("en", "de", "es") else "language_noted"
        )
        return self._of(key, {"language": name})

    def _name(self, data: Data) -> str:
        key = "name_now" if data["changed"] else "name_is" if str(data["name"]).strip() else "name_unknown"
        return self._of(key, data)

    def _help(self, data: Data) -> str:
        names = {str(tool["name"]) for tool in _list_of(data, "tools")}
        lines = [f"- **{title}**: {examples}" for tool, (title, examples) in self._examples.items() if tool in names]
        return self._say["help"] + "\n" + "\n".join(lines)

    def _status(self, data: Data) -> str:
        parts = _list_of(data, "parts")
        broken = [part for part in parts if part["state"] == "degraded"]
        signs = {"ok": "✓", "degraded": "✗", "off": "\N{EN DASH}"}
        lines: list[str] = []
        for part in parts:
            detail = f": {part['detail']}" if part["detail"] else ""
            lines.append(f"- {signs.get(str(part['state']), '?')} {part['name']}{detail}")
        return "\n".join([self._say["unwell" if broken else "well"], *lines])

    def _summary(self, data: Data) -> str:
        count = int(cast("int", data["count"]))
        if not count:
            return self._say["nothing_said"]
        people = [str(name) for name in cast("Sequence[str]", data["people"])[:5]]
        by = self._of("said_by", {"people": format_list(people, locale=self._locale)}) if people else ""
        since = ""
        if data["since"]:
            at = datetime.fromisoformat(str(data["since"]))
            since = self._of("said_since", {"day": self._day(at.date(), year=False), "clock": f"{at:%H:%M}"})
        head = self._of("summary", {"by": by, "since": since}, count)
        return f"**{head}**\n" + "\n".join(f"- {line}" for line in summary(data, self._language))

    def _poll(self, data: Data) -> str:
        title = f"**{data['question']}**" if data["question"] else f"**{self._say['poll']}**"
        bars = self._bars(data)
        if data["state"] == "closed":
            return f"{self._say['poll_closed']}\n{title}\n{bars}"
        closes = ""
        if data["closes"]:
            at = datetime.fromisoformat(str(data["closes"]))
            closes = " " + self._of("poll_closes", {"day": self._day(at.date(), year=False), "clock": f"{at:%H:%M}"})
        return f"{title}\n{bars}\n{self._say['poll_how']}{closes}"

    def _bars(self, data: Data) -> str:
        if data["total"]:
            return str(data["bars"])
        return "\n".join(f"{n}. **{option}**" for n, option in enumerate(cast("Sequence[str]", data["options"]), 1))


def _list_of(data: Data, key: str) -> Sequence[Data]:
    return cast("Sequence[Data]", data[key])
