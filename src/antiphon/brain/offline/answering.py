"""Who words the answers of the offline model: English in `answers`, other languages in `answers_in`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from antiphon.brain.models import ModelChoice


class Answers(Protocol):
    """The answers of one language."""

    def cannot(self, choice: ModelChoice, failures: Sequence[str], *, short: bool = False) -> str:
        """What only a language model can do."""
        ...

    def told(self, fact: str) -> str:
        """A question that one memory answers."""
        ...

    def again(self) -> str:
        """The tool did not accept what was made of the request."""
        ...

    def not_allowed(self, tool: str) -> str:
        """The person may not use this here."""
        ...

    def missing(self, what: str, arguments: Mapping[str, object]) -> str:
        """Ask for what a request left out."""
        ...

    def word(self, tool: str, outcome: Mapping[str, object]) -> str:
        """The answer to a person for one tool result."""
        ...


def answers_for(language: str) -> Answers:
    """The answers in a language; English where there are none."""
    if language in ("de", "es"):
        from antiphon.brain.offline.answers_in import answers_in  # late: babel comes with it

        return answers_in(language)
    from antiphon.brain.offline import answers

    return answers
