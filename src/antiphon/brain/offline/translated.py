"""From the slots of a template in another language to a tool's arguments. What `slots` is for English.

A reading is refused when a slot holds something else than the tool needs, so that templates may be generous.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from antiphon.brain.offline.languages.language import Language
from antiphon.brain.offline.requests import language_named, open_for, options_of, since_of
from antiphon.brain.offline.slots import NO_LENGTH, NO_TOPIC, NO_WHEN, Intent, Slots


class Translated:
    """Builds the intents of one language."""

    def __init__(self, language: Language) -> None:
        self._language = language
        speak = language
        self._checks: Mapping[str, Callable[[str], bool]] = {
            "known": lambda text: speak.place(text) is not None,
            "timed": lambda text: speak.split_when(text) is not None,
            "untimed": lambda text: speak.split_when(text) is None,
            "length": lambda text: speak.split_length(text) is not None,
            "day": lambda text: speak.day(text) is not None,
            "sum": lambda text: speak.expression(text) is not None,
            "dice": lambda text: speak.dice(text) is not None,
            "fact": self._fact,
            "own": lambda text: len(text.split()) <= 7 and speak.not_own.search(text) is None,
            "mine": lambda text: speak.mine.search(text) is not None and speak.not_own.search(text) is None,
            "about": lambda text: bool(text.strip()) and speak.not_own.search(text) is None,
            "forgettable": self._forgettable,
            "name": lambda text: len(text.split()) <= 2 and text.replace(" ", "").replace("-", "").isalpha(),
            "proper": lambda text: len(text.split()) <= 2 and all(w[0].isupper() and w.isalpha() for w in text.split()),
            "retime": lambda text: self._retimed(text) is not None,
            "short": lambda text: len(text.split()) <= 3,
            "language": lambda text: language_named(text) is not None,
            "options": lambda text: options_of(open_for(text, speak)[1], speak.code) is not None,
            "number": lambda text: speak.digits(text.casefold()).strip("# .").isdigit(),
            "since": lambda text: since_of(text, speak) is not None,
        }
        self._builders: Mapping[str, Callable[[Slots, str], Intent | None]] = {
            "clock.now": self._place("clock.now"),
            "clock.date": self._date,
            "clock.difference": self._difference,
            "math.calculate": self._math,
            "units.convert": self._units,
            "dice.roll": self._dice,
            "coin.flip": self._coin,
            "reminders.create": self._remind,
            "timers.create": self._timer,
            "reminders.cancel": self._cancel,
            "reminders.edit": self._edit,
            "memory.remember": self._remember,
            "memory.recall": self._recall,
            "memory.forget": self._forget,
            "profile.timezone": self._place("profile.timezone"),
            "profile.language": self._speak,
            "profile.name": lambda slots, variant: Intent(
                "profile.name", {"name": slots["name"]} if "name" in slots else {}
            ),
            "channel.summary": self._summary,
            "polls.create": self._poll,
            "polls.vote": lambda slots, variant: Intent("polls.vote", {"option": self._choice(slots["option"])}),
        }

    def build(self, name: str, variant: str, slots: Slots, details: frozenset[str]) -> Intent | None:
        """The intent of one reading, or None when its slots do not hold what they should."""
        del details
        for key, value in slots.items():
            check = self._checks.get(key.partition("_")[2])
            if check is not None and not check(value):
                return None
        plain = {key.partition("_")[0]: value for key, value in slots.items()}
        builder = self._builders.get(name)
        return Intent(name) if builder is None else builder(plain, variant)

    def _fact(self, text: str) -> bool:
        low = text.casefold().strip(" .!")
        speak = self._language
        return len(low) >= 3 and not speak.questions.match(low) and not speak.pronouns.fullmatch(low) and " " in low

    def _forgettable(self, text: str) -> bool:
        low = text.casefold().strip(" .!")
        speak = self._language
        denied = re.match(r"(?:nicht|nie|no|nunca)\b", low) is not None
        return len(low) >= 3 and not denied and not speak.pronouns.fullmatch(low) and not speak.not_own.search(low)

    def _place(self, tool: str) -> Callable[[Slots, str], Intent | None]:
        def build(slots: Slots, variant: str) -> Intent | None:
            del variant
            if "place" not in slots:
                return Intent(tool)
            place = self._language.place(slots["place"])
            return Intent(tool, {"place": place}) if place else None

        return build

    def _date(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "day" not in slots:
            return Intent("clock.date")
        day = self._language.day(slots["day"])
        return Intent("clock.date", {"day": day}) if day else None

    def _difference(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        places = [self._language.place(slots[key]) for key in ("place", "other") if key in slots]
        if not places or not all(places):
            return None
        return Intent("clock.difference", dict(zip(("place", "other"), places, strict=False)))

    def _math(self, slots: Slots, variant: str) -> Intent | None:
        if variant:
            first, second = (self._language.digits(slots[key].casefold()).strip() for key in ("one", "two"))
            if not all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in (first, second)):
                return None
            sign = {"times": "*", "over": "/", "plus": "+", "minus": "-"}[variant]
            return Intent("math.calculate", {"expression": f"{first} {sign} {second}"})
        expression = self._language.expression(slots["expression"])
        return Intent("math.calculate", {"expression": expression}) if expression else None

    def _units(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        amount, unit = self._language.measure(slots["amount"]), self._language.unit(slots["unit"])
        return Intent("units.convert", {"amount": amount, "to": unit}) if amount and unit else None

    def _dice(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "dice" not in slots:
            return Intent("dice.roll")
        dice = self._language.dice(slots["dice"])
        return Intent("dice.roll", {"dice": dice}) if dice else None

    def _coin(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "count" not in slots:
            return Intent("coin.flip")
        count = self._language.digits(slots["count"].casefold())
        return Intent("coin.flip", {"count": int(count)}) if count.isdigit() and 1 <= int(count) <= 100 else None

    def _remind(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        speak = self._language
        parts = [slots.get(key, "").strip() for key in ("before", "rest", "after")]
        if speak.questions.match(parts[1]) and not parts[0]:
            return None
        if re.fullmatch(r"(?:kannst|könntest|würdest|puedes|podrías)?", parts[0].casefold()):
            parts[0] = ""
        for index in (1, 0, 2):
            found = speak.split_when(parts[index]) if parts[index] else None
            if found is not None:
                parts[index] = found[1]
                text = speak.what(" ".join(part for part in (parts[0], parts[1], parts[2]) if part))
                return Intent("reminders.create", {"when": found[0], "text": text})
        text = speak.what(" ".join(part for part in parts if part))
        return Intent("reminders.create", {"text": text} if text else {}, missing=NO_WHEN)

    def _timer(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        rest = slots.get("rest", "")
        if not rest:
            return Intent("timers.create", missing=NO_LENGTH)
        found = self._language.split_length(rest)
        if found is None:
            return None
        label = self._language.what(slots.get("label", "") or found[1])
        if len(label.split()) > 6 or re.search(
            r"\b(?:minus|menos|stopp?|cancel\w*|lösch\w*|borra)\b", label.casefold()
        ):
            return None
        return Intent("timers.create", {"duration": found[0], "label": label} if label else {"duration": found[0]})

    def _cancel(self, slots: Slots, variant: str) -> Intent | None:
        if variant == "all":
            return Intent("reminders.cancel", {"all": True})
        which = self._language.what(slots.get("which", ""))
        number = self._language.digits(which.casefold()).strip("# ")
        if number.isdigit():
            which = number
        return Intent("reminders.cancel", {"which": which} if which else {})

    def _retimed(self, text: str) -> str | None:
        """The new time of a reminder, in English: a moment, a rhythm, or a bare hour after "at" """
        speak = self._language
        lead = {"de": "um ", "es": "a las "}[speak.code]
        text = text.strip(" .!")
        return speak.when(text) or speak.when(lead + text) or speak.when(re.sub(r"^(?:la|las) ", lead, text))

    def _edit(self, slots: Slots, variant: str) -> Intent | None:
        which = "last" if variant == "last" else self._language.what(slots["which"])
        number = self._language.digits(which.casefold()).strip("# ")
        which = number if number.isdigit() else which
        if variant == "text":
            return Intent("reminders.edit", {"which": which, "text": slots["text"]})
        new = self._retimed(slots["to"])
        return Intent("reminders.edit", {"which": which, "when": new}) if new else None

    def _remember(self, slots: Slots, variant: str) -> Intent | None:
        text = re.sub(r"^(?:dass|das|que|de que|esto|folgendes|:)[ :,]+", "", slots["text"], flags=re.IGNORECASE).strip(
            " ,:;-"
        )
        if not self._fact(text):
            return None
        return Intent("memory.remember", {"text": text, "scope": "server"} if variant == "server" else {"text": text})

    def _recall(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        topic = " ".join(slots[key] for key in ("kind", "topic") if slots.get(key))
        topic = self._language.what(topic)
        if self._language.not_own.search(topic) or re.match(r"(?:spät|viel)\b", topic, re.IGNORECASE):
            return None
        if self._language.pronouns.fullmatch(topic.casefold()):
            topic = ""
        return Intent("memory.recall", {"query": topic} if topic else {})

    def _forget(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "text" not in slots:
            return Intent("memory.forget", missing=NO_TOPIC)
        text = self._language.what(slots["text"])
        return Intent("memory.forget", {"query": text}) if self._forgettable(text) else None

    def _speak(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "language" not in slots:
            return Intent("profile.language")
        code = language_named(slots["language"])
        return Intent("profile.language", {"language": code}) if code else None

    def _summary(self, slots: Slots, variant: str) -> Intent | None:
        del variant
        if "count" in slots:
            count = self._language.digits(slots["count"].casefold())
            return Intent("channel.summary", {"messages": int(count)}) if count.isdigit() and int(count) > 0 else None
        if "since" in slots:
            since = since_of(slots["since"], self._language)
            return Intent("channel.summary", {"since": since}) if since else None
        return Intent("channel.summary")

    def _poll(self, slots: Slots, variant: str) -> Intent | None:
        if variant == "yes_no":
            question = slots["question"].strip(" ?.!¿¡")
            words = {"de": ["Ja", "Nein"], "es": ["Sí", "No"]}[self._language.code]
            return Intent(
                "polls.create",
                {
                    "question": ("¿" if self._language.code == "es" else "")
                    + question[:1].upper()
                    + question[1:]
                    + "?",
                    "options": words,
                    "language": self._language.code,
                },
            )
        closes, asked = open_for(slots["options"], self._language)
        found = options_of(asked, self._language.code)
        if found is None:
            return None
        question = f"¿{found[0]}" if self._language.code == "es" and found[0].endswith("?") else found[0]
        arguments: dict[str, object] = {
            "question": question,
            "options": list(found[1]),
            "language": self._language.code,
        }
        if closes:
            arguments["closes"] = closes
        return Intent("polls.create", arguments)

    def _choice(self, text: str) -> str:
        number = self._language.digits(text.casefold()).strip("# .")
        return number if number.isdigit() else re.sub(r"^(?:den|die|das|el|la|los|las|für) ", "", text, flags=re.I)
