"""Cutting text into pieces that can be spoken one after the other. Used by engines and by the chain of engines."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"')\]»”]*\s+|\n+")  # noqa: RUF001 - full-width marks end sentences too
_CLAUSE = re.compile(r"(?<=[,;:])\s+")
_SPACE = re.compile(r"\s+")


def pieces(text: str, longest: int = 400) -> Iterator[tuple[int, str]]:
    """Where each piece begins, and the piece: sentences, cut further at clauses, spaces, or anywhere when too long.

    Every character is in one piece; pieces without anything to say are left out.
    """
    for start, sentence in _cut(text, 0, _SENTENCE):
        for piece in _short(sentence, start, longest, (_CLAUSE, _SPACE)):
            if any(character.isalnum() for character in piece[1]):
                yield piece


def _cut(text: str, offset: int, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    begin = 0
    for match in pattern.finditer(text):
        yield offset + begin, text[begin : match.end()]
        begin = match.end()
    if begin < len(text):
        yield offset + begin, text[begin:]


def _short(text: str, offset: int, longest: int, patterns: tuple[re.Pattern[str], ...]) -> Iterator[tuple[int, str]]:
    if len(text) <= longest:
        yield offset, text
    elif not patterns:
        for begin in range(0, len(text), longest):
            yield offset + begin, text[begin : begin + longest]
    else:
        held, at = "", offset
        for begin, part in _cut(text, offset, patterns[0]):
            if held and len(held) + len(part) > longest:
                yield from _short(held, at, longest, patterns[1:])
                held = ""
            if not held:
                at = begin
            held += part
        if held:
            yield from _short(held, at, longest, patterns[1:])
