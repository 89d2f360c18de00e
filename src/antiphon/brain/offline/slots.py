"""From the free text in a template's slots to a tool's arguments, or a refusal of that reading. Used by `understand`.

A reading is refused when a slot holds something else than the tool needs ("three people" is no amount with a unit), so
that templates may be generous without doing what nobody asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from antiphon.brain.offline.requests import language_named, open_for, options_of, since_of
from antiphon.tools.builtin import when
from antiphon.tools.builtin.arithmetic import to_expression
from antiphon.tools.builtin.dice import parse_dice
from antiphon.tools.builtin.numbers import digits
from antiphon.tools.builtin.places import find_place
from antiphon.tools.builtin.units import parse_measure, parse_unit

NO_WHEN = "when"
NO_LENGTH = "length"
NO_TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is asked. `name` is a tool's, `smalltalk.*`, or "none"; `missing` names what has to be asked back.

    `confidence` is 1.0 for a sentence of the grammar, less when words had to be repaired. `language` is that of the
    message, which is that of the answer too.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    confidence: float = 1.0
    missing: str = ""
    language: str = "en"


NONE = Intent("none", confidence=0.0)

Slots = Mapping[str, str]


def build(name: str, variant: str, slots: Slots, details: frozenset[str]) -> Intent | None:
    """The intent of one reading, or None when its slots do not hold what they should."""
    for key, value in slots.items():
        check = _CHECKS.get(key.partition("_")[2])
        if check is not None and not check(value):
            return None
        if key == "kind_detail" and value.casefold() not in details:
            return None
    plain = {key.partition("_")[0]: value for key, value in slots.items()}
    if name.startswith("smalltalk."):
        return Intent(name)
    return _BUILDERS.get(name, _nothing)(plain, variant)


def _known(place: str) -> bool:
    return len(place.split()) <= 5 and find_place(_place(place)) is not None


def _place(text: str) -> str:
    text = re.sub(r"\b(right now|now|currently|today|at the moment)$", "", text.strip(), flags=re.IGNORECASE).strip()
    text = re.sub(r"^(the (city|state|country) of|downtown|sunny|beautiful) ", "", text, flags=re.IGNORECASE)
    return re.sub(r"'s$", "", text)


def _timed(text: str) -> bool:
    return _split(text) is not None


def _question(text: str) -> bool:
    return re.match(r"(what|where|who|which|how|why|when|if|whether)\b", text.casefold()) is not None


def _fact(text: str) -> bool:
    """Something worth remembering: not a question, not a bare pronoun, not a task."""
    low = text.casefold().strip(" .!")
    if (
        len(low) < 3
        or _question(low)
        or re.fullmatch(r"(it|that|this|me|us|him|her|them|everything|all|now|well)", low)
    ):
        return False
    return not re.match(r"(to|when we|the time|the day we|how we|me|us|who|your|you('re| are)?)\b", low)


def _todo(text: str) -> bool:
    return not _question(text)


def _own(topic: str) -> bool:
    """What belongs to the person and can have been told: not their reminders, zone or open tasks."""
    low = topic.casefold()
    return len(low.split()) <= 8 and not re.search(
        r"\b(reminders?|timers?|alarms?|timezone|options|schedule|agenda|chances?|problem|rights|next (step|move))\b",
        low,
    )


def _mine(topic: str) -> bool:
    low = topic.casefold()
    if re.match(r"(that|this|to|it)\b", low):
        return False
    about_self = re.search(r"\b(my|me|i|i'm|i've|mine|our|we)\b", low)
    return bool(about_self) and not re.search(r"\b(how to|the way|can you|timer|reminders?)\b", low)


_DEED = re.compile(
    r"(put|leave|left|park|parked|store|stored|hide|hid|keep|kept|live|lived|work|sit|sat|place|placed|lay|born|"
    r"grow up|go to school|study|tell you|say|buy|bought|save|get|meet|met|see|last|start|finish|graduate|move|drop|"
    r"lock|set|have|usually|normally|want|like|sleep)\b",
    re.IGNORECASE,
)


def _deed(topic: str) -> bool:
    """Something the person did and may have told ("where did I ...")."""
    return _DEED.match(topic) is not None


def _forgettable(text: str) -> bool:
    low = text.casefold().strip(" .!")
    if re.fullmatch(r"(it|that|this|about it|about that|him|her|them|him|you|everything|all|me|all of it)", low):
        return False
    if _question(low) and not re.search(r"\b(my|i|i'm)\b", low):
        return False
    return not re.match(r"(to|it\b|the (reminder|timer|alarm)s?\b)", low) and "reminder" not in low


_NO_NAMES = frozenset(
    [
        "later",
        "back",
        "tomorrow",
        "maybe",
        "please",
        "now",
        "soon",
        "again",
        "anytime",
        "today",
        "tonight",
        "when",
        "if",
        "a",
        "an",
        "the",
        "that",
        "this",
        "names",
        "out",
        "at",
        "on",
        "crazy",
        "old",
        "stupid",
        "sure",
        "not",
        "so",
        "very",
        "in",
        "from",
        "up",
        "by",
        "it",
        "you",
        "me",
    ]
)


def _called(text: str) -> bool:
    """What somebody may be called: a word or two of letters that are no answer to "call me ..."."""
    words = text.casefold().split()
    return (
        1 <= len(words) <= 2
        and all(re.fullmatch(r"[^\W\d_]+[-'.]?[^\W\d_]*\.?", w) for w in words)
        and not (set(words) & _NO_NAMES)
    )


class _English:
    """English as `requests` wants to read it: nothing has to be translated."""

    def length(self, phrase: str) -> str | None:
        """A length of time."""
        return phrase if _is_length(phrase) else None

    def day(self, text: str) -> str | None:
        """A day."""
        try:
            when.parse_day(text, datetime.now(UTC), UTC)
        except when.NotATime:
            return None
        return text


ENGLISH = _English()

_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "known": _known,
    "timed": _timed,
    "task": lambda text: (
        _timed(text) and re.search(r"(^|\s)(to|that|about)\s+\w", (_split(text) or ("", ""))[1]) is not None
    ),
    "length": lambda text: _length(text) is not None,
    "fact": _fact,
    "todo": _todo,
    "own": _own,
    "mine": _mine,
    "deed": _deed,
    "retime": lambda text: _retimed(text) is not None,
    "rhythm": lambda text: when.is_recurring(text) and when.is_time_phrase(text),
    "word": lambda text: len(text.split()) <= 2 and not re.search(r"\b(to|can|should|do|kind|sort)\b", text.casefold()),
    "numbered": lambda text: digits(text).strip("# ").isdigit(),
    "name": lambda text: len(text.split()) <= 2 and text.replace(" ", "").isalpha() and not _question(text),
    "called": _called,
    "language": lambda text: language_named(text) is not None,
    "options": lambda text: options_of(open_for(text, ENGLISH)[1], "en") is not None,
    "since": lambda text: since_of(text, ENGLISH) is not None,
    "short": lambda text: len(text.split()) <= 3,
    "untimed": lambda text: _split(text) is None,
    "about": lambda text: bool(text.strip()) and not re.search(r"\b(reminder|timer|alarm)s?\b", text.casefold()),
    "forgettable": _forgettable,
    "clean": lambda text: bool(text.strip()),
    "possessive": lambda text: text.casefold().endswith("'s"),
    "praise": lambda text: (
        _split(text) is None
        and re.match(r"(for|a|so|very|again|and|you|antiphon|i|that|that's|it|your)\b", text.casefold()) is not None
    ),
}


_SHIFTED = re.compile(r"\b(\d+|an?|half an?|few|couple of) (minute|hour|day|week|month)s? (before|after|prior to) $")
"""Before a time, as in "3 days before christmas": it counts from that time, and only one of them would be read."""


def _split(text: str) -> tuple[str, str] | None:
    """The time phrase of a request and the rest: at its ends first, else inside it."""
    cleaned = re.sub(r"\s+", " ", text).strip(" ,.;:!?")
    found = when.split_when(cleaned) or _split_inside(cleaned.split())
    if found is None:
        return None
    before, _, _ = cleaned.partition(found[0])
    return None if _SHIFTED.search(digits(before.casefold())) else found


def _split_inside(words: Sequence[str]) -> tuple[str, str] | None:
    for length in range(min(len(words) - 2, 8), 0, -1):
        for start in range(1, len(words) - length):
            phrase = " ".join(words[start : start + length])
            if when.is_time_phrase(phrase) and not phrase.casefold().startswith(("for ", "the ")):
                return phrase, " ".join((*words[:start], *words[start + length :]))
    return None


def _what(text: str) -> str:
    """The thing to be reminded of, without the words that only join it to the request."""
    text = text.strip(" ,.;:!?-")
    while True:
        shorter = re.sub(
            r"^(to|that|about|of|for|and|on|so that|so|saying|called|named|with the text|titled|"
            r"i (have|need|want|ought|should|must|am supposed|'ve got|gotta) (to )?|it's time (to|for)|regarding|"
            r"please|which says|that says|:|-|—)[ :]+",
            "",
            text,
            flags=re.IGNORECASE,
        )
        shorter = re.sub(r"[ ,]+(and|to|that|about|please|for me)$", "", shorter, flags=re.IGNORECASE).strip(" ,.;:!?-")
        if shorter == text:
            return text
        text = shorter


def _nothing(slots: Slots, variant: str) -> Intent | None:
    del slots, variant
    return None


def _clock_now(slots: Slots, variant: str) -> Intent | None:
    del variant
    place = _place(slots.get("place", ""))
    if len(place.split()) > 5 or re.match(
        r"(your|my|the (world|office|meeting|game)|there|here|a|an|general)\b", place.casefold()
    ):
        return Intent("clock.now") if place.casefold() in ("there", "here", "my city", "my place", "my area") else None
    return Intent("clock.now", {"place": place} if place else {})


def _clock_date(slots: Slots, variant: str) -> Intent | None:
    del variant
    arguments: dict[str, object] = {}
    if place := slots.get("place"):
        arguments["place"] = _place(place)
    if day := re.sub(r"'s$", "", slots.get("day", "")).strip():
        asked = re.sub(r"^(on|of|for|it|the date of) ", "", day, flags=re.IGNORECASE)
        try:
            when.parse_day(asked, datetime.now(UTC), UTC)
        except when.NotATime:
            return None
        arguments["day"] = asked
    return Intent("clock.date", arguments)


def _math(slots: Slots, variant: str) -> Intent | None:
    del variant
    expression = slots["expression"]
    return Intent("math.calculate", {"expression": expression}) if to_expression(expression) else None


def _units(slots: Slots, variant: str) -> Intent | None:
    del variant
    amount, unit = slots["amount"], slots["unit"]
    if re.match(r"(a|the) (single|whole) ", amount):
        amount = re.sub(r"^(a|the) (single|whole) ", "a ", amount)
    if parse_measure(amount) is None or parse_unit(unit) is None:
        return None
    return Intent("units.convert", {"amount": amount, "to": unit})


def _dice(slots: Slots, variant: str) -> Intent | None:
    del variant
    if "reason" in slots:
        return Intent("dice.roll", {"dice": "1d20"}) if len(slots["reason"].split()) <= 2 else None
    if "dice" not in slots:
        return Intent("dice.roll")
    dice = parse_dice(slots["dice"])
    return Intent("dice.roll", {"dice": str(dice)}) if dice else None


def _coin(slots: Slots, variant: str) -> Intent | None:
    del variant
    if "count" not in slots:
        return Intent("coin.flip")
    count = {"some": "2", "a couple of": "2", "twice": "2"}.get(slots["count"].casefold(), digits(slots["count"]))
    return Intent("coin.flip", {"count": int(count)}) if count.isdigit() and 1 <= int(count) <= 100 else None


_NOT_BEFORE = re.compile(
    r"(don't|do not|never|stop|no need|you don't|did|do|does|are|is|have|has|had|can|could|will|would|should|"
    r"what|which|when|where|who|why|how|if|was|were)\b(?! you$)",
    re.IGNORECASE,
)
"""Before "remind me" these make a question or a refusal of it, not a request."""


def _remind(slots: Slots, variant: str) -> Intent | None:
    del variant
    before, rest = slots.get("before", ""), slots.get("rest", "")
    if _question(rest) or _NOT_BEFORE.match(before):
        return None
    if after := slots.get("after", ""):
        rest = f"{rest} {after}"
    if when.is_time_phrase(before):
        found: tuple[str, str] | None = (before, rest)
    else:
        found = _split(rest) or _split(before)
        if found is not None and before:
            found = (found[0], f"{before} {found[1]}" if _split(rest) else f"{found[1]} {rest}")
    if found is None:
        text = _what(f"{before} {rest}")
        return Intent("reminders.create", {"text": text} if text else {}, missing=NO_WHEN)
    phrase, text = _whole_rhythm(*found)
    return Intent("reminders.create", {"when": phrase, "text": _what(text)})


def _whole_rhythm(phrase: str, text: str) -> tuple[str, str]:
    """ "every monday ... at 9": the time of day may stand apart from the rhythm."""
    more = _split(text)
    if more is None or when.is_recurring(phrase) == when.is_recurring(more[0]):
        return phrase, text
    whole = f"{phrase} {more[0]}" if when.is_recurring(phrase) else f"{more[0]} {phrase}"
    return (whole, more[1]) if when.is_time_phrase(whole) else (phrase, text)


def _retimed(text: str) -> str | None:
    """The new time in "change it to ...": a time of day, a moment or a rhythm."""
    text = re.sub(r"^(be |happen |ring |fire |go off |come |remind me )?(to |at )?(?=\d)", "", text.strip(" ,.;:!?"))
    text = re.sub(r"^(be|happen|ring|fire|go off|come|remind me) ", "", text, flags=re.IGNORECASE)
    if when.is_time_phrase(text) or when.is_time_phrase(f"at {text}") or when.usual_clock(text) is not None:
        return text
    return None


def _edit(slots: Slots, variant: str) -> Intent | None:
    which = re.sub(r"^(my|the|that|this)\b ?", "", slots.get("which", ""), flags=re.IGNORECASE).strip()
    if which.casefold() in ("it", "that", "this", "that one", "this one", "last", "latest", "newest", "last one"):
        which = "last"
    arguments: dict[str, object] = {"which": digits(which)} if variant != "last" else {"which": "last"}
    if variant == "text":
        return Intent("reminders.edit", arguments | {"text": slots["text"]})
    new = _retimed(slots.get("to", ""))
    return Intent("reminders.edit", arguments | {"when": new}) if new else None


def _length(text: str) -> tuple[str, str] | None:
    """The length of time in a text and what is left of it."""
    words = re.sub(r"(?<=\w)-(?=\w)", " ", text).strip(" ,.").split()
    if len(words) > _TIMER_WORDS:
        return None
    for length in range(min(len(words), 9), 0, -1):
        for start in range(len(words) - length + 1):
            phrase = " ".join(words[start : start + length])
            if not re.match(r"(for|in|of|to|and|from|the|my)\b", phrase.casefold()) and _is_length(phrase):
                return phrase, " ".join((*words[:start], *words[start + length :]))
    return None


_TIMER_WORDS = 24
"""Words that a timer's length, its name and the small words between them have at most."""


