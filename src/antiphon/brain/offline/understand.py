"""What a person asks for, out of what they say. Read by the offline model; knows nothing of models or tools running.

In order: the sentence as it is, then without the words around it, then with typing errors repaired (less sure, and
never enough for anything that deletes), then split into several requests, then as a follow-up of the last one. What
none of these explains is "none": the offline model then says so instead of guessing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from antiphon.brain.offline.detect import DEFAULT, languages
from antiphon.brain.offline.slots import NONE, Intent, Slots, build

if TYPE_CHECKING:
    from antiphon.brain.offline.grammar import Grammar

REPAIRED = 0.7
"""Confidence of a reading that needed words repaired."""
_SURE_ONLY = frozenset({"memory.forget", "memory.forget_all", "reminders.cancel", "reminders.edit"})
"""Readings that must not rest on a guessed word: they delete or replace."""
_NARROWED = {("reminders.list", "timer"), ("reminders.cancel", "timer"), ("reminders.cancel", "reminder")}
LONGEST = 400
"""Characters beyond which a text is a story and no request."""
_MOST_REQUESTS = 4


class Understanding:
    """All languages. English is loaded by `warm_up`, another one with the first message in it: call `load` in a thread
    before `read`, as compiling a language takes half a second."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}

    def warm_up(self) -> None:
        """Compile English, and run it once so that nothing is left for the first person."""
        self.read("what time is it in tokyo")

    def grammar(self, language: str = DEFAULT) -> Grammar:
        """A compiled language."""
        return self._voice(language).grammar

    def languages(self, text: str, earlier: Sequence[str] = (), language: str = DEFAULT) -> Sequence[str]:
        """The languages a text may be in, likeliest first. `language`, the person's own, decides between equals."""
        return languages(text, preferred=language, earlier=earlier)

    def is_loaded(self, languages: Sequence[str]) -> bool:
        """Whether `read` can go on at once."""
        return all(code in self._voices for code in languages)

    def load(self, languages: Sequence[str]) -> None:
        """Compile languages that are not loaded yet."""
        for code in languages:
            self._voice(code)

    def read(self, text: str, earlier: Sequence[str] = (), language: str = DEFAULT) -> Sequence[Intent]:
        """The requests in a text, in order; one "none" when it is not understood, in the likeliest language.

        `earlier` are the person's previous messages, latest last, for follow-ups such as "and in London?".
        """
        possible = self.languages(text, earlier, language)
        plain = re.sub(r"\s+", " ", text).strip()
        if not plain or len(plain) > LONGEST:
            return (replace(NONE, language=possible[0]),)
        for guessing in (False, True):
            for code in possible[:2]:
                voice = self._voice(code)
                found = voice.guessed(plain) if guessing else voice.read(plain, earlier)
                if found:
                    return [replace(intent, language=code) for intent in found]
        return (replace(NONE, language=possible[0]),)

    def _voice(self, code: str) -> _Voice:
        voice = self._voices.get(code)
        if voice is None:
            from antiphon.brain.offline.grammar import load  # late: hassil is loaded with the first use

            if code == DEFAULT:
                voice = _Voice(load(code), build)
            else:
                from antiphon.brain.offline import languages as others  # late: babel comes with it
                from antiphon.brain.offline.translated import Translated

                voice = _Voice(load(code), Translated(others.load(code)).build)
            self._voices[code] = voice
        return voice


class _Voice:
    """One language: its grammar, and who makes intents out of its slots."""

    def __init__(self, grammar: Grammar, build: Callable[[str, str, Slots, frozenset[str]], Intent | None]) -> None:
        self.grammar = grammar
        self._build = build

    def read(self, plain: str, earlier: Sequence[str]) -> Sequence[Intent]:
        """What the text says as it is: one request, several, or a follow-up."""
        one = self._one(plain)
        if one is not None:
            return (one,)
        if several := self._several(plain):
            return several
        follow_up = self._follow_up(plain, earlier)
        return () if follow_up is None else (follow_up,)

    def guessed(self, plain: str) -> Sequence[Intent]:
        """What the text says when typing errors are repaired."""
        repaired = self.grammar.repaired(plain)
        if repaired != plain and (guess := self._one(repaired)) is not None and guess.name not in _SURE_ONLY:
            return (replace(guess, confidence=min(guess.confidence, REPAIRED)),)
        return ()

    def _one(self, text: str) -> Intent | None:
        question = text.endswith("?") and self.grammar.asking.match(text) is None
        for form in self._forms(text):
            best: tuple[tuple[int, int, int], Intent] | None = None
            for candidate in self.grammar.candidates(form):
                intent = self._build(candidate.intent, candidate.variant, candidate.slots, self.grammar.details)
                if intent is None or (question and intent.name == "memory.remember"):
                    continue
                rank = (int(not intent.missing), candidate.matched, -sum(map(len, candidate.slots.values())))
                if best is None or rank > best[0]:
                    best = (rank, intent)
            if best is not None:
                return self._of_kind(best[1], form)
        return None

    def _of_kind(self, intent: Intent, text: str) -> Intent:
        """Timers alone where only timers are spoken of. A list of reminders shows the timers too: both come up."""
        kind = self.grammar.kind(text)
        if (intent.name, kind) in _NARROWED:
            return replace(intent, arguments={**intent.arguments, "kind": kind})
        return intent

    def _forms(self, text: str) -> Iterator[str]:
        """The text as it is and in plainer and plainer words, each form once."""
        seen: set[str] = set()
        text = self.grammar.respelled(text)
        bare = self.grammar.bare(text)
        rewritten = self.grammar.rewritten(bare)
        for form in (text, self.grammar.rewritten(text), bare, rewritten, self.grammar.bare(rewritten)):
            if form and form not in seen:
                seen.add(form)
                yield form

    def _several(self, text: str) -> Sequence[Intent]:
        """Several requests in one message; a greeting or thanks among them is only politeness."""
        for separator in self.grammar.joins:
            parts = [part for part in separator.split(text) if part.strip()]
            if not 2 <= len(parts) <= _MOST_REQUESTS:
                continue
            intents = [self._one(part) for part in parts]
            known = [intent for intent in intents if intent is not None]
            requests = [intent for intent in known if not intent.name.startswith("smalltalk.")]
            asked = text.endswith("?") and any(intent.name == "memory.remember" for intent in known)
            if len(known) == len(parts) and not asked and not any(intent.missing for intent in known):
                return requests or known[:1]
        return ()

    def _follow_up(self, text: str, earlier: Sequence[str]) -> Intent | None:
        """ "and in London?" after a question about the time."""
        also = self.grammar.also
        match = also.match(self.grammar.bare(text)) or also.match(text.strip(" ?.!¿¡"))
        if match is None or not earlier:
            return None
        before = self._one(re.sub(r"\s+", " ", earlier[-1]).strip())
        if before is None or before.name not in ("clock.now", "clock.date"):
            return None
        rest = match[1].strip(" ?.!¿¡")
        if before.name == "clock.date":
            return self._build("clock.date", "", {"day": rest}, frozenset()) or self._build(
                "clock.date", "", {"place_known": rest}, frozenset()
            )
        return self._build("clock.now", "", {"place_known": rest}, frozenset())
