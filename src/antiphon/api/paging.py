"""Pages of lists: `?limit=` and an opaque `?cursor=`, and the envelope `{"items", "next"}`.

A cursor holds the sort key of the last item, so that pages neither repeat nor skip what was there when rows are added.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from antiphon.domain.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_ID = 2**63 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """What was asked for. `after` is the sort key of the last item of the page before, () for the first page."""

    limit: int
    after: tuple[float, ...] = ()


def page_of(query: Mapping[str, str], *, keys: int = 1) -> Page:
    """Read `limit` and `cursor`; the sort key of this list has `keys` numbers, the last of them an id.

    Raises `InvalidInput` for a limit outside 1 to 100 and for anything that is not a cursor of such a list.
    """
    limit_text = query.get("limit", str(DEFAULT_LIMIT))
    number = int(limit_text) if limit_text.isascii() and limit_text.isdigit() and len(limit_text) <= 3 else 0
    if not 1 <= number <= MAX_LIMIT:
        raise InvalidInput(f"limit is a number from 1 to {MAX_LIMIT}.", fields={"limit": f"1 to {MAX_LIMIT}"})
    cursor = query.get("cursor", "")
    return Page(number, _decode(cursor, keys) if cursor else ())


def envelope(
    rows: Sequence[T], page: Page, show: Callable[[T], Any], key: Callable[[T], tuple[float, ...]]
) -> dict[str, Any]:
    """The answer for a list of which one row more than the limit was read, if there is one."""
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return {"items": [show(row) for row in shown], "next": cursor_of(key(shown[-1])) if more else None}


def cursor_of(key: tuple[float, ...]) -> str:
    """The cursor that goes on after the item with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, keys: int) -> tuple[float, ...]:
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _not_a_cursor() from None
    numbers = isinstance(key, list) and all(type(part) in (int, float) for part in key)
    if not numbers or len(key) != keys or not all(math.isfinite(part) for part in key):
        raise _not_a_cursor()
    if type(key[-1]) is not int or not 0 <= key[-1] <= MAX_ID or any(abs(part) > MAX_ID for part in key):
        raise _not_a_cursor()
    return tuple(key)


def _not_a_cursor() -> InvalidInput:
    return InvalidInput("Pass the `next` of the page before as cursor, unchanged.", fields={"cursor": "not a cursor"})