@lru_cache(maxsize=1024)  # several templates ask about the same words of a sentence, one after the other
def _is_length(phrase: str) -> bool:
    try:
        when.parse_duration(phrase)
    except when.NotATime:
        return False
    return True


_NO_LABEL = re.compile(r"(minus|negative|cancel|stop|delete|remove|clear|end|kill|reset|restart)\b", re.IGNORECASE)
"""What looks like a timer's name but makes the sentence mean something else than to start one."""


def _timer(slots: Slots, variant: str) -> Intent | None:
    del variant
    label, rest = slots.get("label", ""), slots.get("rest", "")
    if not rest:
        return Intent("timers.create", missing=NO_LENGTH)
    found = _length(rest)
    if found is None:
        return None
    phrase, left = found
    left = re.sub(r"\b(timer|countdown|and|please)\b", " ", left, flags=re.IGNORECASE)
    label = label or re.sub(
        r"^(?:(?:for|of|to|from|at|in|called|named|labell?ed|my|the)\b ?)+", "", left.strip(), flags=re.IGNORECASE
    )
    label = re.sub(r"(?:^| )(?:for|of|to|from|at|in|on)$", "", label.strip(" ,.:"), flags=re.IGNORECASE)
    label = re.sub(r"^(?:(?:a|an|the|my|another|new|quick|one)\b ?)+", "", label, flags=re.IGNORECASE)
    if len(label.split()) > 8 or _NO_LABEL.match(label):
        return None
    return Intent("timers.create", {"duration": phrase, "label": label} if label else {"duration": phrase})


