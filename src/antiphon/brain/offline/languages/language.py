"""What a language brings to be understood, and what all of them share: reading a phrase piece by piece."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, cast

from antiphon.brain.offline.languages.place_names import english_place
from antiphon.tools.builtin import when
from antiphon.tools.builtin.arithmetic import to_expression
from antiphon.tools.builtin.dice import parse_dice
from antiphon.tools.builtin.units import parse_measure, parse_unit

English = str | Callable[[re.Match[str]], str | None]
"""What a piece means: words (with references to groups), or a function that may still refuse (None)."""
Pieces = Sequence[tuple[re.Pattern[str], English]]
LONGEST_PHRASE = 12
"""Words of a time phrase."""


def pieces(*rows: tuple[str, English]) -> Pieces:
    """Compiled rows, in the order they are tried."""
    return tuple((re.compile(pattern), english) for pattern, english in rows)


class Language(ABC):
    """One language. Every method takes words of that language and gives English, or None for what it does not mean."""

    code: ClassVar[str]
    times: ClassVar[Pieces]
    lengths: ClassVar[Pieces]
    past: ClassVar[Pieces]
    """Days that are over, whole phrases: only the calendar is asked about them."""
    sums: ClassVar[Pieces]
    """Rewrites of a sum, applied everywhere one after the other."""
    dice_words: ClassVar[Pieces]
    units: ClassVar[Mapping[str, str]]
    no_start: ClassVar[re.Pattern[str]]
    """Words a time phrase inside a sentence does not begin with."""
    place_words: ClassVar[re.Pattern[str]]
    """Words around a place that are not its name."""
    connectors: ClassVar[re.Pattern[str]]
    """Words that only join what is to be remembered to the request, at its beginning."""
    connectors_after: ClassVar[re.Pattern[str]]
    questions: ClassVar[re.Pattern[str]]
    pronouns: ClassVar[re.Pattern[str]]
    """Whole texts that name nothing to remember or forget."""
    mine: ClassVar[re.Pattern[str]]
    """A word that says the speaker is spoken of."""
    not_own: ClassVar[re.Pattern[str]]
    """What nobody told the agent to remember: reminders, zones, jokes."""

    def __init__(self) -> None:
        self.when = lru_cache(4096)(self._when)
        self.length = lru_cache(1024)(self._length)

    @abstractmethod
    def digits(self, text: str) -> str:
        """The text with number words as digits and with a decimal point."""

    def normal(self, text: str) -> str:
        """Lower case, digits, no punctuation but what belongs to numbers."""
        text = self.digits(text.casefold().replace("\u2019", "'"))
        text = re.sub(r"[,;!?¿¡]|(?<!\d)\.|\.(?!\d| [a-zäö]|\s*$)", " ", text)
        return re.sub(r"\s+", " ", text).strip()

    def _when(self, phrase: str) -> str | None:
        if len(phrase) > 100 or len(phrase.split()) > LONGEST_PHRASE + 4:
            return None
        english = _consumed(self.normal(phrase), self.times)
        return english if english and when.is_time_phrase(english) else None

    def _length(self, phrase: str) -> str | None:
        if len(phrase.split()) > LONGEST_PHRASE:
            return None
        english = _consumed(self.normal(phrase), self.lengths)
        if not english:
            return None
        try:
            when.parse_duration(english)
        except when.NotATime:
            return None
        return english

    def split_when(self, text: str) -> tuple[str, str] | None:
        """The time of a request, in English, and the rest as it was said. At its ends first, longest first."""
        words = text.strip(" ,.;:!?¿¡-").split()
        if len(words) > 60:
            return None
        most = min(len(words), LONGEST_PHRASE)
        for length in range(most, 0, -1):
            spots = dict.fromkeys((len(words) - length, 0, *range(1, len(words) - length)))
            for start in spots:
                phrase = " ".join(words[start : start + length]).strip(" ,.;:!?¿¡-")
                if not phrase or self.no_start.match(phrase.casefold()):
                    continue
                if (english := self.when(phrase)) is not None:
                    return english, " ".join((*words[:start], *words[start + length :])).strip(" ,;:-")
        return None

    def split_length(self, text: str) -> tuple[str, str] | None:
        """The length of time in a text, in English, and what is left of it."""
        words = re.sub(r"(?<=\w)-(?=\w)", " ", text).strip(" ,.:!?").split()
        for length in range(min(len(words), LONGEST_PHRASE), 0, -1):
            for start in range(len(words) - length + 1):
                phrase = " ".join(words[start : start + length]).strip(" ,.:;")
                if self.no_start.match(phrase.casefold()):
                    continue
                if (english := self.length(phrase)) is not None:
                    return english, " ".join((*words[:start], *words[start + length :])).strip(" ,:")
        return None

    def day(self, text: str) -> str | None:
        """A day: a time phrase without a clock."""
        past = _consumed(self.normal(text.strip(" ?.!¿¡")), self.past)
        if past:
            return past
        english = self.when(text.strip(" ?.!¿¡"))
        return english if english and not re.search(r"\b(at \d|\d:\d\d|minutes?|hours?|seconds?)\b", english) else None

    def expression(self, text: str) -> str | None:
        """A sum in signs."""
        work = self.digits(text.casefold().strip(" ?.=!¿¡" if not re.search(r"\d\s?!$", text) else " ?.="))
        for pattern, new in self.sums:
            work = pattern.sub(cast("str", new), work)
        work = re.sub(r"\s+", " ", work).strip()
        if re.search(
            r"[^\W\d_]{2,}", re.sub(r"\b(sqrt|of|cbrt|log|ln|sin|cos|tan|pi|mean|sum|abs|cube root)\b", "", work)
        ):
            return None
        return work if to_expression(work) else None

    def unit(self, text: str) -> str | None:
        """A unit as the tools call it."""
        wanted = re.sub(r"\s+", " ", text.casefold().strip(" ?.!,¿¡"))
        wanted = self.units.get(wanted, wanted)
        return wanted if parse_unit(wanted) else None

    def measure(self, text: str) -> str | None:
        """An amount with its unit."""
        work = self.normal(text).strip(" .")
        work = _replaced(work, self.lengths_in_measures)
        if re.fullmatch(r"\d+ ?(?:fuß|fuss|pies?) (?:y |und )?\d+(?: ?(?:zoll|pulgadas?))?", work):
            feet, inches = re.findall(r"\d+", work)
            return f"{feet} ft {inches} in"
        match = re.fullmatch(r"(-?\d+(?:\.\d+)?(?: ?/ ?\d+)?|an?|half an?)?\s*(.+)", work)
        if match is None or (unit := self.unit(re.sub(r"^(?:grad|grados?) ", "", match[2]))) is None:
            return None
        amount = f"{match[1] or '1'} {unit}"
        return amount if parse_measure(amount) else None

    lengths_in_measures: ClassVar[Pieces]
    """Rewrites of amounts ("eine halbe", "media") at the beginning of a measure."""

    def dice(self, text: str) -> str | None:
        """Dice notation."""
        work = self.digits(text.casefold().strip(" ?.!¿¡"))
        for pattern, new in self.dice_words:
            work = pattern.sub(cast("str", new), work)
        dice = parse_dice(re.sub(r"\s+", " ", work).strip())
        return str(dice) if dice else None

    def place(self, text: str) -> str | None:
        """A place as the tools know it."""
        name = re.sub(r"\s+", " ", self.place_words.sub("", text.strip(" ?.!,¿¡"))).strip()
        return english_place(name, self.code) if name and len(name.split()) <= 4 else None

    def what(self, text: str) -> str:
        """The thing to be reminded of, without the words that only join it to the request."""
        text = text.strip(" ,.;:!?-")
        while True:
            shorter = self.connectors_after.sub("", self.connectors.sub("", text)).strip(" ,.;:!?-")
            if shorter == text or not shorter:
                return shorter
            text = shorter


def _consumed(rest: str, table: Pieces) -> str | None:
    """The phrase in English when every word of it means something."""
    found: list[str] = []
    while rest:
        for pattern, english in table:
            if (match := pattern.match(rest)) is None or not match[0]:
                continue
            words = match.expand(english) if isinstance(english, str) else english(match)
            if words is None:
                continue
            found.append(words)
            rest = rest[match.end() :].lstrip()
            break
        else:
            return None
    return re.sub(r"\s+", " ", " ".join(found)).strip()


def _replaced(text: str, table: Pieces) -> str:
    for pattern, english in table:
        if isinstance(english, str):
            text = pattern.sub(english, text)
    return text
