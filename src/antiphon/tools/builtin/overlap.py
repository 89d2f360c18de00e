"""Which stored text people mean by a few words: by the words they share. Used for reminders and memories."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_COMMON = frozenset(
    [
        "a",
        "about",
        "am",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "how",
        "i",
        "i'm",
        "if",
        "in",
        "is",
        "it",
        "its",
        "me",
        "mine",
        "my",
        "of",
        "on",
        "or",
        "our",
        "she",
        "so",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "there",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "what",
        "what's",
        "when",
        "where",
        "where's",
        "which",
        "who",
        "who's",
        "whose",
        "why",
        "will",
        "with",
        "you",
        "your",
        "s",
        "m",
        "re",
        "ve",
        "know",
        "remember",
        "said",
        "told",
        "please",
        "again",
        "called",
        "named",
    ]
)


def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning, cut to their stems roughly (plural and -ing)."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold().replace("\u2019", "'"))
    return frozenset(_stem(word) for word in words if word not in _COMMON)


def shared(query: str, text: str) -> float:
    """How much of the query's meaning is found in the text, 0 to 1."""
    wanted = content_words(query)
    if not wanted:
        return 0.0
    return len(wanted & content_words(text)) / len(wanted)


def best_matches(query: str, items: Sequence[T], text_of: Callable[[T], str], at_least: float = 0.5) -> Sequence[T]:
    """The items that fit best, all of them when several fit alike; none below `at_least`."""
    scored = [(shared(query, text_of(item)), item) for item in items]
    best = max((score for score, _ in scored), default=0.0)
    return [item for score, item in scored if score == best] if best >= at_least else []


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ing", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word
