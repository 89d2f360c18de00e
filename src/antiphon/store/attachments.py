"""Implements `domain.attachments.AttachmentStore`: files that came with messages. Called by the API,
the brain and retention.

Rows say what there is, `blobs` holds the bytes. A content is deleted only in a transaction of its own that finds no
row for it any more, and a row is added only while its content is there; both hold the same lock, so neither can slip
past the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from antiphon.domain.attachments import StoredFile, media_type_of, safe_name
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Attachment
from antiphon.domain.errors import InvalidInput, NotFound, TooLarge, Unavailable
from antiphon.store import models
from antiphon.store.blobs import Blob, BlobFolder
from antiphon.store.db import Database, Tx

UNSENT_FILES = 100
"""Uploads of one person that no message uses yet: more are refused."""
UNSENT_TIMES = 10
"""And their bytes together: this many times the largest file."""


class DjangoAttachmentStore:
    """Attachments and their content. `most` is the largest file in bytes."""

    def __init__(self, database: Database, clock: Clock, folder: Path, *, most: int) -> None:
        self._database = database
        self._clock = clock
        self._blobs = BlobFolder(folder)
        self._most = most

    async def add(self, source: IO[bytes], name: str, *, channel: str, person: int) -> Attachment:
        """Keep an upload for a later message of `person` in `channel`. Raises `InvalidInput` (empty), `TooLarge` or
        `Unavailable`; then nothing was kept."""
        name = safe_name(name)
        for last in (False, True):
            blob = await asyncio.to_thread(self._blobs.keep, source, self._most)
            if not blob.size:
                await self.sweep([blob.digest])
                raise InvalidInput("The file is empty.", fields={"file": "empty"})
            try:
                added = await self._database.run(self._add, blob, name, channel, person)
            except TooLarge:
                await self.sweep([blob.digest])
                raise
            if added is not None:
                return added
            if last or not source.seekable():
                break
            source.seek(0)  # somebody deleted the same content at this very moment
        raise Unavailable("The file could not be stored just now; please try again.")

    def _add(self, tx: Tx, blob: Blob, name: str, channel: str, person: int) -> Attachment | None:
        _lock(tx, blob.digest)
        if not self._blobs.path(blob.digest).exists():
            return None
        unsent = models.Attachment.objects.filter(person_id=person, message=None, digest__gt="")
        sizes = list(unsent.values_list("size", flat=True))
        if len(sizes) >= UNSENT_FILES or sum(sizes) + blob.size > UNSENT_TIMES * self._most:
            raise TooLarge("You uploaded many files that no message uses yet. Send or leave them, then go on.")
        row = models.Attachment.objects.create(
            name=name,
            media_type=media_type_of(blob.head, name),
            size=blob.size,
            digest=blob.digest,
            channel=channel,
            person_id=person,
            created_at=self._clock.now(),
        )
        return _attachment(row)

    async def file(self, attachment: int) -> StoredFile:
        """One attachment that is kept here, with where it belongs. `NotFound` if there is none."""

        def read(_: Tx) -> StoredFile:
            row = models.Attachment.objects.filter(pk=attachment, digest__gt="").first()
            if row is None:
                raise no_such_attachment()
            return StoredFile(
                attachment=_attachment(row),
                digest=row.digest,
                channel=row.channel,
                person=row.person_id,
                message=row.message_id,
                text=row.text,
            )

        return await self._database.read(read)

    async def content(self, digest: str) -> bytes:
        """The bytes kept under a digest. `NotFound` when they are gone."""
        content = await asyncio.to_thread(self._blobs.read, digest)
        if content is None:
            raise no_such_attachment()
        return content

    def path(self, digest: str) -> Path:
        """The file with a content, for sending it out piece by piece."""
        return self._blobs.path(digest)

    async def set_text(self, attachment: int, text: str) -> None:
        """Keep what was read in a file, so that it is read once."""
        await self._database.run(
            lambda _: models.Attachment.objects.filter(pk=attachment).update(text=text.replace("\x00", ""))
        )

    async def discard(self, attachment: int, person: int) -> None:
        """Delete a person's upload that no message uses. `NotFound` for every other."""

        def discard(_: Tx) -> str:
            rows = models.Attachment.objects.filter(pk=attachment, person_id=person, message=None, digest__gt="")
            row = rows.first()
            if row is None:
                raise no_such_attachment()
            row.delete()
            return row.digest

        await self.sweep([await self._database.run(discard)])

    async def sweep(self, digests: Iterable[str]) -> int:
        """Delete those contents that no attachment has any more; returns how many."""
        gone = 0
        for digest in sorted(set(digests)):
            gone += await self._database.run(self._sweep, digest)
        return gone

    def _sweep(self, tx: Tx, digest: str) -> int:
        _lock(tx, digest)
        if not digest or models.Attachment.objects.filter(digest=digest).exists():
            return 0
        self._blobs.remove(digest)
        return 1

    async def sweep_unsent(self, before: float, limit: int) -> int:
        """Delete uploads from before `before` (epoch seconds) that no message uses, up to `limit`."""

        def drop(tx: Tx) -> list[str]:
            rows = tx.rows(_UNSENT, before, limit)
            models.Attachment.objects.filter(pk__in=[row[0] for row in rows]).delete()
            return [row[1] for row in rows]

        dropped: Sequence[str] = await self._database.run(drop)
        await self.sweep(dropped)
        return len(dropped)

    async def sweep_strays(self, before: float) -> int:
        """Delete files from before `before` without a row: what a crash in the middle of an upload leaves behind."""
        return await self.sweep(await asyncio.to_thread(lambda: list(self._blobs.older_than(before))))


_UNSENT = """
SELECT id, digest FROM antiphon_attachment
WHERE message_id IS NULL AND digest > '' AND created_at < %s ORDER BY id LIMIT %s
"""


def no_such_attachment() -> NotFound:
    """The answer for a file that is not there and for one that is somebody else's."""
    return NotFound("There is no such attachment.")


def _lock(tx: Tx, digest: str) -> None:
    tx.lock_channel(f"attachment {digest}")


def _attachment(row: models.Attachment) -> Attachment:
    return Attachment(name=row.name, media_type=row.media_type, size=row.size, url=row.url, id=row.pk)
