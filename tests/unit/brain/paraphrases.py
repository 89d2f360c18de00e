"""Reads sentences labelled with intents and scores the offline understanding on them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.brain.offline.understand import Understanding

DATA = Path(__file__).parents[2] / "data"
SAME = {"help": "system.help", "status": "system.status", "memory.forget_all": "memory.forget"}
FINER = {"clock.difference": "clock.now", "profile.name": "memory.recall"}
"""Readings that lists written before these requests existed know only under the wider name."""
HARMLESS = ("none", "smalltalk")
"""Reading a request as one of these does nothing and answers nothing wrong."""


@dataclass
class Score:
    """Counts over one file."""

    total: int = 0
    supported: int = 0
    right: int = 0
    wrong_actions: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    @property
    def accuracy(self) -> float:
        return self.right / self.supported

    @property
    def wrong_share(self) -> float:
        return self.wrong_actions / self.total

    def table(self) -> str:
        lines = [
            f"right {self.right}/{self.supported} = {self.accuracy:.1%}",
            f"wrong actions {self.wrong_actions}/{self.total}",
        ]
        for (expected, got), count in sorted(self.confusion.items()):
            lines.append(f"  {count:3} {expected} -> {got}")
        return "\n".join(lines)


def family(intent: str) -> str:
    """The name under which an intent counts."""
    intent = SAME.get(intent, intent)
    return "smalltalk" if intent.startswith("smalltalk") else intent


def score(file: Path, understanding: Understanding) -> Score:
    """Score one file. Of several requests read in one sentence the first counts."""
    result = Score()
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    unknown = FINER.keys() - {row["intent"] for row in rows}
    for row in rows:
        expected = family(row["intent"])
        intent = understanding.read(row["text"])[0]
        got = FINER[intent.name] if intent.name in unknown else family(intent.name)
        result.total += 1
        result.supported += expected != "none"
        result.right += expected != "none" and got == expected
        if got != expected:
            result.confusion[(expected, got)] += 1
        result.wrong_actions += got != expected and got not in HARMLESS and not intent.missing
    return result
