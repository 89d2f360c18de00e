"""Tickets for the audio socket: single use, short-lived, good for one person and one room. Kept as hashes.

A ticket stands for the credential it was asked for with; whoever has it is that person, for one connection. It is
worth nothing once that credential is not good any more, so it keeps what the API needs to ask again. `LocalTickets`
keeps them in memory, `redis_tickets` where other processes find them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

MOST = 10_000
PREFIX = "vt_"

Credential = Sequence[tuple[str, str]]
"""The headers of a request that prove who asks, with their values. Secret."""


@dataclass(slots=True)
class Ticket:
    """What a ticket is good for."""

    person: int
    room: str
    credential: Credential


class TicketUsed(Exception):
    """It was good once, and was used."""


class Tickets(Protocol):
    """Where tickets are kept. Each is redeemed by one caller at most."""

    async def issue(self, ticket: Ticket) -> str:
        """The secret of a new ticket."""
        ...

    async def redeem(self, secret: str) -> Ticket | None:
        """Use a ticket up. None when it is not known or too old; raises `TicketUsed`."""
        ...

    async def aclose(self) -> None:
        """Close what they are kept in."""
        ...


@dataclass(slots=True)
class _Kept:
    ticket: Ticket | None
    """None once it was used."""
    expires: float


class LocalTickets:
    """The tickets of this process. Implements `Tickets`."""

    def __init__(self, now: Callable[[], float], *, seconds: float) -> None:
        self._now = now
        self._seconds = seconds
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def issue(self, ticket: Ticket) -> str:
        """The secret of a new ticket."""
        self._forget_old()
        secret = new_secret()
        self._kept[digest(secret)] = _Kept(replace(ticket), self._now() + self._seconds)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return secret

    async def redeem(self, secret: str) -> Ticket | None:
        """Use a ticket up."""
        kept = self._kept.get(digest(secret))
        if kept is None or kept.expires <= self._now():
            return None
        ticket, kept.ticket = kept.ticket, None
        if ticket is None:
            raise TicketUsed
        return ticket

    async def aclose(self) -> None:
        """Forget them."""
        self._kept.clear()

    def _forget_old(self) -> None:
        # A used one is remembered as long as it would have been good, so that its second use is told apart.
        now = self._now()
        for name in [name for name, kept in self._kept.items() if kept.expires <= now]:
            del self._kept[name]


def new_secret() -> str:
    """A secret that nobody guesses."""
    return PREFIX + secrets.token_urlsafe(24)


def digest(secret: str) -> str:
    """A name for a ticket that may be kept: the secret cannot be had from it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