def _list(slots: Slots, variant: str) -> Intent | None:
    del slots, variant
    return Intent("reminders.list")


def _cancel(slots: Slots, variant: str) -> Intent | None:
    if variant == "all":
        return Intent("reminders.cancel", {"all": True})
    which = re.sub(
        r"^(my|the|that|this|to|about|for|last|all|all my|every)\b ?",
        "",
        _what(slots.get("which", "")),
        flags=re.IGNORECASE,
    )
    found = _split(which) if which else None
    if found is not None and found[1]:
        which = _what(found[1])
    return Intent("reminders.cancel", {"which": which} if which else {})


def _remember(slots: Slots, variant: str) -> Intent | None:
    text = re.sub(r"^(that|this|the fact that|:)[ :]+", "", slots["text"], flags=re.IGNORECASE).strip(" ,:;-")
    if not _fact(text):
        return None
    return Intent("memory.remember", {"text": text, "scope": "server"} if variant == "server" else {"text": text})


def _recall(slots: Slots, variant: str) -> Intent | None:
    del variant
    topic = " ".join(slots[key] for key in ("kind", "topic") if slots.get(key))
    if re.fullmatch(r"(me|about me|of me|myself|that|this|it|us|so far)", topic.casefold()):
        topic = ""
    if re.search(r"\b(reminders?|timers?|alarms?|time ?zone)\b", topic.casefold()):
        return None
    if re.match(r"(the )?(day|time|date|week|month|year)( of the week)?( it)?( is)?( it)?$", topic.casefold()):
        return None
    return Intent("memory.recall", {"query": topic} if topic else {})


