"""The sentence templates of one language, compiled: text in, candidate intents out. Used by `understand`.

hassil matches a template in a tenth of a millisecond, of which there are hundreds. So each is first held against the
words it cannot do without, then against a regular expression that lets through a little more than it; hassil reads the
few that are left.

Also repairs typing errors towards the words the templates themselves know. Importing hassil costs a tenth of a second,
compiling a language about half a one, so both happen in `load`, in a thread.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import yaml
from hassil import Intents, recognize_all
from hassil.models import MatchEntity
from hassil.util import normalize_for_matching
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

_ENDS = re.compile(r"^[\s,.;:!?¿¡\-\u2013\u2014\u2026*_~]+|[\s,;:!?¿¡.\-\u2013\u2014\u2026*_~]+$")
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read a sentence. `matched` counts the letters that are the template's own: more is surer."""

    intent: str
    variant: str
    slots: Mapping[str, str]
    matched: int


@dataclass(frozen=True, slots=True)
class _Template:
    """One sentence of an intent. `needs` are sets of fragments of which each must give one that is in the text."""

    needs: frozenset[frozenset[str]]
    shape: re.Pattern[str]
    alone: Intents

    def may_match(self, text: str, present: frozenset[str]) -> bool:
        """`present` are the fragments of the language that are in the text."""
        return not any(clause.isdisjoint(present) for clause in self.needs) and self.shape.match(text) is not None


class Grammar:
    """One language."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.language: str = source["language"]
        self.source = source
        self.replies: Mapping[str, Sequence[str]] = source["replies"]
        self.details = frozenset(source["details"])
        self._folds = bool(source.get("folds"))
        self._kinds = {word: kind for kind, words in source["kinds"].items() for word in words}
        self._leading = _ends_pattern(source["leading"], start=True)
        self._trailing = _ends_pattern(source["trailing"], start=False)
        self._rewrites = [(re.compile(pattern, re.IGNORECASE), new) for pattern, new in source["rewrite"]]
        self.joins = [re.compile(pattern, re.IGNORECASE) for pattern in source["joins"]]
        self.also = re.compile(source["also"], re.IGNORECASE)
        self.asking = re.compile(source["asking"], re.IGNORECASE)
        self._templates = self._compile(source["intents"], source["rules"])
        self._by_fragment: dict[str, list[int]] = {}
        for index, template in enumerate(self._templates):
            # Filed under its most telling words; one that needs none (a lone slot) is always looked at.
            for fragment in min(template.needs, key=len, default=("",)):
                self._by_fragment.setdefault(fragment, []).append(index)
        self._fragments = tuple({f for template in self._templates for clause in template.needs for f in clause})
        self._words = _vocabulary(source)
        self._respelled = {_spelled_out(word): word for word in self._words if _spelled_out(word) != word}

    def _compile(self, source: Mapping[str, Sequence[str]], rules: Mapping[str, str]) -> Sequence[_Template]:
        """Templates for hassil; `{slot:check}` becomes a slot of its own name, whose check the slots' code makes."""
        slots: set[str] = set()

        def plain(match: re.Match[str]) -> str:
            name = match[1] + (f"_{match[2]}" if match[2] else "")
            slots.add(name)
            return "{" + name + "}"

        found = [
            (name, self._folded(re.sub(r"\{(\w+)(?::(\w+))?\}", plain, sentence)))
            for name, sentences in source.items()
            for sentence in sentences
        ]
        folded = {name: self._folded(rule) for name, rule in rules.items()}
        whole = Intents.from_dict(
            {"language": self.language, "intents": {}, "expansion_rules": folded,
             "lists": {slot: {"wildcard": True} for slot in slots}}
        )  # fmt: skip
        templates: list[_Template] = []
        for name, sentence in found:
            alone = Intents.from_dict(
                {"language": self.language, "intents": {name: {"data": [{"sentences": [sentence]}]}}}
            )
            alone.slot_lists, alone.expansion_rules = whole.slot_lists, whole.expansion_rules
            [parsed] = alone.intents[name].data[0].sentences
            parsed.compile(whole.expansion_rules)
            shape = cast("re.Pattern[str]", parsed.pattern)  # pyright: ignore[reportUnknownMemberType]
            templates.append(_Template(parsed.get_required_clauses(whole.expansion_rules), shape, alone))
        return templates

    def _folded(self, text: str) -> str:
        """Without accents, letter by letter, where the language is often typed without them."""
        return "".join(unicodedata.normalize("NFD", c)[0] for c in text) if self._folds else text

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
        folded = self._folded(text)
        plain = normalize_for_matching(folded).text.lower().strip()
        casefolded = plain.casefold()
        present = frozenset(fragment for fragment in self._fragments if fragment in casefolded)
        near = {index for fragment in (*present, "") for index in self._by_fragment.get(fragment, ())}
        for index in sorted(near):
            template = self._templates[index]
            if not template.may_match(plain, present):
                continue
            for result in recognize_all(folded, template.alone, language=self.language):
                name, _, variant = result.intent.name.partition("#")
                # As it was written: with its accents, its commas and its capital letters.
                slots = {key: _span(text, entity) for key, entity in result.entities.items()}
                yield Candidate(name, variant, slots, result.text_chunks_matched)

    def respelled(self, text: str) -> str:
        """The text with "ae" for "ä" undone in the words the grammar knows."""
        if not self._respelled:
            return text
        return re.sub(r"[^\W\d_]+", lambda m: self._respelled.get(m[0].casefold(), m[0]), text)

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


def _span(text: str, entity: MatchEntity) -> str:
    start, end = entity.text_span or (0, 0)
    return text[start:end].strip()


def _spelled_out(word: str) -> str:
    return "".join(_UMLAUTS.get(c, c) for c in word)


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
