"""Summaries without a model: the sentences that most other sentences agree with, in the order they were said.

LexRank (Erkan and Radev, 2004): sentences are nodes, joined by the cosine of their words weighted by rarity, ranked by
the random walk over them; then sentences that repeat a chosen one are passed over. Used for the summary of a channel
and for the rolling summary of long threads. Pure Python: some milliseconds for a hundred sentences.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from antiphon.brain.offline.function_words import FUNCTION_WORDS

MOST_SENTENCES = 150
"""Only the last so many sentences are compared: the work grows with their square."""
LONGEST_SENTENCE = 320
"""Characters after which a chosen sentence is cut at a word."""
_SIMILAR = 0.1
"""Sentences less alike than this say nothing about each other."""
_REPEATS = 0.55
"""A sentence more alike than this to a chosen one adds nothing."""
_DAMPING = 0.85
_ROUNDS = 30
_SETTLED = 0.001
_LATER = 0.15
"""How much more the last sentence counts than the first: what was said last is what a conversation came to."""
_FEWEST_WORDS = 3
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|mr|mrs|ms|dr|vs|no|st|approx|z\.\s?b|d\.\s?h|u\.\s?a|bzw|ca|nr|usw|evtl|ggf|p\.\s?ej|sr|"
    r"sra|ud|uds|aprox|núm|[a-zäöüñáéíóú])|\b\d{1,2})\.$",
    re.IGNORECASE,
)
_END = re.compile(r"(?<=[.!?…])[\"'”»)]*\s+(?=[^\s])|\n+")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")

_Vector = Mapping[str, float]


def summarise(texts: Sequence[str], *, sentences: int, language: str) -> str:
    """At most `sentences` sentences that stand for the texts, in their order, joined by spaces; "" for no texts.

    `language` is "en", "de" or "es", by its first letters ("de-AT" is German); for others no word counts as empty.
    """
    if sentences < 1:
        return ""
    found = [sentence for text in texts for sentence in sentences_of(text)][-MOST_SENTENCES:]
    return " ".join(shortened(found[index]) for index in chosen(found, sentences, language))


def chosen(found: Sequence[str], count: int, language: str) -> Sequence[int]:
    """The places of the sentences that a summary of `count` sentences keeps, in order."""
    vectors = _vectors(found, FUNCTION_WORDS.get(language[:2].casefold(), frozenset()))
    telling = [index for index, vector in enumerate(vectors) if len(vector) >= _FEWEST_WORDS]
    telling = telling or [index for index, vector in enumerate(vectors) if vector] or list(range(len(found)))
    ranks = _ranks([vectors[index] for index in telling])
    last = max(len(found) - 1, 1)
    weighted = {index: rank * (1 + _LATER * index / last) for index, rank in zip(telling, ranks, strict=True)}
    kept: list[int] = []
    for index in sorted(weighted, key=lambda i: (-weighted[i], i)):
        if len(kept) == count:
            break
        if all(_cosine(vectors[index], vectors[other]) < _REPEATS for other in kept):
            kept.append(index)
    return sorted(kept)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text: split at their ends and at line ends, not after abbreviations and ordinal numbers."""
    found: list[str] = []
    for piece in _END.split(text):
        plain = re.sub(r"\s+", " ", piece).strip("\u2022 -*>#")
        if not plain:
            continue
        if found and _ABBREVIATION.search(found[-1]) and "\n" not in piece:
            found[-1] = f"{found[-1]} {plain}"
        else:
            found.append(plain)
    return found


def _vectors(found: Sequence[str], empty: frozenset[str]) -> list[_Vector]:
    """Each sentence as its words with the weight of their rarity, of length one."""
    words = [[_stem(word) for word in _WORD.findall(s.casefold()) if word not in empty] for s in found]
    seen_in = Counter(word for sentence in words for word in set(sentence))
    vectors: list[_Vector] = []
    for sentence in words:
        weights = {
            word: count * (math.log((1 + len(found)) / (1 + seen_in[word])) + 1)
            for word, count in Counter(sentence).items()
        }
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        vectors.append({word: weight / length for word, weight in weights.items()} if length else {})
    return vectors


def _stem(word: str) -> str:
    """Roughly: endings of plurals, cases and persons are the same word for a summary."""
    for ending in ("ungen", "ciones", "ing", "en", "es", "er", "em", "ed", "as", "os", "s", "n", "e", "a", "o"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word


def _cosine(one: _Vector, other: _Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[word] for word, weight in one.items() if word in other)


def _ranks(vectors: Sequence[_Vector]) -> list[float]:
    """How often a reader that jumps between similar sentences would come by each."""
    count = len(vectors)
    joined: list[dict[int, float]] = [{} for _ in vectors]
    for a in range(count):
        for b in range(a):
            weight = _cosine(vectors[a], vectors[b])
            if weight >= _SIMILAR:
                joined[a][b] = joined[b][a] = weight
    sums = [sum(links.values()) for links in joined]
    if not count:
        return []
    ranks = [1 / count] * count
    for _ in range(_ROUNDS):
        alone = sum(rank for rank, total in zip(ranks, sums, strict=True) if not total) / count
        shares = [rank / total if total else 0.0 for rank, total in zip(ranks, sums, strict=True)]
        before, ranks = (
            ranks,
            [
                (1 - _DAMPING) / count + _DAMPING * (alone + sum(shares[b] * weight for b, weight in links.items()))
                for links in joined
            ],
        )
        if max((abs(new - old) for new, old in zip(ranks, before, strict=True)), default=0.0) < _SETTLED / count:
            break
    return ranks


def shortened(sentence: str) -> str:
    """A sentence with its end, cut at a word where it is too long."""
    if len(sentence) > LONGEST_SENTENCE:
        return sentence[:LONGEST_SENTENCE].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"
    return sentence if sentence[-1] in ".!?…" else sentence + "."
