"""Tasks as lists show them: with what was asked, where, by whom, and how the answer's delivery went.

A person sees their own tasks. Operators also see that everybody else's are there and how they fare, to retry what
died; but not what was asked or answered in another person's own conversation. Functions run on a database thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from antiphon.api.access import Reader
from antiphon.api.paging import MAX_ID, Page
from antiphon.domain.work import Task
from antiphon.store.db import Tx
from antiphon.store.models.fields import from_epoch
from antiphon.store.task_rows import task_view

ASKED_CHARS = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tasks: in one state, of one conversation, only dead ones (their reply counts too), of everybody."""

    state: str | None = None
    channel: str | None = None
    thread: int | None = None
    dead: bool = False
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task and what a list says about it. `dead_reply` is why its answer could not be delivered, or ""."""

    task: Task
    asked: str
    requester: str
    title: str
    created: datetime
    updated: datetime
    dead_reply: str

    @property
    def id(self) -> int:
        """The task's own."""
        return self.task.id


_DEAD_REPLY = "SELECT r.reason FROM antiphon_reply r WHERE r.task_id = t.id AND r.state = 'dead'"
_FROM = "FROM antiphon_task t JOIN antiphon_channel c ON c.id = t.channel_id"
_ABOUT = f"""
    SELECT SUBSTR(m.text, 1, {ASKED_CHARS}), COALESCE(p.name, m.author_name), c.title, t.created_at, t.updated_at,
           ({_DEAD_REPLY} ORDER BY r.id DESC LIMIT 1),
           COALESCE(t.person_id, 0) = %s OR c.server_id IS NOT NULL
    {_FROM} JOIN antiphon_message m ON m.id = t.message_id LEFT JOIN antiphon_person p ON p.id = t.person_id
    WHERE t.id = %s
"""


def tasks(tx: Tx, reader: Reader, asked: Asked, page: Page) -> list[TaskRow]:
    """A page of them, newest first, and one more if there is another page."""
    where, values = ["t.id < %s"], [page.after[0] if page.after else MAX_ID]
    if not (asked.everybody and reader.operator):
        where.append("t.person_id = %s")
        values.append(reader.person)
    for condition, value in (
        ("t.state = %s", asked.state),
        ("c.key = %s", asked.channel),
        ("t.thread_id = %s", asked.thread),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)  # pyright: ignore[reportArgumentType] - values of any kind
    if asked.dead:
        where.append(f"(t.state = 'dead' OR EXISTS ({_DEAD_REPLY}))")
    sql = f"SELECT t.id {_FROM} WHERE {' AND '.join(where)} ORDER BY t.id DESC LIMIT %s"
    return [_row(tx, reader, row[0]) for row in tx.rows(sql, *values, page.limit + 1)]


def task(tx: Tx, reader: Reader, number: int) -> TaskRow | None:
    """One of them; None when it is not there or not for this reader."""
    found = tx.row("SELECT person_id FROM antiphon_task WHERE id = %s", number)
    if found is None or not (reader.operator or found[0] == reader.person):
        return None
    return _row(tx, reader, number)


def _row(tx: Tx, reader: Reader, number: int) -> TaskRow:
    about = tx.row(_ABOUT, reader.person, number)
    assert about is not None  # noqa: S101 - its id was just read in this transaction
    asked, requester, title, created, updated, dead_reply, readable = about
    row = TaskRow(
        task=task_view(tx, number),
        asked=asked,
        requester=requester or "",
        title=title,
        created=from_epoch(created),
        updated=from_epoch(updated),
        dead_reply="" if dead_reply is None else dead_reply or "no reason was given",
    )
    if readable:
        return row
    return replace(row, asked="", title="", task=replace(row.task, reply=None))
