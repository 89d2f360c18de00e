"""Turning what was said into rows: the one transaction behind `InboxStore.receive` and `LiveStore.begin`.

This is the hottest path of the store, so it is SQL: six statements for a message in a known channel on SQLite, and on
PostgreSQL, where each is a round trip, four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from antiphon.domain.conversation import Attachment, InboundMessage, Receipt, ServerRef, platform_of
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.work import Lease, TaskKind, Work
from antiphon.store.db import Tx
from antiphon.store.models.fields import from_epoch
from antiphon.store.standby import Standby
from antiphon.store.thread_opening import open_thread, thread_for, title_of

_ID_CHARS = 200
_NAME_CHARS = 200
_CACHED_CHANNELS = 10_000

_FIND_REPEAT = """
SELECT t.id, m.id, m.thread_id, m.text FROM antiphon_message m JOIN antiphon_task t ON t.message_id = m.id
WHERE m.dedupe = %s
"""
# With the channel's lock in one round trip. A repeat committed while this waited for the lock is not seen yet; adding
# the message then breaks the unique key, and the transaction runs again.
_LOCK_AND_FIND_REPEAT = f"""
SELECT repeat.* FROM (SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))) AS locked
LEFT JOIN ({_FIND_REPEAT}) AS repeat (task, message, thread, text) ON TRUE
"""
_FIND_CHANNEL = "SELECT id, owner_id, server_id, title FROM antiphon_channel WHERE key = %s"
_ADD_CHANNEL = """
INSERT INTO antiphon_channel (key, platform, title, owner_id, server_id, settings, created_at, last_at)
VALUES (%s, %s, %s, %s, %s, '{}', %s, %s) RETURNING id
"""
_TOUCH_CHANNEL = "UPDATE antiphon_channel SET last_at = %s WHERE id = %s"
_FIND_SERVER = "SELECT id, name FROM antiphon_server WHERE platform = %s AND native_id = %s"
_ADD_SERVER = "INSERT INTO antiphon_server (platform, native_id, name, created_at) VALUES (%s, %s, %s, %s) RETURNING id"
_FIND_ACCOUNT = "SELECT id, person_id, name FROM antiphon_account WHERE platform = %s AND native_id = %s"
_ADD_PERSON = "INSERT INTO antiphon_person (name, preferences, created_at) VALUES (%s, '{}', %s) RETURNING id"
_ADD_ACCOUNT = """
INSERT INTO antiphon_account (platform, native_id, person_id, name, is_bot, created_at)
VALUES (%s, %s, %s, %s, %s, %s) RETURNING id
"""
_FIND_REPLIED = "SELECT id, thread_id FROM antiphon_message WHERE channel_id = %s AND native_id = %s ORDER BY id DESC"
_FIND_REPLIED_PART = """
SELECT m.id, m.thread_id FROM antiphon_reply r JOIN antiphon_message m ON m.id = r.message_id
WHERE r.channel_id = %s AND r.native_id = %s
"""
_FIND_REPLIED_ID = "SELECT id, thread_id FROM antiphon_message WHERE channel_id = %s AND id = %s"
_ADD_MESSAGE = """
INSERT INTO antiphon_message
    (channel_id, thread_id, author, person_id, account_id, author_name, text, at, created_at, dedupe, native_id, edit,
     reply_to_id)
