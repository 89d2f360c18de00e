"""Words as the full-text search knows them: folded, without the small words, cut to rough stems.

Both engines index the terms made here (`search` columns), so a search finds the same on SQLite and PostgreSQL. The
stemming is deliberately plain: one list of endings for English, German and Spanish, and a search term also matches as
the beginning of a longer word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from antiphon.brain.offline.function_words import FUNCTION_WORDS

MOST_TERMS = 24
"""Of one query: a longer text is searched by its rarest-looking (longest) words."""
_INDEXED_CHARS = 20_000
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ingen", "ing", "ern", "ies", "ed", "en", "er", "es", "em", "os", "as", "s", "e", "n", "a", "o", "y")
_SHORTEST_STEM = 4
_TERM_CHARS = 40
_IDEOGRAPHS = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
"""Scripts without spaces are indexed character by character."""


def fold(text: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


_SMALL = frozenset(part for words in FUNCTION_WORDS.values() for word in words for part in _WORD.findall(fold(word)))


def index_terms(text: str) -> str:
    """What is stored beside a text to find it by: every word's stem, in order."""
    return " ".join(_stem(word) for word in _words(text[:_INDEXED_CHARS]))


def query_terms(text: str) -> Sequence[str]:
    """The stems a text is searched by; its small words only when it has no others. Empty for no words at all."""
    words = list(dict.fromkeys(_words(text[:_INDEXED_CHARS])))
    telling = [word for word in words if word not in _SMALL] or words
    stems = list(dict.fromkeys(_stem(word) for word in telling))
    return stems if len(stems) <= MOST_TERMS else sorted(stems, key=len, reverse=True)[:MOST_TERMS]


def fts5_query(terms: Sequence[str], owner: str) -> str:
    """SQLite's form: any of the terms, as words or beginnings of words, in the rows of one owner."""
    any_of = " OR ".join(_prefix(term, '"{}"*', '"{}"') for term in terms)
    return f"owner:{owner} AND search:({any_of})"


def tsquery(terms: Sequence[str]) -> str:
    """PostgreSQL's form of the same."""
    return " | ".join(_prefix(term, "{}:*", "{}") for term in terms)


def _prefix(term: str, begun: str, whole: str) -> str:
    """Short terms match whole: a beginning of two letters would find everything."""
    return (begun if len(term) >= _SHORTEST_STEM else whole).format(term)


def _words(text: str) -> list[str]:
    return _WORD.findall(_IDEOGRAPHS.sub(r" \1 ", fold(text)))


def _stem(word: str) -> str:
    word = word[:_TERM_CHARS]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM - (ending == "s"):
            return word[: -len(ending)]
    return word
