"""The sentence templates of one language, compiled: text in, candidate intents out. Used by `understand`.

Also repairs typing errors towards the words the templates themselves know. Importing hassil costs a tenth of a second,
compiling a language about half a one, so both happen in `load`, in a thread, at warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from hassil import Intents, recognize_all
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

_ENDS = re.compile(r"^[\s,.;:!?\-\u2013\u2014\u2026*_~]+|[\s,;:!?.\-\u2013\u2014\u2026*_~]+$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read a sentence. `matched` counts the letters that are the template's own: more is surer."""

    intent: str
    variant: str
    slots: Mapping[str, str]
    matched: int


class Grammar:
    """One language."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.language: str = source["language"]
        self.replies: Mapping[str, Sequence[str]] = source["replies"]
        self.details = frozenset(source["details"])
        self._kinds = {word: kind for kind, words in source["kinds"].items() for word in words}
        self._leading = _ends_pattern(source["leading"], start=True)
        self._trailing = _ends_pattern(source["trailing"], start=False)
        self._rewrites = [(re.compile(pattern, re.IGNORECASE), new) for pattern, new in source["rewrite"]]
        self.checks: dict[str, dict[str, str]] = {}
        intents, slots = self._compile(source["intents"])
        self._intents = Intents.from_dict(
            {
                "language": self.language,
                "intents": intents,
                "expansion_rules": source["rules"],
                "lists": {slot: {"wildcard": True} for slot in slots},
            }
        )
        self._words = _vocabulary(source)

    def _compile(self, source: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], set[str]]:
        """Templates for hassil; `{slot:check}` becomes a slot of its own name, whose check `slots.py` makes."""
        slots: set[str] = set()

        def plain(match: re.Match[str]) -> str:
            name = match[1] + (f"_{match[2]}" if match[2] else "")
            slots.add(name)
            return "{" + name + "}"

        compiled = {
            name: {"data": [{"sentences": [re.sub(r"\{(\w+)(?::(\w+))?\}", plain, s) for s in sentences]}]}
            for name, sentences in source.items()
        }
        return compiled, slots

    def bare(self, text: str) -> str:
        """The text without mentions, ornaments, and words around the request that do not change it."""
        text = _ENDS.sub(
            "", re.sub(r"<[@#][!&]?\d+>|@antiphon\b", " ", text.replace("\u2019", "'"), flags=re.IGNORECASE)
        )
        text = re.sub(r"\s+", " ", text).strip()
        while True:
            shorter = _ENDS.sub("", self._leading.sub("", text, count=1))
            shorter = _ENDS.sub("", self._trailing.sub("", shorter, count=1))
            if shorter == text or not shorter:
                return text
            text = shorter

    def kind(self, text: str) -> str:
        """Whether the text speaks of reminders only, of timers only, or of "any"."""
        kinds = {self._kinds[word] for word in re.findall(r"[^\W\d_]+", text.casefold()) if word in self._kinds}
        return kinds.pop() if len(kinds) == 1 else "any"

    def rewritten(self, text: str) -> str:
        """The text with spellings that mean the same made one."""
        for pattern, new in self._rewrites:
            text = pattern.sub(_BASE_FORMS if new == "@verb " else new, text)
        return text.strip()

    def candidates(self, text: str) -> Iterator[Candidate]:
        """Every reading of the whole text."""
        for result in recognize_all(text, self._intents, language=self.language):
            name, _, variant = result.intent.name.partition("#")
            slots = {key: str(entity.value).strip() for key, entity in result.entities.items()}
            yield Candidate(name, variant, slots, result.text_chunks_matched)

    def repaired(self, text: str) -> str:
        """The text with unknown words replaced by the most similar word of the grammar, where one is close."""
        return " ".join(self._repair(word) for word in text.split())

    def _repair(self, word: str) -> str:
        core = word.strip(",.;:!?")
        if len(core) < 4 or not core.isalpha() or core.casefold() in self._words:
            return word
        low = core.casefold()
        near = process.extract(low, self._words, scorer=OSA.distance, score_cutoff=_slips(low), limit=10)

        def unlikely(found: tuple[str, float, int]) -> tuple[float, bool, float]:
            """Fewest slips first, then swapped letters, then the most alike."""
            return found[1], sorted(found[0]) != sorted(low), -JaroWinkler.similarity(low, found[0])

        best = min(near, key=unlikely, default=None)
        return word.replace(core, best[0]) if best else word


@cache
def load(language: str) -> Grammar:
    """Read and compile a language, once per process. Raises `FileNotFoundError` for one that has no file."""
    path = files("antiphon.brain.offline") / "intents" / f"{language}.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Grammar(yaml.load(path.read_text("utf-8"), Loader=loader))  # noqa: S506 - a safe loader either way


def _ends_pattern(phrases: Sequence[str], *, start: bool) -> re.Pattern[str]:
    inner = "|".join(f"(?:{phrase})" for phrase in phrases)
    pattern = rf"^(?:{inner})(?=[\s,.;:!?\-]|$)" if start else rf"(?<=[\s,.;:!?\-])(?:{inner})$"
    return re.compile(pattern, re.IGNORECASE)


def _BASE_FORMS(match: re.Match[str]) -> str:  # noqa: N802 - a replacement function used like a constant
    """ "flipping " -> "flip "."""
    word = match[1].casefold().removesuffix("ing")
    if len(word) > 3 and word[-1] == word[-2] and word[-1] in "tpl" and word not in ("roll", "tell", "call"):
        word = word[:-1]
    return {"giv": "give", "not": "note", "mak": "make", "calculat": "calculate", "toss": "toss"}.get(word, word) + " "


def _slips(word: str) -> int:
    """How many slips of the finger (a letter missing, added, wrong, or two swapped) are believed in a word."""
    return 1 if len(word) < 8 else 2


def _vocabulary(source: Mapping[str, Any]) -> list[str]:
    """Every word of the templates."""
    texts = [sentence for sentences in source["intents"].values() for sentence in sentences]
    texts += source["rules"].values()
    words: set[str] = set()
    for text in texts:
        words |= {w.casefold() for w in re.findall(r"[^\W\d_]{3,}", re.sub(r"\{[^}]*\}|<[^>]*>", " ", text))}
    return sorted(words)
