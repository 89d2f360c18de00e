"""Parts of requests that are read alike in every language: the options of a poll, the time a summary begins at,
names of languages."""

from __future__ import annotations

import re
from typing import Protocol

_OR = {"en": r"or|and|vs\.?|versus", "de": r"oder|und|vs\.?", "es": r"o|u|y|vs\.?"}
_ASKED = re.compile(
    r"(¿?(?:who|when|where|what|which|wer|wann|wo|was|wohin|welche\w*|qui[eé]n|cu[aá]ndo|d[oó]nde|qu[eé]|cu[aá]l)\b"
    r"[^,?]*)[,?] (.+)",
    re.IGNORECASE,
)
_LONGEST_OPTION = 80
MOST_OPTIONS = 20


_LANGUAGES = {
    "deutsch": "de", "deutsche": "de", "deutschen": "de", "englisch": "en", "englische": "en", "spanisch": "es",
    "spanische": "es", "alemán": "de", "aleman": "de", "inglés": "en", "ingles": "en", "español": "es",
    "espanol": "es", "castellano": "es", "german": "de", "english": "en", "spanish": "es",
}  # fmt: skip


def language_named(text: str) -> str | None:
    """The tag of a language by its name in any of the three, or None."""
    return _LANGUAGES.get(text.casefold().strip(" .!?"))


class Speaks(Protocol):
    """Whatever reads lengths and days of a language into English."""

    def length(self, phrase: str) -> str | None:
        """As `Language.length`."""
        ...

    def day(self, text: str) -> str | None:
        """As `Language.day`."""
        ...


def options_of(text: str, language: str) -> tuple[str, tuple[str, ...]] | None:
    """Question and options of "when do we meet: friday, saturday or sunday?"; the question may be missing.

    None when there are fewer than two options, or the same one twice.
    """
    text = re.sub(r"\s+", " ", text).strip(" :,-")
    question, separator, rest = text.partition(": ")
    if not separator:
        question, separator, rest = text.partition("? ")
    if not separator:
        question, rest = "", text
    # "when do we meet, friday, saturday or sunday": what begins like a question is one
    if (match := _ASKED.match(rest)) and (not question or re.search(rf",| (?:{_OR[language]}) ", match[2])):
        question, rest = match[1], match[2]
    rest = rest.strip(" ?.!¿¡")
    pieces = re.split(rf"\s*[,;/|]\s*(?:(?:{_OR[language]})\s+)?|\s+(?:{_OR[language]})\s+", rest, flags=re.IGNORECASE)
    options = tuple(piece.strip(" \"'“”¿¡?") for piece in pieces if piece.strip(" \"'“”¿¡?"))
    if not 2 <= len(options) <= MOST_OPTIONS or len({o.casefold() for o in options}) < len(options):
        return None
    if any(len(option) > _LONGEST_OPTION or len(option.split()) > 10 for option in options):
        return None
    question = question.strip(" ¿:")
    if question and not question.endswith("?"):
        question += "?"
    return question[:1].upper() + question[1:], options


def open_for(text: str, speaks: Speaks) -> tuple[str, str]:
    """How long a poll stays open ("10 minutes", or "") and what is asked, of "for 10 minutes: pizza or pasta?"."""
    first, colon, rest = text.partition(":")
    length = speaks.length(re.sub(r"^(?:for|für|über|von|de|por|durante|que dure) ", "", first.strip().casefold()))
    return (length, rest.strip()) if colon and length else ("", text)


def since_of(text: str, speaks: Speaks) -> str | None:
    """Where a summary begins, as the tool reads it: "2 hours" (ago) or a day such as "yesterday"."""
    plain = text.strip(" ?.!¿¡").casefold()
    if length := speaks.length(plain):
        return length
    if (one := re.fullmatch(r"(stunde|minute|woche|hora|semana|hour|minute|day|week|tag|día)", plain)) is not None:
        unit = {"stunde": "hour", "hora": "hour", "woche": "week", "semana": "week", "tag": "day", "día": "day"}
        return f"1 {unit.get(one[1], one[1])}"
    if plain in ("gestern", "ayer", "yesterday"):
        return "yesterday"
    if plain in ("heute", "hoy", "today", "heute morgen", "heute früh", "esta mañana", "this morning"):
        return "today"
    return speaks.day(plain)
