"""What turns consumed, summed up: for limits and for the accounts that people read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Consumed:
    """A sum over turns. `tokens` are input and output together, `cost` is in the currency of the price table."""

    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Today:
    """What was consumed since the day began (UTC): by a person, in their server, and by everybody.

    `warned` says whether a turn of this person has told them today that a limit is near.
    """

    person: Consumed
    server: Consumed
    all: Consumed
    warned: bool = False


class UsageKey(StrEnum):
    """By what the accounts are grouped."""

    DAY = "day"
    PERSON = "person"
    SERVER = "server"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group: `key` is a day (ISO date), a number or a model's name; `name` what people call it."""

    key: str
    name: str
    turns: int
    input_tokens: int
    output_tokens: int
    cost: float
    seconds: float


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which turns count: those that ended since `since`, of one person or of all.

    `zone` is the IANA name of the clock by which days begin where they are grouped by day.
    """

    since: datetime
    by: UsageKey
    person: int | None = None
    zone: str = "UTC"


class UsageStore(Protocol):
    """What turns consumed, derived from their rows: right across workers and restarts."""

    async def today(self, since: datetime, person: int, server: int | None) -> Today:
        """What was consumed since `since`, which is when the day began."""
        ...

    async def table(self, query: UsageQuery, limit: int) -> Sequence[UsageRow]:
        """The accounts in groups: days newest first, everything else by tokens, at most `limit`."""
        ...
