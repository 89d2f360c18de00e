"""Implements `domain.conversation.ThreadStore`: reading conversations. Called by the context, tools and the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Attachment, Author, Channel, Message, Thread, ThreadState
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.store import models
from antiphon.store.db import Database, Tx, placeholders
from antiphon.store.models.fields import from_epoch

_TITLE_CHARS = 200
_RECENT = """
SELECT m.id, m.thread_id, m.author, m.text, m.at, m.person_id, m.author_name, COALESCE(m.answers_id, t.id),
       m.native_id, m.reply_to_id, m.interrupted
FROM antiphon_message m
JOIN antiphon_channel c ON c.id = m.channel_id
LEFT JOIN antiphon_task t ON t.message_id = m.id
WHERE c.key = %s AND m.id < %s
ORDER BY m.id DESC LIMIT %s
"""
_OF_THREAD = """
SELECT m.id, m.thread_id, m.author, m.text, m.at, m.person_id, m.author_name, COALESCE(m.answers_id, t.id),
       m.native_id, m.reply_to_id, m.interrupted, c.key
FROM antiphon_message m
JOIN antiphon_channel c ON c.id = m.channel_id
LEFT JOIN antiphon_task t ON t.message_id = m.id
WHERE m.thread_id = %s AND m.id > %s AND m.id < %s
ORDER BY m.id LIMIT %s
"""
_ATTACHMENTS = """
SELECT message_id, id, name, media_type, size, url FROM antiphon_attachment WHERE message_id IN ({ids}) ORDER BY id
"""
_NO_BOUND = 2**63 - 1


class DjangoThreadStore:
    """Conversations as they are stored."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def recent(self, channel: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """The latest messages of a channel, oldest first; those with an id below `before`. Empty when unknown."""

        def read(tx: Tx) -> list[Message]:
            rows = tx.rows(_RECENT, channel, _NO_BOUND if before is None else before, limit)
            files = _attachments(tx, [row[0] for row in rows])
            return [_message(channel, row, files) for row in reversed(rows)]

        return await self._database.read(read)

    async def thread(self, thread: int) -> Thread:
        """One thread, or `NotFound`."""

        def read(_: Tx) -> Thread:
            row = models.Thread.objects.select_related("channel").filter(pk=thread).first()
            if row is None:
                raise NotFound("There is no such thread.")
            return _thread(row)

        return await self._database.read(read)

    async def channel(self, key: str) -> Channel:
        """One channel, or `NotFound`."""
        return await self._database.read(lambda _: _channel(_find(key)))

    async def close(self, thread: int) -> None:
        """Close an active thread by hand. Closing a closed one changes nothing; `NotFound` if there is none."""
        now = self._clock.now()

        def close(_: Tx) -> None:
            rows = models.Thread.objects.filter(pk=thread)
            active = rows.filter(state=ThreadState.ACTIVE)
            if not active.update(state=ThreadState.CLOSED.value, closed_at=now) and not rows.exists():
                raise NotFound("There is no such thread.")

        await self._database.run(close)

    async def rename(self, channel: str, title: str) -> Channel:
        """Give a channel a title. `NotFound` if there is none."""
        title = title.strip()
        if not title or len(title) > _TITLE_CHARS or not title.isprintable():
            raise InvalidInput(
                f"A title has 1 to {_TITLE_CHARS} printable characters.", fields={"title": "empty, too long, or odd"}
            )

        def rename(_: Tx) -> Channel:
            row = _find(channel)
            row.title = title
            row.save(update_fields=["title"])
            return _channel(row)

        return await self._database.run(rename)


def messages_of_thread(tx: Tx, thread: int, after: int, before: int, limit: int) -> list[Message]:
    """The messages of a thread between two ids (both exclusive), oldest first, without their files."""
    return [_message(row[11], row, {}) for row in tx.rows(_OF_THREAD, thread, after, before, limit)]


def _find(key: str) -> models.Channel:
    row = models.Channel.objects.filter(key=key).first()
    if row is None:
        raise NotFound("There is no such channel.")
    return row


def _attachments(tx: Tx, messages: Sequence[int]) -> dict[int, list[Attachment]]:
    found: dict[int, list[Attachment]] = defaultdict(list)
    if messages:
        for message, id_, name, media_type, size, url in tx.rows(
            _ATTACHMENTS.format(ids=placeholders(messages)), *messages
        ):
            found[message].append(Attachment(name=name, media_type=media_type, size=size, url=url, id=id_))
    return found


def _message(channel: str, row: tuple[Any, ...], files: dict[int, list[Attachment]]) -> Message:
    return Message(
        id=row[0],
        channel=channel,
        thread=row[1],
        author=Author(row[2]),
        text=row[3],
        at=from_epoch(row[4]),
        person=row[5],
        author_name=row[6],
        task=row[7],
        native_id=row[8],
        reply_to=row[9],
        interrupted=bool(row[10]),
        attachments=tuple(files.get(row[0], ())),
    )


def _thread(row: models.Thread) -> Thread:
    return Thread(
        id=row.pk,
        channel=row.channel.key,
        state=ThreadState(row.state),
        opened_at=row.opened_at,
        last_at=row.last_at,
        closed_at=row.closed_at,
        title=row.title,
    )


def _channel(row: models.Channel) -> Channel:
    return Channel(
        id=row.pk,
        key=row.key,
        platform=row.platform,
        title=row.title,
        owner=row.owner_id,
        server=row.server_id,
        settings=row.settings,
    )
