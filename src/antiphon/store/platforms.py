"""Implements `domain.platforms.PlatformStore`: accounts, servers, positions and events of platforms.

Called by `platforms.discord` and by the API (the settings of a server).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from antiphon.domain.attachments import StoredFile
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Attachment, ServerRef
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import Sender
from antiphon.domain.platforms import PlatformEvent, SaidLately, ServerDiscord, check_ids, check_names, check_prefix
from antiphon.store import models
from antiphon.store.acceptance import account_row, advance_cursor, server_row
from antiphon.store.db import Database, Tx, placeholders

DISCORD = "discord"
"""The name of the setting that holds a `ServerDiscord`."""
_FIND_SERVER = "SELECT id FROM antiphon_server WHERE platform = 'discord' AND id = %s"
_DISCORD_OF = """
SELECT v.value FROM antiphon_serversetting v JOIN antiphon_server s ON s.id = v.server_id
WHERE s.platform = 'discord' AND s.native_id = %s AND v.name = 'discord'
"""
_CURSORS = "SELECT channel, value FROM antiphon_cursor WHERE platform = %s AND receiver = %s"
_SAID_SINCE = """
SELECT c.key, COALESCE(s.native_id, ''), m.native_id, MAX(m.edit)
FROM antiphon_message m JOIN antiphon_channel c ON c.id = m.channel_id LEFT JOIN antiphon_server s ON s.id = c.server_id
WHERE m.channel_id IN (
        SELECT id FROM antiphon_channel WHERE platform = %s AND last_at >= %s ORDER BY last_at DESC LIMIT 50)
    AND m.id > (SELECT COALESCE(MAX(id), 0) FROM antiphon_message) - 20000
    AND m.author = 'person' AND m.native_id <> '' AND m.created_at >= %s AND m.text <> %s
GROUP BY c.key, s.native_id, m.native_id ORDER BY MAX(m.id) DESC LIMIT 500
"""
_LIVE_TASKS = """
SELECT t.id, m.id FROM antiphon_task t JOIN antiphon_message m ON m.id = t.message_id
JOIN antiphon_channel c ON c.id = m.channel_id
WHERE c.key = %s AND m.native_id = %s AND m.author = 'person' AND t.state IN ('queued', 'running', 'waiting')
ORDER BY t.id
"""
_WITHDRAW = """
UPDATE antiphon_message SET text = %s
WHERE native_id = %s AND author = 'person' AND channel_id = (SELECT id FROM antiphon_channel WHERE key = %s)
"""
_DELIVERED = """
SELECT r.native_id FROM antiphon_reply r JOIN antiphon_channel c ON c.id = r.channel_id
WHERE c.key = %s AND r.native_id IN ({ids})
"""
_NOTICES = """
SELECT native_id FROM antiphon_reply
WHERE task_id = %s AND kind = 'notice' AND state = 'sent' AND native_id <> '' ORDER BY id
"""
_AUDIO = """
SELECT id, name, media_type, size, url, digest, channel, person_id FROM antiphon_attachment
WHERE message_id = %s AND media_type LIKE 'audio/%%' AND text IS NULL ORDER BY id
"""
_SET_WORDS = "UPDATE antiphon_attachment SET text = %s WHERE id = %s AND message_id = %s AND text IS NULL"


class DjangoPlatformStore:
    """What platforms need beside the inbox and the outbox."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def person_of(self, platform: str, sender: Sender) -> int:
        """The person of an account; both are made when the account was never seen."""
        now = self._now()
        return await self._database.run(lambda tx: account_row(tx, platform, sender, now)[0])

    async def server_of(self, server: ServerRef) -> int:
        """The row of a server, made when it was never seen."""
        now = self._now()
        return await self._database.run(lambda tx: server_row(tx, server, now))

    async def discord_of(self, native_id: str) -> ServerDiscord:
        """What is set for a Discord server, by Discord's id."""

        def read(tx: Tx) -> ServerDiscord:
            row = tx.row(_DISCORD_OF, native_id)
            return _as_settings(row[0]) if row else ServerDiscord()

        return await self._database.read(read)

    async def discord_settings(self, server: int) -> ServerDiscord:
        """The same by our own id. `NotFound` when there is no such Discord server."""

        def read(tx: Tx) -> ServerDiscord:
            _check_server(tx, server)
            row = models.ServerSetting.objects.filter(server_id=server, name=DISCORD).first()
            return _as_settings(row.value) if row else ServerDiscord()

        return await self._database.read(read)

    async def set_discord(self, server: int, values: ServerDiscord) -> ServerDiscord:
        """Replace what is set for a Discord server. `InvalidInput`, or `NotFound` without the server."""
        checked, now = _checked(values), self._clock.now()

        def change(tx: Tx) -> ServerDiscord:
            _check_server(tx, server)
            models.ServerSetting.objects.update_or_create(
                server_id=server, name=DISCORD, defaults={"value": asdict(checked), "updated_at": now}
            )
            return checked

        return await self._database.run(change)

    async def cursors(self, platform: str, receiver: str) -> Mapping[str, str]:
        """The position of every channel of a receiver."""
        return dict(await self._database.read(lambda tx: tx.rows(_CURSORS, platform, receiver)))

    async def advance(self, platform: str, receiver: str, positions: Mapping[str, str]) -> None:
        """Move positions forward without a message. A power cut may take it back: then it is looked at again."""
        now = self._now()

        def advance(tx: Tx) -> None:
            for channel, value in sorted(positions.items()):
                advance_cursor(tx, platform, receiver, channel, value, now)

        await self._database.run_unsynced(advance)

    async def said_since(self, platform: str, since: datetime, withdrawn: str) -> Sequence[SaidLately]:
        """Messages of people that were accepted since then, without those that say `withdrawn`; the latest first."""
        moment = since.timestamp()
        return await self._database.read(
            lambda tx: [SaidLately(*row) for row in tx.rows(_SAID_SINCE, platform, moment, moment, withdrawn)]
        )

    async def live_tasks(self, channel: str, native_id: str) -> Sequence[int]:
        """Tasks of a person's message, by the platform's id of it, that are not done yet."""
        return await self._database.read(lambda tx: [row[0] for row in tx.rows(_LIVE_TASKS, channel, native_id)])

    async def withdraw(self, channel: str, native_id: str, text: str) -> Sequence[int]:
        """A person deleted a message there: put `text` in place of its words. Returns its tasks that are not done."""

        def withdraw(tx: Tx) -> list[int]:
            if not tx.execute(_WITHDRAW, text, native_id, channel):
                return []
            return [row[0] for row in tx.rows(_LIVE_TASKS, channel, native_id)]

        return await self._database.run(withdraw)

    async def delivered(self, channel: str, native_ids: Sequence[str]) -> Sequence[str]:
        """Those of the platform's message ids under which replies of this channel are known."""
        sql = _DELIVERED.format(ids=placeholders(native_ids))
        return await self._database.read(lambda tx: [row[0] for row in tx.rows(sql, channel, *native_ids)])

    async def notices(self, task: int) -> Sequence[str]:
        """The platform's ids of the notices that were delivered for a task: its questions to people."""
        return await self._database.read(lambda tx: [row[0] for row in tx.rows(_NOTICES, task)])

    async def add_events(self, events: Sequence[PlatformEvent]) -> None:
        """Keep what happened, in one transaction; one with a known `dedupe` is kept already."""

        def add(tx: Tx) -> None:
            servers: dict[tuple[str, str], int | None] = {}
            rows = [_event_row(tx, event, servers) for event in events]
            models.Event.objects.bulk_create(rows, ignore_conflicts=True)

        await self._database.run_unsynced(add)

    async def audio_of(self, message: int) -> Sequence[StoredFile]:
        """The sound files of a message whose words are not known yet; without a digest the platform keeps them."""

        def read(tx: Tx) -> list[StoredFile]:
            return [
                StoredFile(
                    Attachment(id=id, name=name, media_type=media_type, size=size, url=url),
                    digest=digest,
                    channel=channel,
                    person=person,
                    message=message,
                )
                for id, name, media_type, size, url, digest, channel, person in tx.rows(_AUDIO, message)
            ]

        return await self._database.read(read)

    async def set_words(self, message: int, attachment: int, words: str) -> str:
        """Keep what was heard in a file, with it and as text of its message, once. Returns the message's text."""
        words = words.replace("\x00", "")

        def keep(tx: Tx) -> str:
            text: str = tx.value("SELECT text FROM antiphon_message WHERE id = %s", message)
            if tx.execute(_SET_WORDS, words, attachment, message):
                text = f"{text}\n\n{words}" if text.strip() else words
                tx.execute("UPDATE antiphon_message SET text = %s WHERE id = %s", text, message)
            return text

        return await self._database.run(keep)


