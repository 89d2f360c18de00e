"""Finding or opening the thread a message belongs to. Used where messages enter: `acceptance` and `schedule`."""

from __future__ import annotations

from antiphon.store.db import Tx

TITLE_CHARS = 60

_TOUCH_FRESH = """
UPDATE antiphon_thread SET last_at = %s WHERE channel_id = %s AND state = 'active' AND last_at > %s RETURNING id
"""
_TOUCH = "UPDATE antiphon_thread SET last_at = %s WHERE id = %s AND state = 'active' RETURNING id"
_TOUCH_BUSY = """
UPDATE antiphon_thread SET last_at = %s WHERE channel_id = %s AND state = 'active' AND EXISTS (
    SELECT 1 FROM antiphon_task t
    WHERE t.thread_id = antiphon_thread.id AND t.state IN ('queued', 'running', 'waiting'))
RETURNING id
"""
_CLOSE = "UPDATE antiphon_thread SET state = 'closed', closed_at = %s WHERE channel_id = %s AND state = 'active'"
_REOPEN = "UPDATE antiphon_thread SET state = 'active', closed_at = NULL, last_at = %s WHERE id = %s RETURNING id"
_OPEN = """
INSERT INTO antiphon_thread (channel_id, state, title, opened_at, last_at) VALUES (%s, 'active', %s, %s, %s)
RETURNING id
"""


def title_of(text: str) -> str:
    """The first line of a text, short enough for a list."""
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


def thread_for(tx: Tx, channel: int, now: float, idle_seconds: float, title: str, replied: int | None = None) -> int:
    """The thread of something said now; it is active afterwards. The caller holds the channel's lock.

    A reply to a message goes to that message's thread when it is still active, and reopens it when no other thread is
    being used. Otherwise the active thread takes it; one that has been idle too long, with no work left in it, is
    closed first and a new one is opened.
    """
    found = tx.row(_TOUCH, now, replied) if replied is not None else None
    found = found or tx.row(_TOUCH_FRESH, now, channel, now - idle_seconds) or tx.row(_TOUCH_BUSY, now, channel)
    if found is not None:
        return found[0]
    tx.execute(_CLOSE, now, channel)
    if replied is not None:
        tx.notify("schedule")  # another thread will be idle some day
        return tx.value(_REOPEN, now, replied)
    return open_thread(tx, channel, now, title)


def open_thread(tx: Tx, channel: int, now: float, title: str) -> int:
    """Open a thread in a channel that has no active one. The caller holds the channel's lock."""
    tx.notify("schedule")  # another thread will be idle some day
    return tx.value(_OPEN, channel, title, now, now)
