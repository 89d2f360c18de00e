"""Implements `domain.memories.SummaryStore`: rolling summaries of long threads. Called by the brain's context."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Message
from antiphon.domain.memories import Summary
from antiphon.store.db import Database, Tx
from antiphon.store.threads import messages_of_thread

_READ = "SELECT thread_id, upto, text, author FROM antiphon_threadsummary WHERE thread_id = %s"
_KEEP = """
INSERT INTO antiphon_threadsummary (thread_id, upto, text, author, updated_at)
SELECT id, %s, %s, %s, %s FROM antiphon_thread WHERE id = %s
ON CONFLICT (thread_id) DO UPDATE
SET upto = excluded.upto, text = excluded.text, author = excluded.author, updated_at = excluded.updated_at
WHERE excluded.upto >= antiphon_threadsummary.upto
"""


class DjangoSummaryStore:
    """One summary per thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def summary(self, thread: int) -> Summary | None:
        """What is stored for a thread."""

        def read(tx: Tx) -> Summary | None:
            row = tx.row(_READ, thread)
            return Summary(*row) if row else None

        return await self._database.read(read)

    async def keep(self, summary: Summary) -> None:
        """Store it, unless a later one is there already or the thread is gone."""
        now = self._clock.now().timestamp()
        values = (summary.upto, summary.text, summary.author[:200], now, summary.thread)
        await self._database.run(lambda tx: tx.execute(_KEEP, *values))

    async def unsummarised(self, thread: int, *, after: int, before: int, limit: int) -> Sequence[Message]:
        """The messages of a thread between two ids (both exclusive), oldest first, up to `limit`."""
        return await self._database.read(messages_of_thread, thread, after, before, limit)