def _event_row(tx: Tx, event: PlatformEvent, servers: dict[tuple[str, str], int | None]) -> models.Event:
    """An event with what is known of its place and person. Nobody becomes known by an event."""
    place = (event.platform, event.server)
    if event.server and place not in servers:
        row = tx.row("SELECT id FROM antiphon_server WHERE platform = %s AND native_id = %s", *place)
        servers[place] = row[0] if row else None
    channel = account = None
    if event.channel:
        channel = tx.row("SELECT id FROM antiphon_channel WHERE key = %s", event.channel)
    if event.account:
        account = tx.row(
            "SELECT id FROM antiphon_account WHERE platform = %s AND native_id = %s", event.platform, event.account
        )
    return models.Event(
        platform=event.platform,
        name=event.name[:100],
        server_id=servers.get(place),
        channel_id=channel[0] if channel else None,
        account_id=account[0] if account else None,
        payload=dict(event.payload),
        dedupe=event.dedupe or None,
        at=event.at,
    )


def _check_server(tx: Tx, server: int) -> None:
    if tx.row(_FIND_SERVER, server) is None:
        raise NotFound("There is no such server.")


def _checked(values: ServerDiscord) -> ServerDiscord:
    problems: dict[str, str] = {}
    for name, check in (
        ("prefix", lambda: check_prefix(values.prefix or "")),
        ("names", lambda: check_names(values.names)),
        ("channels", lambda: check_ids(values.channels)),
        ("allowed_bots", lambda: check_ids(values.allowed_bots)),
        ("log_channel", lambda: _label(values.log_channel)),
    ):
        try:
            check()
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise InvalidInput("The settings of the server cannot be taken.", fields=problems)
    return values


def _label(value: str) -> None:
    if len(value) > 100 or not value.isprintable():
        raise ValueError("is not the id or the name of a channel")


def _as_settings(stored: object) -> ServerDiscord:
    """What a row holds, as far as it can be understood: an older or newer program may have written it."""
    value: Any = json.loads(stored) if isinstance(stored, str | bytes) else stored
    if not isinstance(value, dict):
        return ServerDiscord()

    def texts(name: str) -> tuple[str, ...]:
        found = value.get(name)
        return tuple(str(one) for one in found) if isinstance(found, list) else ()

    prefix, threads, log_channel = value.get("prefix"), value.get("threads"), value.get("log_channel")
    return ServerDiscord(
        prefix=prefix if isinstance(prefix, str) else None,
        names=texts("names"),
        channels=texts("channels"),
        allowed_bots=texts("allowed_bots"),
        log_channel=log_channel if isinstance(log_channel, str) else "",
        threads=threads if isinstance(threads, bool) else None,
    )
