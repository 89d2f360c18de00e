"""Which expert a message looks like, by the pieces of words it shares with their examples. Used by `router`.

TF-IDF over words and pieces of words with an inverted index: no training, no library, some tens of microseconds. A
score says how alike the message is to the best two examples of an expert, from 0 to 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

_WORDS = re.compile(r"\w+")
_PIECES = (3, 4, 5)
_WORD_WEIGHT = 3.0
_LONGEST = 600
"""Characters of a message that are looked at: its beginning says what it is about."""
_BEST = 2


class ExampleIndex:
    """The examples of all experts. Immutable."""

    def __init__(self, examples: Mapping[str, Sequence[str]]) -> None:
        """`examples`: expert -> messages it should answer (its description may be one of them)."""
        documents = [(name, _features(text)) for name, texts in examples.items() for text in texts if text.strip()]
        self._owners = [name for name, _ in documents]
        self._counted = {name: min(_BEST, count) for name, count in Counter(self._owners).items()}
        seen = Counter(feature for _, features in documents for feature in features)
        self._rarity = {feature: math.log(1 + len(documents) / (1 + count)) for feature, count in seen.items()}
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (_, features) in enumerate(documents):
            weights = {feature: weight * self._rarity[feature] for feature, weight in features.items()}
            norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
            for feature, weight in weights.items():
                self._postings[feature].append((number, weight / norm))

    def scores(self, text: str) -> Mapping[str, float]:
        """Expert -> how alike, best first; without those that share nothing."""
        weights: dict[str, float] = {}
        square = 0.0
        for feature, weight in _features(text).items():
            rarity = self._rarity.get(feature)
            # What no example has makes the message less like any of them.
            known = weight * (rarity if rarity is not None else 1.0)
            square += known * known
            if rarity is not None:
                weights[feature] = known
        likeness: dict[int, float] = defaultdict(float)
        for feature, weight in weights.items():
            for number, other in self._postings[feature]:
                likeness[number] += weight * other
        norm = math.sqrt(square) or 1.0
        found: dict[str, list[float]] = defaultdict(list)
        for number, value in likeness.items():
            found[self._owners[number]].append(value / norm)
        best = {name: sum(sorted(values)[-_BEST:]) / self._counted[name] for name, values in found.items()}
        return dict(sorted(best.items(), key=lambda item: -item[1]))


def margin(scores: Mapping[str, float]) -> tuple[str, float]:
    """The best, and how far it is before the second, as a share of 1."""
    ranked: Iterable[tuple[str, float]] = scores.items()
    (name, first), *rest = [*ranked, ("", 0.0)]
    return name, first - (rest[0][1] if rest else 0.0)


def _features(text: str) -> dict[str, float]:
    words = _WORDS.findall(text[:_LONGEST].lower())
    line = f" {' '.join(words)} "
    counts: Counter[str] = Counter()
    for size in _PIECES:
        for at in range(len(line) - size + 1):
            counts[line[at : at + size]] += 1
    features = {piece: math.log1p(count) for piece, count in counts.items()}
    for word, count in Counter(words).items():
        features[f"w {word}"] = _WORD_WEIGHT * math.log1p(count)
    return features
