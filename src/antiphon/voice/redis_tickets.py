"""Tickets in Redis or Valkey, where every process finds them. Import it only where Redis is used.

What a ticket stands for lies there sealed with its own secret, which Redis never sees: who reads along, or has a copy
of its data, learns no credential. One command looks a ticket up and marks it as used, so that of two processes one gets
it.
"""

from __future__ import annotations

import base64
import hashlib
import json

import structlog
from cryptography.fernet import Fernet
from redis.exceptions import RedisError

from antiphon.bus.redis import PREFIX, redis_client
from antiphon.domain.errors import Unavailable
from antiphon.voice.tickets import LocalTickets, Ticket, TicketUsed, digest, new_secret

log = structlog.stdlib.get_logger(__name__)

KEY = f"{PREFIX}ticket:"
_USED = "used"
_AWAY = "Redis does not answer now, which the way in needs. Try again in a moment."


class RedisTickets:
    """Implements `voice.tickets.Tickets`. While Redis is away, new tickets are good at this process alone."""

    def __init__(self, url: str, *, seconds: float, local: LocalTickets) -> None:
        self._seconds = seconds
        self._local = local
        self._redis = redis_client(url, answer_seconds=2)

    async def issue(self, ticket: Ticket) -> str:
        """The secret of a new ticket."""
        secret = new_secret()
        try:
            await self._redis.set(KEY + digest(secret), _sealed(secret, ticket), px=max(1, int(self._seconds * 1000)))
        except (RedisError, OSError) as error:
            log.warning("voice.ticket_kept_here", error=type(error).__name__)
            return await self._local.issue(ticket)
        return secret

    async def redeem(self, secret: str) -> Ticket | None:
        """Use a ticket up. Raises `Unavailable` besides."""
        if (ticket := await self._local.redeem(secret)) is not None:
            return ticket
        try:
            found = await self._redis.set(KEY + digest(secret), _USED, xx=True, keepttl=True, get=True)
        except (RedisError, OSError) as error:
            raise Unavailable(_AWAY) from error
        if found == _USED:
            raise TicketUsed
        return _opened(secret, found) if found else None

    async def aclose(self) -> None:
        """End the connection."""
        await self._local.aclose()
        await self._redis.aclose()


def _seal(secret: str) -> Fernet:
    # Not the hash that names it: that one lies beside what is sealed.
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"seal {secret}".encode()).digest()))


def _sealed(secret: str, ticket: Ticket) -> str:
    words = json.dumps({"person": ticket.person, "room": ticket.room, "credential": list(ticket.credential)})
    return _seal(secret).encrypt(words.encode()).decode()


def _opened(secret: str, sealed: str) -> Ticket:
    words = json.loads(_seal(secret).decrypt(sealed))
    return Ticket(words["person"], words["room"], tuple((name, value) for name, value in words["credential"]))
