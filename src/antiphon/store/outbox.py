"""Implements `domain.replies.OutboxStore`: what must be delivered, once, in order per channel. Called by
`threads.outbox` (the sender) and, for drafts, by `threads.drafts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, LeaseLost, NotFound
from antiphon.domain.replies import Delivery, ReplyKind, ReplyState
from antiphon.domain.work import Lease
from antiphon.store.db import Database, Tx, placeholders
from antiphon.store.models.fields import from_epoch

# The heads: ready and due (or left `sending` by a lost owner), with nothing before them in their channel and nothing
# being sent there. What was being sent when its owner was lost may have arrived: it comes back doubtful.
_CLAIM = """
UPDATE antiphon_reply
SET doubtful = ((doubtful OR state = 'sending') AND native_id = ''), state = 'sending', owner = %s, lease_until = %s,
    attempt = attempt + 1, updated_at = %s
WHERE id {among} (
    SELECT r.id FROM antiphon_reply r
    WHERE ((r.state = 'ready' AND r.not_before <= %s) OR (r.state = 'sending' AND r.lease_until < %s))
      AND r.platform IN ({platforms})
      AND NOT EXISTS (SELECT 1 FROM antiphon_reply p
                      WHERE p.channel_id = r.channel_id AND p.state = 'ready' AND p.id < r.id)
      AND NOT EXISTS (SELECT 1 FROM antiphon_reply s
                      WHERE s.channel_id = r.channel_id AND s.state = 'sending' AND s.id <> r.id)
    ORDER BY r.id LIMIT %s {lock}){end}
RETURNING id
"""
_DELIVERIES = """
SELECT r.id, c.key, r.text, r.kind, r.attempt, r.task_id, t.attempt, r.message_id, r.part, r.native_id, r.doubtful,
       r.reply_to, r.created_at
FROM antiphon_reply r
JOIN antiphon_channel c ON c.id = r.channel_id
JOIN antiphon_task t ON t.id = r.task_id
WHERE r.id IN ({ids}) ORDER BY r.id
"""
_SENT = """
UPDATE antiphon_reply SET state = 'sent', native_id = %s, doubtful = FALSE, lease_until = NULL, reason = '',
    updated_at = %s
WHERE id = %s AND owner = %s AND state = 'sending' RETURNING message_id, part
"""
_NAME_MESSAGE = "UPDATE antiphon_message SET native_id = %s WHERE id = %s AND native_id = ''"
_LATER = """
UPDATE antiphon_reply SET state = 'ready', not_before = %s, reason = %s, doubtful = (%s AND native_id = ''),
    lease_until = NULL, updated_at = %s
WHERE id = %s AND owner = %s AND state = 'sending'
"""
_DEAD = """
UPDATE antiphon_reply SET state = 'dead', reason = %s, lease_until = NULL, updated_at = %s
WHERE id = %s AND owner = %s AND state = 'sending'
"""
_LET_GO = "UPDATE antiphon_reply SET lease_until = 0 WHERE state = 'sending'"
_OWNED = "SELECT state, native_id FROM antiphon_reply WHERE id = %s AND owner = %s"
_HELD = """
SELECT t.round, t.channel_id, c.platform, m.native_id FROM antiphon_task t
JOIN antiphon_channel c ON c.id = t.channel_id JOIN antiphon_message m ON m.id = t.message_id
WHERE t.id = %s AND t.owner = %s AND t.attempt = %s AND t.state = 'running'
"""
_FIND_DRAFT = """
SELECT id FROM antiphon_reply WHERE task_id = %s AND round = %s AND kind = 'answer' AND part = 0 AND state = 'draft'
"""
_EARLIER = """
SELECT 1 FROM antiphon_reply WHERE channel_id = %s AND state IN ('ready', 'sending') LIMIT 1
"""
_ADD_DRAFT = """
INSERT INTO antiphon_reply
    (task_id, round, kind, part, channel_id, platform, text, state, reply_to, doubtful, created_at, updated_at)