def _forget(slots: Slots, variant: str) -> Intent | None:
    del variant
    if "text" not in slots:
        return Intent("memory.forget", missing=NO_TOPIC)
    text = re.sub(
        r"^(that|about|the fact that|my memory of|what i said about)\b ?", "", slots["text"], flags=re.IGNORECASE
    ).strip()
    if not text or re.fullmatch(
        r"(everything|all|me|all of it|it|that|this|what i said|everything .* me)", text.casefold()
    ):
        return None
    return Intent("memory.forget", {"query": text})


def _forget_all(slots: Slots, variant: str) -> Intent | None:
    del slots, variant
    return Intent("memory.forget_all")


def _timezone(slots: Slots, variant: str) -> Intent | None:
    del variant
    place = _place(slots.get("place", ""))
    return Intent("profile.timezone", {"place": place} if place else {})


def _difference(slots: Slots, variant: str) -> Intent | None:
    del variant
    return Intent("clock.difference", {key: _place(value) for key, value in slots.items()})


def _language(slots: Slots, variant: str) -> Intent | None:
    del variant
    if "language" not in slots:
        return Intent("profile.language")
    code = language_named(slots["language"])
    return Intent("profile.language", {"language": code}) if code else None


def _own_name(slots: Slots, variant: str) -> Intent | None:
    del variant
    return Intent("profile.name", {"name": slots["name"]} if "name" in slots else {})


