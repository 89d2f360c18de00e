"""Implements `domain.personal_data.RetentionStore`: deletes what is too old, in batches, for `threads.retention`.

A task in progress, a reply that is still to be delivered and a thread that is open are never too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Q

from antiphon.domain.personal_data import Swept
from antiphon.domain.work import TaskKind
from antiphon.store import models
from antiphon.store.attachments import DjangoAttachmentStore
from antiphon.store.db import Database, Tx
from antiphon.store.erasing import Erased, delete_empty_threads, delete_spoken, delete_tasks
from antiphon.store.recordings import RecordingFolder

_FINAL = ("done", "dead", "cancelled")


class DjangoRetentionStore:
    """Deletes old rows and the contents they had."""

    def __init__(self, database: Database, attachments: DjangoAttachmentStore, recordings: RecordingFolder) -> None:
        self._database = database
        self._attachments = attachments
        self._recordings = recordings

    async def sweep(self, older_than: Mapping[str, datetime], limit: int) -> Swept:
        """Delete up to `limit` rows of each kind: `messages`, `transcripts` (spoken), `events`."""

        def sweep(_: Tx) -> tuple[Erased, bool]:
            done, more = Erased(), False
            for kind, before in older_than.items():
                more |= _KINDS[kind](before, limit, done) >= limit
            return done, more

        erased, more = await self._database.run(sweep)
        await self._attachments.sweep(erased.digests)
        await self._recordings.drop(erased.spoken)
        return Swept({kind: number for kind, number in erased.counts.items() if number}, more)


def _messages(before: datetime, limit: int, erased: Erased) -> int:
    return _tasks(~Q(kind=TaskKind.SPOKEN), before, limit, erased)


def _transcripts(before: datetime, limit: int, erased: Erased) -> int:
    old = models.VoiceSession.objects.filter(ended_at__lt=before).order_by("pk")
    found = list(old.values_list("pk", flat=True)[:limit])
    delete_spoken(models.VoiceSession.objects.filter(pk__in=found), erased)
    return max(len(found), _tasks(Q(kind=TaskKind.SPOKEN), before, limit, erased))


def _tasks(kind: Q, before: datetime, limit: int, erased: Erased) -> int:
    """By task: a message goes together with its answer and everything recorded between the two."""
    waiting = models.Reply.objects.exclude(state__in=("sent", "dead")).values("task")
    old = models.Task.objects.filter(kind, state__in=_FINAL, updated_at__lt=before).exclude(pk__in=waiting)
    found = list(old.order_by("pk").values_list("pk", "thread_id")[:limit])
    delete_tasks([task for task, _ in found], erased)
    threads = models.Thread.objects.filter(pk__in={thread for _, thread in found}, state="closed")
    # What a summary says was said in messages that are gone now.
    erased.drop("summaries", models.ThreadSummary.objects.filter(thread__in={thread for _, thread in found}))
    delete_empty_threads(threads, erased)
    return len(found)


def _events(before: datetime, limit: int, erased: Erased) -> int:
    found = list(models.Event.objects.filter(at__lt=before).order_by("pk").values_list("pk", flat=True)[:limit])
    erased.drop("events", models.Event.objects.filter(pk__in=found))
    return len(found)


_KINDS = {"messages": _messages, "transcripts": _transcripts, "events": _events}