VALUES (%s, %s, 'answer', 0, %s, %s, '', 'draft', %s, FALSE, %s, %s) RETURNING id
"""
_DOUBT_DRAFT = "UPDATE antiphon_reply SET doubtful = TRUE WHERE id = %s AND native_id = ''"
_DRAFT_SENT = """
UPDATE antiphon_reply SET native_id = %s, doubtful = FALSE, updated_at = %s
WHERE id = %s AND state IN ('draft', 'ready') AND native_id = ''
"""
_STATE = "SELECT state FROM antiphon_reply WHERE id = %s"
_REVIVE = """
UPDATE antiphon_reply SET state = 'ready', attempt = 0, not_before = 0, doubtful = FALSE, reason = '', updated_at = %s
WHERE id = %s AND state = 'dead'
"""


class DjangoOutboxStore:
    """The sender's side of replies."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def claim(self, owner: str, limit: int, lease_seconds: float, platforms: Sequence[str]) -> Sequence[Delivery]:
        """Take the ready heads of channels, marking them `sending`: per channel strictly in order."""
        now = self._now()

        def claim(tx: Tx) -> list[Delivery]:
            sql = _CLAIM.format(
                among="= ANY (ARRAY" if tx.postgres else "IN",
                platforms=placeholders(platforms),
                lock="FOR UPDATE OF r SKIP LOCKED" if tx.postgres else "",
                end=")" if tx.postgres else "",
            )
            rows = tx.rows(sql, owner, now + lease_seconds, now, now, now, *platforms, limit)
            return _deliveries(tx, [row[0] for row in rows]) if rows else []

        return await self._database.run(claim)

    async def sent(self, owner: str, reply: int, native_id: str) -> None:
        """Delivered. Fenced by `owner`; repeating it is harmless."""
        now = self._now()

        def sent(tx: Tx) -> None:
            row = tx.row(_SENT, native_id, now, reply, owner)
            if row is None:
                _check_repeated(tx, owner, reply, ReplyState.SENT)
                return
            message, part = row
            if message is not None and part == 0 and native_id:
                tx.execute(_NAME_MESSAGE, native_id, message)
            tx.notify_here("replies")

        await self._database.run(sent)

    async def later(self, owner: str, reply: int, delay: float, reason: str, *, doubtful: bool) -> None:
        """Not delivered: ready again after `delay` seconds. `doubtful` when it may have arrived all the same."""
        now = self._now()

        def later(tx: Tx) -> None:
            if not tx.execute(_LATER, now + delay, reason, doubtful, now, reply, owner):
                _check_repeated(tx, owner, reply, ReplyState.READY)
            tx.notify_here("replies")

        await self._database.run(later)

    async def dead(self, owner: str, reply: int, reason: str) -> None:
        """Given up, with the reason. The next reply of the channel becomes the head."""
        now = self._now()

        def dead(tx: Tx) -> None:
            if not tx.execute(_DEAD, reason, now, reply, owner):
                _check_repeated(tx, owner, reply, ReplyState.DEAD)
            tx.notify_here("replies")

        await self._database.run(dead)

    async def reap(self) -> None:
        """Whoever was sending is known to be gone: what they left comes back at once, and is doubtful."""
        await self._database.run(lambda tx: tx.execute(_LET_GO))

    async def open_draft(self, lease: Lease) -> Delivery | None:
        """Find or create the draft reply of a task's round; None while earlier replies of its channel are under way,
        which it must not overtake. Fenced.

        A draft found without the platform's id may have been sent by an earlier attempt: it is doubtful, until
        `draft_sent` names it.
        """
        now = self._now()

        def open_draft(tx: Tx) -> Delivery | None:
            held = tx.row(_HELD, lease.task, lease.owner, lease.attempt)
            if held is None:
                raise LeaseLost("This task belongs to somebody else now.")
            round_, channel, platform, native_id = held
            if tx.row(_EARLIER, channel):
                return None
            found = tx.rows(_FIND_DRAFT, lease.task, round_) or tx.rows(
                _ADD_DRAFT, lease.task, round_, channel, platform, native_id, now, now
            )
            draft = _deliveries(tx, found[0])[0]
            tx.execute(_DOUBT_DRAFT, draft.reply)  # from here on a send may happen
            return draft

        return await self._database.run(open_draft)

    async def draft_sent(self, reply: int, native_id: str) -> None:
        """Store the platform's id of a draft. With "" it is known not to be there, so that it is not doubtful."""
        await self._database.run(lambda tx: tx.execute(_DRAFT_SENT, native_id, self._now(), reply))

    async def revive(self, reply: int) -> None:
        """Make a dead reply ready again, by hand: whoever asks accepts that a doubtful one may arrive twice."""
        now = self._now()

        def revive(tx: Tx) -> None:
            row = tx.row(_STATE, reply)
            if row is None:
                raise NotFound("There is no such reply.")
            if row[0] == ReplyState.READY:
                return
            if not tx.execute(_REVIVE, now, reply):
                raise Conflict("Only a reply among the dead letters can be sent again.")
            tx.notify("replies")

        await self._database.run(revive)


def _deliveries(tx: Tx, ids: Sequence[int]) -> list[Delivery]:
    return [_delivery(row) for row in tx.rows(_DELIVERIES.format(ids=placeholders(ids)), *ids)]


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        reply=row[0],
        channel=row[1],
        text=row[2],
        kind=ReplyKind(row[3]),
        attempt=row[4],
        task=row[5],
        turn_attempt=row[6],
        message=row[7],
        part=row[8],
        native_id=row[9],
        doubtful=bool(row[10]),
        reply_to=row[11],
        created_at=from_epoch(row[12]),
    )


def _check_repeated(tx: Tx, owner: str, reply: int, state: ReplyState) -> None:
    """The write changed nothing: fine when the same owner made it before, else the reply was taken over."""
    row = tx.row(_OWNED, reply, owner)
    if row is None or row[0] != state:
        raise LeaseLost("This reply belongs to somebody else now.")
