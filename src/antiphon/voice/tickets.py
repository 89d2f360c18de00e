"""Tickets for the audio socket: single use, short-lived, good for one person and one room. Kept as hashes, in memory.

A ticket proves what the credential proved that it was given for; whoever has it is that person, for one connection. It
is worth nothing without that credential: `proof` is what the API needs to ask again whether it is still good.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

MOST = 10_000
PREFIX = "vt_"


@dataclass(slots=True)
class Ticket:
    """What a ticket is good for."""

    person: int
    room: str
    expires: float
    proof: Any
    used: bool = False


class TicketUsed(Exception):
    """It was good once, and was used."""


class Tickets:
    """The tickets of this process."""

    def __init__(self, now: Callable[[], float], *, seconds: float) -> None:
        self._now = now
        self._seconds = seconds
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()

    def issue(self, person: int, room: str, proof: Any) -> str:
        """A new ticket, for whoever gave `proof`."""
        self._forget_old()
        secret = PREFIX + secrets.token_urlsafe(24)
        self._tickets[_digest(secret)] = Ticket(person, room, self._now() + self._seconds, proof)
        if len(self._tickets) > MOST:
            self._tickets.popitem(last=False)
        return secret

    def redeem(self, secret: str) -> Ticket | None:
        """Use a ticket up. None when it is not known or too old; raises `TicketUsed`."""
        ticket = self._tickets.get(_digest(secret))
        if ticket is None:
            return None
        if ticket.used:
            raise TicketUsed
        if ticket.expires <= self._now():
            return None
        good = replace(ticket)
        ticket.used, ticket.proof = True, None
        return good

    def _forget_old(self) -> None:
        # A used one is remembered as long as it would have been good, so that its second use is told apart.
        now = self._now()
        for digest in [digest for digest, ticket in self._tickets.items() if ticket.expires <= now]:
            del self._tickets[digest]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
