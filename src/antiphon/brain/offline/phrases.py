"""Sentences people are likely to say, made from the templates of the intents and from `spoken/`.

`run` hands them to recognisers that learn from them which words follow each other: what the offline model understands
is then what they hear best. English only, as these recognisers are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, cast

import yaml

_PER_SPOKEN, _PER_TALK, _PER_INTENT = 240, 60, 60
"""Sentences made from each template."""
_TOKEN = re.compile(r"[()\[\]|]|<\w+>|\{\w+(?::\w+)?\}|[^\s()\[\]|<>{}]+")
_WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)*")

Node = tuple[str, Any]
"""("word", text), ("slot", key), ("rule", name), ("choice", alternatives) or ("maybe", alternatives)."""


def spoken_phrases(seed: int = 0) -> Sequence[str]:
    """Some sixty thousand sentences in small letters, the same ones for the same `seed`."""
    chance = random.Random(seed)  # noqa: S311 - which sentences are made is no secret
    spoken, intents = _source("spoken"), _source("intents")
    slots = cast("Mapping[str, Sequence[str]]", spoken["slots"])
    rules = {name: _parsed(text) for name, text in cast("Mapping[str, str]", intents["rules"]).items()}
    found: list[str] = []
    understood = [one for some in cast("Mapping[str, Sequence[str]]", intents["intents"]).values() for one in some]
    for sentences, count in (
        (cast("Sequence[str]", spoken["sentences"]), _PER_SPOKEN),
        (cast("Sequence[str]", spoken["talk"]), _PER_TALK),
        (understood, _PER_INTENT),
    ):
        for sentence in sentences:
            found += _made(sentence, count, chance, slots, rules)
    return found


@cache
def _source(folder: str) -> Mapping[str, Any]:
    path = files("antiphon.brain.offline") / folder / "en.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe loader either way


def _made(
    sentence: str,
    count: int,
    chance: random.Random,
    slots: Mapping[str, Sequence[str]],
    rules: Mapping[str, Sequence[Sequence[Node]]],
) -> Sequence[str]:
    """Sentences of a template; none when it needs a slot that nobody knows examples for."""
    template = _parsed(sentence)
    made: list[str] = []
    for _ in range(count):
        words = _chosen(template, chance, slots, rules)
        text = " ".join(_WORD.findall(" ".join(words).casefold().replace("\u2019", "'"))) if words is not None else ""
        if text:
            made.append(text)
    return made


def _chosen(
    alternatives: Sequence[Sequence[Node]],
    chance: random.Random,
    slots: Mapping[str, Sequence[str]],
    rules: Mapping[str, Sequence[Sequence[Node]]],
) -> Sequence[str] | None:
    """One way through a template, None when it comes to a slot without examples."""
    words: list[str] = []
    for kind, value in chance.choice(alternatives):
        more: Sequence[str] | None
        if kind == "word":
            more = [value]
        elif kind == "slot":
            examples = slots.get(value) or slots.get(value.partition(":")[0])
            more = [chance.choice(examples)] if examples else None
        elif kind == "maybe" and chance.random() < 0.6:
            continue
        else:
            more = _chosen(rules[value] if kind == "rule" else value, chance, slots, rules)
        if more is None:
            return None
        words += more
    return words


def _parsed(text: str) -> Sequence[Sequence[Node]]:
    """The alternatives of a template."""
    tokens = _TOKEN.findall(text)
    alternatives, rest = _alternatives(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"a bracket too many in {text!r}")
    return alternatives


def _alternatives(tokens: Sequence[str], at: int) -> tuple[Sequence[Sequence[Node]], int]:
    found: list[list[Node]] = [[]]
    while at < len(tokens) and tokens[at] not in (")", "]"):
        token = tokens[at]
        at += 1
        if token == "|":  # noqa: S105 - a bar between alternatives
            found.append([])
        elif token in ("(", "["):
            inner, at = _alternatives(tokens, at)
            found[-1].append(({"(": "choice", "[": "maybe"}[token], inner))
            at += 1
        elif token[0] == "<":
            found[-1].append(("rule", token[1:-1]))
        elif token[0] == "{":
            found[-1].append(("slot", token[1:-1]))
        else:
            found[-1].append(("word", token))
    return found, at