VALUES (%s, %s, 'person', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
_ADD_ATTACHMENT = """
INSERT INTO antiphon_attachment (message_id, name, media_type, size, url) VALUES (%s, %s, %s, %s, %s)
"""
_CLAIM_ATTACHMENT = """
UPDATE antiphon_attachment SET message_id = %s
WHERE id = %s AND message_id IS NULL AND person_id = %s AND channel = %s AND digest > ''
"""
_CLAIMED = "SELECT id FROM antiphon_attachment WHERE message_id = %s AND digest > ''"
_ADD_TASK = """
INSERT INTO antiphon_task
    (message_id, kind, channel_id, thread_id, person_id, state, attempt, tries, owner, lease_until, created_at,
     updated_at)
VALUES ({message}, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
_ADD_TASK_OF = _ADD_TASK.format(message="%s")
# PostgreSQL does the three in one round trip; SQLite, which has none, knows no INSERT in a WITH.
_TOUCH_AND_ADD = f"""
WITH touched AS ({_TOUCH_CHANNEL}), message AS ({_ADD_MESSAGE}),
     task AS ({_ADD_TASK.format(message="(SELECT id FROM message)")})
SELECT message.id, task.id FROM message, task
"""
_BUSY = """
SELECT EXISTS (SELECT 1 FROM antiphon_task WHERE channel_id = %s AND state = 'running')
    OR EXISTS (SELECT 1 FROM antiphon_task WHERE channel_id = %s AND state = 'queued')
"""
_SET_CURSOR = """
INSERT INTO antiphon_cursor (platform, receiver, channel, value, updated_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (platform, receiver, channel) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
_ADVANCE_CURSOR = f"""{_SET_CURSOR}
WHERE length(excluded.value) > length(antiphon_cursor.value)
   OR (length(excluded.value) = length(antiphon_cursor.value) AND excluded.value > antiphon_cursor.value)
"""


@dataclass(frozen=True, slots=True)
class _Channel:
    """What never changes of a channel, and its title as last seen here."""

    id: int
    owner: int | None
    server: int | None
    title: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message belongs and who wrote it, as ids."""

    channel: int
    thread: int
    reply_to: int | None
    person: int
    account: int | None


@dataclass(frozen=True, slots=True)
class Running:
    """The task starts as running, leased to `owner`: a spoken turn's session, or a worker that waits for work."""

    owner: str
    lease_until: float


class Acceptance:
    """Accepts messages. Keeps the ids of known channels; they are never deleted, and only committed ones are kept."""

    def __init__(self, idle_seconds: float, standby: Standby) -> None:
        self._idle_seconds = idle_seconds
        self._standby = standby
        self._channels: dict[str, _Channel] = {}

    def accept(self, tx: Tx, message: InboundMessage, now: float, spoken: Running | None = None) -> Receipt:
        """Store the message with its task, or find the earlier one with the same dedupe key.

        A spoken turn is already running. A written one is handed to the worker of this process when that waits for
        work and the channel is idle; else it is queued.
        """
        _check(message)
        repeat = _lock_and_find_repeat(tx, message)
        channel, new = self._channel(tx, message, now)
        if message.cursor:
            _advance_cursor(tx, message, now)
        if repeat is not None:
            # A voice message has become words meanwhile.
            if repeat[3] != message.text and (message.text or not message.attachments):
                raise Conflict("This message id was used before, with another text.", fields={"id": "already used"})
            _check_same_files(tx, message, repeat[1])
            return Receipt(task=repeat[0], message=repeat[1], thread=repeat[2], created=False)
        person, account = _sender(tx, message, now)
        thread, replied = self._thread(tx, message, channel.id, new, now)
        handed = None if spoken else self._handed(tx, channel.id, now)
        stored, task = _add(tx, message, _Place(channel.id, thread, replied, person, account), spoken, handed, now)
        for file in message.attachments:
            _attach(tx, file, stored, person, message.channel)
        if handed is None:
            tx.notify("tasks")
        else:
            work = Work(
                lease=Lease(task=task, owner=handed.owner, attempt=1),
                channel=message.channel,
                thread=thread,
                message=stored,
                text=message.text,
                requester=Requester(
                    person=person,
                    platform=platform_of(message.channel),
                    channel=message.channel,
                    account="" if account is None else message.sender.native_id,
                    server=channel.server,
                ),
                received_at=from_epoch(now),
            )
            tx.after_commit(lambda: self._standby.hand_over(work))
            tx.notify_here("tasks")
        return Receipt(task=task, message=stored, thread=thread, created=True)

    def _thread(self, tx: Tx, message: InboundMessage, channel: int, new: bool, now: float) -> tuple[int, int | None]:
        """The thread the message belongs to, and the stored message it replies to."""
        title = title_of(message.text)
        if new:
            return open_thread(tx, channel, now, title), None
        replied = _replied(tx, channel, message)
        thread = thread_for(tx, channel, now, self._idle_seconds, title, replied[1] if replied else None)
        return thread, replied[0] if replied else None

    def _handed(self, tx: Tx, channel: int, now: float) -> Running | None:
        """The worker that waits for work, if this channel is idle; the order in a channel is that of acceptance."""
        if not self._standby.open or tx.value(_BUSY, channel, channel):
            return None
        slot = self._standby.take()
        return Running(slot[0], now + slot[1]) if slot else None

    def _channel(self, tx: Tx, message: InboundMessage, now: float) -> tuple[_Channel, bool]:
        """Find or create the channel, and say which. A web or api channel belongs to who first wrote there."""
        channel, new = self._channels.get(message.channel), False
        if channel is None:
            row = tx.row(_FIND_CHANNEL, message.channel)
            channel, new = (_Channel(*row), False) if row else (_add_channel(tx, message, now), True)
            tx.after_commit(lambda: self._remember(message.channel, channel))
        if _owned(message.channel) and (message.person is None or message.person != channel.owner):
            raise NotFound("There is no such channel.")
        title = _label(message.channel_title)
        if title and title != channel.title:
            tx.execute("UPDATE antiphon_channel SET title = %s WHERE id = %s", title, channel.id)
            renamed = _Channel(channel.id, channel.owner, channel.server, title)
            tx.after_commit(lambda: self._remember(message.channel, renamed))
        return channel, new

    def _remember(self, key: str, channel: _Channel) -> None:
        if len(self._channels) >= _CACHED_CHANNELS:
            self._channels.clear()
        self._channels[key] = channel


def _add(
    tx: Tx, message: InboundMessage, place: _Place, spoken: Running | None, handed: Running | None, now: float
) -> tuple[int, int]:
    """Insert the message and its task, queued unless somebody has it already; their ids."""
    running = spoken or handed
    in_message = (
        place.channel,
        place.thread,
        place.person,
        place.account,
        _label(message.sender.name),
        message.text,
        message.at.timestamp(),
        now,
        message.dedupe,
        message.native_id,
        message.edit,
        place.reply_to,
    )
    in_task = (
        (TaskKind.SPOKEN if spoken else TaskKind.MESSAGE).value,
        place.channel,
        place.thread,
        place.person,
        "running" if running else "queued",
        1 if running else 0,
        1 if running else 0,
        running.owner if running else "",
        running.lease_until if running else None,
        now,
        now,
    )
    if tx.postgres:
        [(stored, task)] = tx.rows(_TOUCH_AND_ADD, now, place.channel, *in_message, *in_task)
        return stored, task
    tx.execute(_TOUCH_CHANNEL, now, place.channel)
    stored = tx.value(_ADD_MESSAGE, *in_message)
    return stored, tx.value(_ADD_TASK_OF, stored, *in_task)


def _attach(tx: Tx, file: Attachment, message: int, person: int, channel: str) -> None:
    """Tie a file to its message: an upload of the same person to this channel, or what a platform told of one."""
    if not file.id:
        tx.execute(_ADD_ATTACHMENT, message, _label(file.name, 255), _label(file.media_type, 100), file.size, file.url)
    elif not tx.execute(_CLAIM_ATTACHMENT, message, file.id, person, channel):
        raise InvalidInput(
            "An attachment is not there: it was sent already, was given up, or belongs to another conversation. "
            "Upload it again.",
            fields={"attachments": f"{file.id} is not there"},
        )


def _check_same_files(tx: Tx, message: InboundMessage, stored: int) -> None:
    """A repeat that names uploads must name those of the first time."""
    named = {file.id for file in message.attachments if file.id}
    if named and named != {row[0] for row in tx.rows(_CLAIMED, stored)}:
        raise Conflict("This message id was used before, with other attachments.", fields={"id": "already used"})


def _lock_and_find_repeat(tx: Tx, message: InboundMessage) -> tuple[Any, ...] | None:
    """Hold the channel until the end, and look for the task, message, thread and text of an earlier delivery."""
    if not tx.postgres:
        return tx.row(_FIND_REPEAT, message.dedupe)
    repeat = tx.row(_LOCK_AND_FIND_REPEAT, message.channel, message.dedupe)
    return repeat if repeat and repeat[0] is not None else None


def _owned(key: str) -> bool:
    return platform_of(key) == "web"


def _check(message: InboundMessage) -> None:
    """Refuse ids that could not be stored as they are; an id must never be cut, or two would become one."""
    for name, value in (
        ("id", message.native_id),
        ("reply_to", message.reply_to),
        ("receiver", message.receiver),
        ("sender", message.sender.native_id),
        ("cursor", message.cursor),
    ):
        if len(value) > _ID_CHARS or "\x00" in value or not value.isprintable():
            raise InvalidInput(
                f"An id may have up to {_ID_CHARS} printable characters.", fields={name: "too long or not printable"}
            )
    if not message.native_id:
        raise InvalidInput("A message needs an id.", fields={"id": "empty"})


def _label(name: str, limit: int = _NAME_CHARS) -> str:
    """A name as people may have garbled it, made storable. Names are labels, so cutting them harms nothing."""
    return name.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def _add_channel(tx: Tx, message: InboundMessage, now: float) -> _Channel:
    owner = message.person if _owned(message.channel) else None
    server = _server(tx, message, now)
    title = _label(message.channel_title)
    if not title and _owned(message.channel):
        title = title_of(message.text)
    new = tx.value(_ADD_CHANNEL, message.channel, platform_of(message.channel), title, owner, server, now, now)
    return _Channel(new, owner, server, title)


def _server(tx: Tx, message: InboundMessage, now: float) -> int | None:
    return server_row(tx, message.server, now) if message.server is not None else None


def server_row(tx: Tx, server: ServerRef, now: float) -> int:
    """The row of a server, made when it was never seen; its name follows the platform's."""
    name = _label(server.name)
    row = tx.row(_FIND_SERVER, server.platform, server.native_id)
    if row is None:
        return tx.value(_ADD_SERVER, server.platform, server.native_id, name, now)
    if name and row[1] != name:
        tx.execute("UPDATE antiphon_server SET name = %s WHERE id = %s", name, row[0])
    return row[0]


def _sender(tx: Tx, message: InboundMessage, now: float) -> tuple[int, int | None]:
    """The person who speaks, and their account on the platform (none where the credential names the person)."""
    if message.person is not None:
        return message.person, None
    return account_row(tx, message.platform, message.sender, now)


def account_row(tx: Tx, platform: str, sender: Sender, now: float) -> tuple[int, int]:
    """The person and the account of a sender, made when never seen; the account's name follows the platform's."""
    name = _label(sender.name)
    row = tx.row(_FIND_ACCOUNT, platform, sender.native_id)
    if row is None:
        person = tx.value(_ADD_PERSON, name, now)
        return person, tx.value(_ADD_ACCOUNT, platform, sender.native_id, person, name, sender.is_bot, now)
    if name and row[2] != name:
        tx.execute("UPDATE antiphon_account SET name = %s WHERE id = %s", name, row[0])
    return row[1], row[0]


def _replied(tx: Tx, channel: int, message: InboundMessage) -> tuple[int, int] | None:
    """The stored message (id, thread) this one replies to. Our own answers are known by the ids of their parts."""
    reply_to = message.reply_to
    if not reply_to:
        return None
    row = tx.row(_FIND_REPLIED, channel, reply_to) or tx.row(_FIND_REPLIED_PART, channel, reply_to)
    if row is None and _owned(message.channel) and reply_to.isdecimal() and len(reply_to) < 19:
        row = tx.row(_FIND_REPLIED_ID, channel, int(reply_to))  # the API knows messages by our own ids
    return (row[0], row[1]) if row else None


def _advance_cursor(tx: Tx, message: InboundMessage, now: float) -> None:
    advance_cursor(tx, message.platform, message.receiver, message.channel, message.cursor, now)


def advance_cursor(tx: Tx, platform: str, receiver: str, channel: str, cursor: str, now: float) -> None:
    """Positions that are numbers only move forward, whatever order a backfill delivers in."""
    sql = _ADVANCE_CURSOR if cursor.isdecimal() else _SET_CURSOR
    tx.execute(sql, platform, receiver, channel, cursor, now)
