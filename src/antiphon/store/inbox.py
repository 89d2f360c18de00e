"""Implements `domain.conversation.InboxStore`: accepting what was said. Called by `threads.inbox`."""

from __future__ import annotations

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage, Receipt
from antiphon.store.acceptance import Acceptance
from antiphon.store.db import Database, Tx

_CURSOR = "SELECT value FROM antiphon_cursor WHERE platform = %s AND receiver = %s AND channel = %s"
_FURTHEST = """
SELECT value FROM antiphon_cursor WHERE platform = %s AND receiver = %s ORDER BY length(value) DESC, value DESC LIMIT 1
"""


class DjangoInboxStore:
    """The way in."""

    def __init__(self, database: Database, clock: Clock, acceptance: Acceptance) -> None:
        self._database = database
        self._clock = clock
        self._acceptance = acceptance

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message and its task, or return the earlier receipt for the same dedupe key."""
        return await self._database.run(self._acceptance.accept, message, self._clock.now().timestamp())

    async def cursor(self, platform: str, receiver: str, channel: str) -> str:
        """The platform position stored with the last accepted message, or "".

        With an empty `channel`: the furthest position of the receiver in any channel (Telegram counts that way).
        """

        def read(tx: Tx) -> str:
            row = tx.row(_CURSOR, platform, receiver, channel) if channel else tx.row(_FURTHEST, platform, receiver)
            return row[0] if row else ""

        return await self._database.read(read)
