"""What a person asks for, out of what they say. Read by the offline model; knows nothing of models or tools running.

In order: the sentence as it is, then without the words around it, then with typing errors repaired (less sure, and
never enough for anything that deletes), then split into several requests, then as a follow-up of the last one. What
none of these explains is "none": the offline model then says so instead of guessing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from antiphon.brain.offline.slots import NONE, Intent, build

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
_POLITE = re.compile(r"(please|pls|hey|hi|can|could|would|will|may|might|mind)\b", re.I)
"""How a request begins that is only put as a question."""
_ALSO = re.compile(
    r"^(?:and |or |but |then |now )?(?:what about|how about|and|same for|also)\s+(?:for |the time |it )?(.+)$", re.I
)


class Understanding:
    """All languages that are loaded; English for now. Call `warm_up` in a thread before the first use."""

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._grammar: Grammar | None = None

    def warm_up(self) -> None:
        """Compile the grammar, and run it once so that nothing is left for the first person."""
        self.read("what time is it in tokyo")

    @property
    def grammar(self) -> Grammar:
        """The compiled language."""
        if self._grammar is None:
            from antiphon.brain.offline.grammar import load  # late: hassil is loaded with the first use

            self._grammar = load(self._language)
        return self._grammar

    def read(self, text: str, earlier: Sequence[str] = ()) -> Sequence[Intent]:
        """The requests in a text, in order; `(NONE,)` when it is not understood.

        `earlier` are the person's previous messages, latest last, for follow-ups such as "and in London?".
        """
        plain = re.sub(r"\s+", " ", text).strip()
        if not plain or len(plain) > LONGEST:
            return (NONE,)
        one = self._one(plain)
        if one is not None:
            return (one,)
        several = self._several(plain)
        if several:
            return several
        if (follow_up := self._follow_up(plain, earlier)) is not None:
            return (follow_up,)
        repaired = self.grammar.repaired(plain)
        if repaired != plain and (guess := self._one(repaired)) is not None and guess.name not in _SURE_ONLY:
            return (replace(guess, confidence=min(guess.confidence, REPAIRED)),)
        return (NONE,)

    def _one(self, text: str) -> Intent | None:
        question = text.endswith("?") and _POLITE.match(text) is None
        for form in self._forms(text):
            best: tuple[tuple[int, int, int], Intent] | None = None
            for candidate in self.grammar.candidates(form):
                intent = build(candidate.intent, candidate.variant, candidate.slots, self.grammar.details)
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
        bare = self.grammar.bare(text)
        rewritten = self.grammar.rewritten(bare)
        for form in (text, self.grammar.rewritten(text), bare, rewritten, self.grammar.bare(rewritten)):
            if form and form not in seen:
                seen.add(form)
                yield form

    def _several(self, text: str) -> Sequence[Intent]:
        """Several requests in one message; a greeting or thanks among them is only politeness."""
        for separator in (
            r"(?<=[.!?;])\s+",
            r"(?:[.,;]\s*|\s+)(?:and then|then|and also|and|also|plus)\s+",
            r"[,;:]\s+",
        ):
            parts = [part for part in re.split(separator, text) if part.strip()]
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
        match = _ALSO.match(self.grammar.bare(text)) or _ALSO.match(text.strip(" ?.!"))
        if match is None or not earlier:
            return None
        before = self._one(re.sub(r"\s+", " ", earlier[-1]).strip())
        if before is None or before.name not in ("clock.now", "clock.date"):
            return None
        rest = re.sub(r"^(in|at|for|over in)\s+", "", match[1].strip(" ?.!"), flags=re.I)
        if before.name == "clock.date":
            return build("clock.date", "", {"day": rest}, frozenset()) or build(
                "clock.date", "", {"place_known": rest}, frozenset()
            )
        return build("clock.now", "", {"place_known": rest}, frozenset())
