"""What the agent says becomes a message and replies here, and a turn its record. Used by tasks, live and schedule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.domain.errors import LeaseLost
from antiphon.domain.replies import ReplyKind, ReplyState
from antiphon.domain.work import Lease, Usage
from antiphon.store.db import Tx

STOPPED = "Stopped."

_PLACE = """
SELECT c.platform, m.native_id FROM antiphon_channel c, antiphon_message m WHERE c.id = %s AND m.id = %s
"""
_ADD_MESSAGE = """
INSERT INTO antiphon_message
    (channel_id, thread_id, author, text, at, created_at, reply_to_id, answers_id, interrupted)
VALUES (%s, %s, 'agent', %s, %s, %s, %s, %s, %s) RETURNING id
"""
# A draft of the answer becomes its first part: the row is already there, with the platform's id if it was shown.
_ADD_REPLY = """
INSERT INTO antiphon_reply
    (task_id, round, kind, part, channel_id, platform, message_id, text, state, reply_to, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (task_id, round, kind, part) DO UPDATE
SET text = excluded.text, message_id = excluded.message_id, state = excluded.state, updated_at = excluded.updated_at
"""
_OF_DRAFT = "task_id = %s AND round = %s AND kind = 'answer' AND part = 0 AND state = 'draft'"
_DRAFT_TO_NOTICE = f"UPDATE antiphon_reply SET kind = 'notice' WHERE {_OF_DRAFT}"
_DROP_UNSENT_DRAFT = f"DELETE FROM antiphon_reply WHERE {_OF_DRAFT} AND native_id = '' AND NOT doubtful"
_STOP_DRAFT = f"UPDATE antiphon_reply SET state = 'ready', text = %s, updated_at = %s WHERE {_OF_DRAFT}"
_TOUCH_THREAD = "UPDATE antiphon_thread SET last_at = %s WHERE id = %s"
_TOUCH_CHANNEL = "UPDATE antiphon_channel SET last_at = %s WHERE id = %s"
_ADD_TURN = """
INSERT INTO antiphon_turn
    (task_id, attempt, result, error, requests, input_tokens, output_tokens, tool_calls, cost, seconds, model, trace,
     warned, ended_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_FIND_REPEATED = """
SELECT 1 FROM antiphon_turn n JOIN antiphon_task t ON t.id = n.task_id
WHERE n.task_id = %s AND n.attempt = %s AND n.result = %s AND t.owner = %s
"""


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """Where a task's words go: its channel, thread, the message it answers, and its round."""

    task: int
    channel: int
    thread: int
    message: int
    round: int


def say(
    tx: Tx,
    place: TaskPlace,
    kind: ReplyKind,
    text: str,
    parts: Sequence[str],
    now: float,
    *,
    interrupted: bool = False,
    in_reply: bool = True,
) -> int | None:
    """Store the agent's words as a message, with a reply for each part. Returns the message, None without words.

    Spoken words were heard already: their reply is `sent` from the start. `in_reply` links them to the task's message.
    """
    if kind is ReplyKind.NOTICE:
        tx.execute(_DRAFT_TO_NOTICE, place.task, place.round)
    if not parts:
        settle_draft(tx, place.task, place.round, now)
        return None
    [(platform, native_id)] = tx.rows(_PLACE, place.channel, place.message)
    message: int = tx.value(
        _ADD_MESSAGE,
        place.channel,
        place.thread,
        text,
        now,
        now,
        place.message if in_reply else None,
        place.task,
        interrupted,
    )
    state = ReplyState.SENT if kind is ReplyKind.SPOKEN else ReplyState.READY
    for number, part in enumerate(parts):
        tx.execute(
            _ADD_REPLY,
            place.task,
            place.round,
            kind.value,
            number,
            place.channel,
            platform,
            message,
            part,
            state.value,
            native_id if in_reply else "",
            now,
            now,
        )
    tx.execute(_TOUCH_THREAD, now, place.thread)
    tx.execute(_TOUCH_CHANNEL, now, place.channel)
    if state is ReplyState.READY:
        tx.notify("replies")
    return message


def settle_draft(tx: Tx, task: int, round_: int, now: float) -> None:
    """A draft that will get no words: forget it when nobody saw it, else let it say that the turn was stopped."""
    tx.execute(_DROP_UNSENT_DRAFT, task, round_)
    if tx.execute(_STOP_DRAFT, STOPPED, now, task, round_):
        tx.notify("replies")


def record_turn(
    tx: Tx, lease: Lease, result: str, usage: Usage, now: float, *, error: str = "", trace: object = None
) -> None:
    """Record how this attempt ended and what it used. Its presence also proves later that the write was made."""
    tx.execute(
        _ADD_TURN,
        lease.task,
        lease.attempt,
        str(result),
        error[:60],
        usage.requests,
        usage.input_tokens,
        usage.output_tokens,
        usage.tool_calls,
        usage.cost,
        usage.seconds,
        usage.model[:200],
        json.dumps(trace or {}, ensure_ascii=False, default=str),
        isinstance(trace, dict) and bool(trace.get("warned")),
        now,
    )


def check_repeated(tx: Tx, lease: Lease, result: str) -> None:
    """A fenced write found no task of its own: fine when the very same write was made before, else the lease is lost.

    The first try may have been committed although its caller never heard of it.
    """
    if tx.row(_FIND_REPEATED, lease.task, lease.attempt, str(result), lease.owner) is None:
        raise LeaseLost("This task belongs to somebody else now.")
