"""Implements `domain.work.LiveStore`: spoken turns through the same rows. Called by `threads.live`."""

from __future__ import annotations

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.errors import ChannelBusy, Conflict
from antiphon.domain.work import Lease, Outcome, Work
from antiphon.store.acceptance import Acceptance, Running
from antiphon.store.db import Database, Tx
from antiphon.store.task_rows import works
from antiphon.store.tasks import finish

_BUSY = """
SELECT t.message_id FROM antiphon_task t JOIN antiphon_channel c ON c.id = t.channel_id
WHERE c.key = %s AND t.state = 'running'
"""
_DEDUPE = "SELECT dedupe FROM antiphon_message WHERE id = %s"


class DjangoLiveStore:
    """Spoken turns: the session itself holds the lease."""

    def __init__(self, database: Database, clock: Clock, acceptance: Acceptance) -> None:
        self._database = database
        self._clock = clock
        self._acceptance = acceptance

    async def begin(self, message: InboundMessage, owner: str, lease_seconds: float) -> Work:
        """Write message and task (running, leased to the session) in one transaction.

        The same session may repeat it as long as its first turn of that message still runs: the first commit may have
        gone through unheard.
        """
        now = self._clock.now().timestamp()

        def begin(tx: Tx) -> Work:
            tx.lock_channel(message.channel)
            busy = tx.row(_BUSY, message.channel)
            if busy is not None and tx.row(_DEDUPE, busy[0]) != (message.dedupe,):
                raise ChannelBusy("Another answer is being worked on in this channel.")
            receipt = self._acceptance.accept(tx, message, now, Running(owner, now + lease_seconds))
            work = works(tx, [receipt.task])[0]
            if not receipt.created and (busy is None or work.lease != Lease(receipt.task, owner, 1)):
                raise Conflict("This message was accepted before.", fields={"id": "already used"})
            return work

        return await self._database.run(begin)

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """The same fenced completion as for written turns."""
        await self._database.run(finish, lease, outcome, self._clock.now().timestamp())
