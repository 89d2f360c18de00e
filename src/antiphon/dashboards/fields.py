"""Reading payloads and stored state without trusting them: a field that is missing or of another kind has no value.

Payloads come from the bus, which other processes (perhaps of another version) write too; stored state outlives
releases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

Payload = Mapping[str, object]


def text(payload: Payload, name: str, most: int = 200) -> str:
    """A text, cut at `most` characters; "" when there is none. Numbers are taken as their digits."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:most]


def number(payload: Payload, name: str) -> float | None:
    """A number, or None."""
    value = payload.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(payload: Payload, name: str) -> int | None:
    """A whole number, or None."""
    value = number(payload, name)
    return None if value is None else int(value)


def flag(payload: Payload, name: str) -> bool:
    """True only for true."""
    return payload.get(name) is True


def objects(payload: Payload, name: str, most: int = 100) -> list[Payload]:
    """A list of objects, at most so many; everything else in it is left out."""
    value = payload.get(name)
    if not isinstance(value, list | tuple):
        return []
    rows = cast("Sequence[object]", value)[:most]
    return [cast("Payload", row) for row in rows if isinstance(row, Mapping)]


def words(payload: Payload, name: str, most: int = 50) -> list[str]:
    """A list of texts; a text alone is split at its commas."""
    value = payload.get(name)
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()][:most]
    if not isinstance(value, list | tuple):
        return []
    return [str(word)[:100] for word in cast("Sequence[object]", value)[:most] if isinstance(word, str | int)]


def counts(payload: Payload, name: str, length: int) -> list[int]:
    """A list of so many counts; what is missing is 0."""
    value = payload.get(name)
    given = cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
    found = [one if isinstance(one, int) and one > 0 else 0 for one in given[:length]]
    return found + [0] * (length - len(found))


def mapping(payload: Payload, name: str) -> Payload:
    """An object; an empty one when it is something else."""
    value = payload.get(name)
    return cast("Payload", value) if isinstance(value, Mapping) else {}
