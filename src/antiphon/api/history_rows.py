"""What the history reads: everything said in the places a person may look into, searched and filtered.

Who sees what: one's own conversations, and places without a server where one has spoken (a direct chat on a
platform); operators also see every place of a server, because they answer for it. Nobody sees another person's own
conversations. Functions run on a database thread (`Database.read`) and only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from antiphon.api.access import Reader
from antiphon.api.paging import MAX_ID, Page
from antiphon.domain.conversation import Author
from antiphon.store.db import Tx, placeholders
from antiphon.store.models.fields import from_epoch

AROUND = 30
"""Messages shown before and after the one a link points to."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; None and "" leave a condition out. `until` is exclusive."""

    text: str = ""
    channel: str | None = None
    person: int | None = None
    author: Author | None = None
    since: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One message with its place. `said` is the time in epoch seconds."""

    id: int
    author: str
    name: str
    text: str
    said: float
    task: int | None
    thread: int
    interrupted: bool
    person: int | None
    channel: str
    title: str
    platform: str
    server: str
    files: int

    @property
    def at(self) -> datetime:
        """When it was said."""
        return from_epoch(self.said)


_COLUMNS = """
    SELECT m.id, m.author, COALESCE(NULLIF(m.author_name, ''), p.name, ''), m.text, m.at, COALESCE(m.answers_id, t.id),
           m.thread_id, m.interrupted, m.person_id, c.key, c.title, c.platform, COALESCE(s.name, ''),
           (SELECT COUNT(*) FROM antiphon_attachment a WHERE a.message_id = m.id)
    FROM antiphon_message m
    JOIN antiphon_channel c ON c.id = m.channel_id
    LEFT JOIN antiphon_server s ON s.id = c.server_id
    LEFT JOIN antiphon_person p ON p.id = m.person_id
    LEFT JOIN antiphon_task t ON t.message_id = m.id
"""
_MINE = """(c.owner_id = %s OR (c.owner_id IS NULL AND c.server_id IS NULL AND EXISTS (
    SELECT 1 FROM antiphon_message mine WHERE mine.channel_id = c.id AND mine.person_id = %s)))"""


def search(tx: Tx, reader: Reader, asked: Search, page: Page) -> list[Said]:
    """A page of what was said, newest first unless asked otherwise, and one row more if there is another page."""
    where, values = _visible(reader)
    if asked.text:
        where.append("LOWER(m.text) LIKE %s ESCAPE '!'")
        values.append(f"%{_literal(asked.text.lower())}%")
    for condition, value in (
        ("c.key = %s", asked.channel),
        ("m.person_id = %s", asked.person),
        ("m.author = %s", asked.author.value if asked.author else None),
        ("m.at >= %s", asked.since.timestamp() if asked.since else None),
        ("m.at < %s", asked.until.timestamp() if asked.until else None),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if asked.oldest_first:
        where.append("m.id > %s")
        values.append(page.after[0] if page.after else 0)
    else:
        where.append("m.id < %s")
        values.append(page.after[0] if page.after else MAX_ID)
    order = "ASC" if asked.oldest_first else "DESC"
    sql = f"{_COLUMNS} WHERE {' AND '.join(where)} ORDER BY m.id {order} LIMIT %s"
    return [Said(*row) for row in tx.rows(sql, *values, page.limit + 1)]


def around(tx: Tx, reader: Reader, message: int) -> tuple[list[Said], bool, bool] | None:
    """A message with its neighbours, oldest first, and whether there are older and newer ones. None: not visible."""
    where, values = _visible(reader)
    found = tx.row(f"{_COLUMNS} WHERE {' AND '.join(where)} AND m.id = %s", *values, message)
    if found is None:
        return None
    here = Said(*found)
    before = search(tx, reader, Search(channel=here.channel), Page(AROUND, (message,)))
    after = search(tx, reader, Search(channel=here.channel, oldest_first=True), Page(AROUND, (message,)))
    rows = [*reversed(before[:AROUND]), here, *after[:AROUND]]
    return rows, len(before) > AROUND, len(after) > AROUND


def _visible(reader: Reader) -> tuple[list[str], list[Any]]:
    seen = f"({_MINE} OR c.server_id IS NOT NULL)" if reader.operator else _MINE
    return [seen], [reader.person, reader.person]


def _literal(text: str) -> str:
    """Text in which LIKE's own signs mean themselves."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


@dataclass(frozen=True, slots=True)
class Known:
    """A person as operators see them. `last` is when they last said something, in epoch seconds, or None."""

    id: int
    name: str
    timezone: str
    language: str
    created: float
    role: str | None
    messages: int
    last: float | None
    accounts: tuple[tuple[str, str, str], ...]


_PEOPLE = """
    SELECT p.id, p.name, p.timezone, p.language, p.created_at, u.role,
           (SELECT COUNT(*) FROM antiphon_message m WHERE m.person_id = p.id),
           (SELECT MAX(m.at) FROM antiphon_message m WHERE m.person_id = p.id)
    FROM antiphon_person p LEFT JOIN antiphon_user u ON u.person_id = p.id
"""
_NAMED = """ AND (LOWER(p.name) LIKE %s ESCAPE '!' OR EXISTS (SELECT 1 FROM antiphon_account a WHERE a.person_id = p.id
    AND (LOWER(a.name) LIKE %s ESCAPE '!' OR a.native_id = %s)))"""
_ACCOUNTS = """
    SELECT person_id, platform, name, native_id FROM antiphon_account WHERE person_id IN ({people}) ORDER BY id
"""
_ON = " AND EXISTS (SELECT 1 FROM antiphon_account a WHERE a.person_id = p.id AND a.platform = %s)"


def people(tx: Tx, text: str, platform: str | None, page: Page) -> list[Known]:
    """A page of everybody known, newest first, with their accounts."""
    sql, values = f"{_PEOPLE} WHERE p.id < %s", [page.after[0] if page.after else MAX_ID]
    if text:
        like = f"%{_literal(text.lower())}%"
        sql += _NAMED
        values += [like, like, text]
    if platform is not None:
        sql += _ON
        values.append(platform)
    rows = tx.rows(f"{sql} ORDER BY p.id DESC LIMIT %s", *values, page.limit + 1)
    accounts: dict[int, list[tuple[str, str, str]]] = {}
    if rows:
        sql = _ACCOUNTS.format(people=placeholders(rows))
        for person, *account in tx.rows(sql, *(row[0] for row in rows)):
            accounts.setdefault(person, []).append((account[0], account[1], account[2]))
    return [Known(*row, accounts=tuple(accounts.get(row[0], ()))) for row in rows]
