"""Implements `domain.personal_data.PersonalDataStore`: everything about a person, given to them or erased."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.db.models import QuerySet

from antiphon.domain.clock import Clock
from antiphon.domain.personal_data import FORMAT, VERSION, ErasureReceipt, PersonalData, PersonalFile
from antiphon.store import models
from antiphon.store.attachments import DjangoAttachmentStore
from antiphon.store.db import Database, Tx
from antiphon.store.erasing import Erased, erase_person, forget_learnt
from antiphon.store.people import find_person
from antiphon.store.recordings import RecordingFolder


class DjangoPersonalDataStore:
    """Export and erasure of one person."""

    def __init__(
        self, database: Database, clock: Clock, attachments: DjangoAttachmentStore, recordings: RecordingFolder
    ) -> None:
        self._database = database
        self._clock = clock
        self._attachments = attachments
        self._recordings = recordings

    async def export(self, person: int) -> PersonalData:
        """Everything stored about a person, of one moment. `NotFound`."""
        at = self._clock.now()
        return await self._database.read(lambda _: _collect(person, at))

    async def write(self, data: PersonalData, target: IO[bytes]) -> None:
        """Write an export as a zip: `person.json` and the files it names."""
        await asyncio.to_thread(self._write, data, target)

    def _write(self, data: PersonalData, target: IO[bytes]) -> None:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("person.json", json.dumps(data.document, indent=2, ensure_ascii=False))
            for file in data.files:
                path: Path = self._attachments.path(file.digest)
                if path.is_file():
                    archive.write(path, file.name)

    async def erase(self, person: int) -> ErasureReceipt:
        """Erase everything about a person, for good. `Conflict` for the only owner, `NotFound`."""

        def erase(tx: Tx) -> Erased:
            find_person(person)
            done = Erased()
            erase_person(tx, person, done)
            return done

        erased = await self._database.run(erase)
        await self._attachments.sweep(erased.digests)
        await self._recordings.drop(erased.spoken)
        return self._receipt(erased)

    async def forget(self, person: int) -> ErasureReceipt:
        """Forget what was remembered about a person and learnt from them; what was said stays."""

        def forget(_: Tx) -> Erased:
            done = Erased()
            forget_learnt(person, done)
            return done

        return self._receipt(await self._database.run(forget))

    def _receipt(self, erased: Erased) -> ErasureReceipt:
        counts = {kind: number for kind, number in sorted(erased.counts.items()) if number}
        return ErasureReceipt(self._clock.now(), counts, erased.keys, erased.sessions)


def _collect(person: int, at: datetime) -> PersonalData:
    row = find_person(person)
    own = models.Channel.objects.filter(owner_id=person).order_by("pk")
    elsewhere = models.Message.objects.filter(person_id=person).exclude(channel__owner_id=person)
    shown = models.Message.objects.filter(channel__in=own) | elsewhere
    attachments = list(models.Attachment.objects.filter(message__in=shown.values("pk")).exclude(digest=""))
    attachments += list(models.Attachment.objects.filter(person_id=person, message=None).exclude(digest=""))
    files = tuple(PersonalFile(f"attachments/{file.pk}-{file.name}", file.digest) for file in attachments)
    document: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": _time(at),
        "person": {
            "id": str(row.pk),
            "name": row.name,
            "timezone": row.timezone,
            "language": row.language,
            "preferences": row.preferences,
        },
        "accounts": _rows(models.Account.objects.filter(person_id=person), "platform", "native_id", "name"),
        "login": _rows(models.User.objects.filter(person_id=person), "name", "role"),
        "keys": _rows(models.Key.objects.filter(person_id=person), "name", "hint", "scopes", "created_at"),
        "memories": _rows(
            models.Memory.objects.filter(scope="person", subject=person), "text", "channel", "created_at"
        ),
        "server_memories_said": _rows(
            models.Memory.objects.filter(scope="server", author_id=person), "text", "channel", "created_at"
        ),
        "proposals": _rows(models.Proposal.objects.filter(person_id=person), "text", "state", "created_at"),
        "opinions": _rows(
            models.Feedback.objects.filter(person_id=person), "message_id", "value", "text", "question", "created_at"
        ),
        "reminders": _rows(
            models.ScheduleEntry.objects.filter(person_id=person), "kind", "state", "text", "due_at", "created_at"
        ),
        "conversations": [
            {
                "key": channel.key,
                "title": channel.title,
                "messages": _messages(models.Message.objects.filter(channel=channel)),
            }
            for channel in own
        ],
        "spoken_sessions": [
            _spoken(row) for row in models.VoiceSession.objects.filter(person_id=person).order_by("pk")
        ],
        "messages_elsewhere": _messages(elsewhere),
        "attachments": [
            {
                "file": name.name,
                "message": str(file.message_id) if file.message_id else None,
                "name": file.name,
                "media_type": file.media_type,
                "size": file.size,
            }
            for name, file in zip(files, attachments, strict=True)
        ],
    }
    return PersonalData(document, files)


def _messages(rows: QuerySet) -> list[Mapping[str, object]]:
    fields = ("pk", "author", "author_name", "text", "at", "channel__key")
    return [
        {"id": str(pk), "author": author, "name": name, "text": text, "at": _time(at), "channel": channel}
        for pk, author, name, text, at, channel in rows.order_by("pk").values_list(*fields).iterator(1000)
    ]


def _spoken(row: models.VoiceSession) -> Mapping[str, object]:
    return {
        "id": row.key,
        "room": row.room.name,
        "started_at": _time(row.started_at),
        "segments": _rows(row.segments.all(), "number", "author", "speaker", "text", "at"),
    }


def _rows(rows: QuerySet, *fields: str) -> list[Mapping[str, object]]:
    return [
        {name: _time(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows.order_by("pk").values(*fields)
    ]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