def _summary(slots: Slots, variant: str) -> Intent | None:
    del variant
    if "count" in slots:
        count = digits(slots["count"])
        return Intent("channel.summary", {"messages": int(count)}) if count.isdigit() and int(count) > 0 else None
    if "since" in slots:
        since = since_of(slots["since"], ENGLISH)
        return Intent("channel.summary", {"since": since}) if since else None
    return Intent("channel.summary")


def _poll(slots: Slots, variant: str) -> Intent | None:
    if variant == "yes_no":
        question = slots["question"].strip(" ?.!")
        return Intent("polls.create", {"question": f"{question[:1].upper()}{question[1:]}?", "options": ["Yes", "No"]})
    closes, asked = open_for(slots["options"], ENGLISH)
    found = options_of(asked, "en")
    if found is None:
        return None
    arguments: dict[str, object] = {"question": found[0], "options": list(found[1])}
    return Intent("polls.create", arguments | ({"closes": closes} if closes else {}))


def _vote(slots: Slots, variant: str) -> Intent | None:
    del variant
    number = digits(slots["option"]).strip("# .")
    option = number if number.isdigit() else re.sub(r"^(the|option|number) ", "", slots["option"], flags=re.I)
    return Intent("polls.vote", {"option": option}) if option else None


_BUILDERS: Mapping[str, Callable[[Slots, str], Intent | None]] = {
    "clock.now": _clock_now,
    "clock.date": _clock_date,
    "math.calculate": _math,
    "units.convert": _units,
    "dice.roll": _dice,
    "coin.flip": _coin,
    "reminders.create": _remind,
    "timers.create": _timer,
    "reminders.list": _list,
    "reminders.edit": _edit,
    "reminders.cancel": _cancel,
    "memory.remember": _remember,
    "memory.recall": _recall,
    "memory.forget": _forget,
    "memory.forget_all": _forget_all,
    "profile.timezone": _timezone,
    "profile.language": _language,
    "profile.name": _own_name,
    "clock.difference": _difference,
    "channel.summary": _summary,
    "polls.create": _poll,
    "polls.vote": _vote,
    "polls.show": lambda slots, variant: Intent("polls.show"),
    "polls.close": lambda slots, variant: Intent("polls.close"),
    "system.help": lambda slots, variant: Intent("system.help"),
    "system.status": lambda slots, variant: Intent("system.status"),
}
