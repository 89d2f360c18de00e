"""Implements `threads.moving.ThreadFileStore`: a whole thread read, and written, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from antiphon.domain.approvals import ApprovalState
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Author, ThreadState
from antiphon.domain.errors import Conflict, NotFound
from antiphon.domain.memories import MemoryScope
from antiphon.domain.moving import ImportedThread, ImportOrder
from antiphon.domain.schedule import EntryState
from antiphon.domain.work import TaskState
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.threads.thread_file import MessagePart, TaskPart, ThreadFile

_MOST_OPEN = 200
_LAST_IMPORT = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))) AS locked"


class DjangoThreadFileStore:
    """Threads as files have them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self, thread: int, program: str) -> Mapping[str, Any]:
        """A thread as `ThreadContent`, from one consistent state."""
        return await self._database.read(_read, thread, program)

    async def write(self, file: ThreadFile, order: ImportOrder) -> ImportedThread:
        """Write everything in one transaction, or find what the same export became for this person before."""
        return await self._database.run(_write, file, order, self._clock.now())


def _read(_: Tx, number: int, program: str) -> dict[str, Any]:
    thread = models.Thread.objects.select_related("channel").filter(pk=number).first()
    if thread is None:
        raise NotFound("There is no such thread.")
    messages = list(
        models.Message.objects.filter(thread=thread)
        .order_by("pk")
        .select_related("person")
        .prefetch_related("attachments")
    )
    if not messages:
        raise Conflict("Nothing was said in this thread yet.")
    tasks = list(models.Task.objects.filter(thread=thread).order_by("pk"))
    if any(task.state in (TaskState.QUEUED, TaskState.RUNNING) for task in tasks):
        raise Conflict("This thread is being worked on. Export it when the answer is there, or stop the task first.")
    owner = thread.channel.owner_id
    people = _people(messages, tasks)
    known = {message.pk for message in messages}
    answering = {task.pk for task in tasks}
    return {
        "source": {"program": program, "channel": thread.channel.key, "thread": str(thread.pk)},
        "thread": {
            "title": thread.title,
            "opened_at": thread.opened_at.isoformat(),
            "last_at": thread.last_at.isoformat(),
        },
        "people": [
            {"ref": f"p{person.pk}", "name": person.name, "you": person.pk == owner} for person in people.values()
        ],
        "messages": [_message(message, known, answering) for message in messages],
        "tasks": [_task(task) for task in tasks if task.message_id in known],
        "summary": _summary(thread, known),
        "memories": [_memory(memory) for memory in _memories(thread, owner, tasks)],
        "schedule": [_entry(entry) for entry in _entries(thread, owner)],
    }


def _people(messages: Iterable[models.Message], tasks: Iterable[models.Task]) -> dict[int, models.Person]:
    found = {message.person_id: message.person for message in messages if message.person is not None}
    missing = {task.person_id for task in tasks if task.person_id is not None} - found.keys()
    found |= {person.pk: person for person in models.Person.objects.filter(pk__in=missing)}
    return dict(sorted(found.items()))


def _message(row: models.Message, known: set[int], answering: set[int]) -> dict[str, Any]:
    person = row.person_id if row.author == Author.PERSON.value else None
    return {
        "ref": f"m{row.pk}",
        "author": row.author,
        "person": _ref("p", person),
        "name": row.author_name or (row.person.name if row.person is not None and person else ""),
        "text": row.text,
        "at": row.at.isoformat(),
        "reply_to": _ref("m", row.reply_to_id if row.reply_to_id in known else None),
        "answers": _ref("t", row.answers_id if row.answers_id in answering else None),
        "interrupted": row.interrupted,
        "attachments": [
            {"name": file.name, "media_type": file.media_type, "size": file.size, "sha256": file.digest}
            for file in sorted(row.attachments.all(), key=lambda file: file.pk)
        ],
    }


def _task(row: models.Task) -> dict[str, Any]:
    waiting = row.state == TaskState.WAITING.value
    return {
        "ref": f"t{row.pk}",
        "message": f"m{row.message_id}",
        "person": _ref("p", row.person_id),
        "kind": row.kind,
        "state": row.state,
        "error_code": row.error_code,
        "error_message": row.error_message,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
        "pause": _pause(row) if waiting else None,
    }


def _pause(task: models.Task) -> dict[str, Any]:
    """The whole question of a waiting task: what was answered in part is asked again where the file is imported."""
    row = models.Pause.objects.filter(task=task).latest("round")
    try:
        snapshot = json.loads(bytes(row.snapshot))
    except ValueError:
        snapshot = None
    if not isinstance(snapshot, dict):
        raise Conflict("The paused turn of this thread cannot be read any more; answer or cancel it first.")
    return {
        "snapshot": snapshot,
        "text": row.text,
        "created_at": row.created_at.isoformat(),
        "approvals": [
            {
                "call_id": approval.call_id,
                "tool": approval.tool,
                "arguments": approval.arguments,
                "arguments_hash": approval.arguments_hash,
                "summary": approval.summary,
            }
            for approval in row.approvals.order_by("pk")
        ],
    }


def _summary(thread: models.Thread, known: set[int]) -> dict[str, Any] | None:
    row = models.ThreadSummary.objects.filter(thread=thread).first()
    covered = [number for number in known if row is not None and number <= row.upto]
    if row is None or not covered:
        return None
    return {"upto": f"m{max(covered)}", "text": row.text, "author": row.author}


def _memories(thread: models.Thread, owner: int | None, tasks: Iterable[models.Task]) -> list[models.Memory]:
    """The owner's own memories that were said in this channel, or that a turn of this thread was given."""
    if owner is None:
        return []
    used: set[int] = set()
    for trace in models.Turn.objects.filter(task__in=list(tasks)).values_list("trace", flat=True):
        pieces = trace.get("context", ()) if isinstance(trace, dict) else ()
        used |= {piece["id"] for piece in pieces if piece.get("kind") == "memory"}
    own = models.Memory.objects.filter(scope=MemoryScope.PERSON.value, subject=owner)
    return [row for row in own.order_by("pk") if row.channel == thread.channel.key or row.pk in used]


def _memory(row: models.Memory) -> dict[str, Any]:
    return {"text": row.text, "created_at": row.created_at.isoformat()}


def _entries(thread: models.Thread, owner: int | None) -> list[models.ScheduleEntry]:
    rows = models.ScheduleEntry.objects.filter(channel=thread.channel, person=owner, state=EntryState.PENDING.value)
    return list(rows.order_by("due_at", "pk")[:_MOST_OPEN])


def _entry(row: models.ScheduleEntry) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "text": row.text,
        "due_at": row.due_at.isoformat(),
        "created_at": row.created_at.isoformat(),
        "rule": row.rule,
        "rule_start": row.rule_start,
        "rule_zone": row.rule_zone,
    }


def _ref(kind: str, number: int | None) -> str | None:
    return None if number is None else f"{kind}{number}"


def _write(tx: Tx, file: ThreadFile, order: ImportOrder, now: datetime) -> ImportedThread:
    if tx.postgres:
        tx.rows(_LAST_IMPORT, f"import:{order.export}:{order.person}")  # two at once would else both find nothing
    before = models.ThreadImport.objects.filter(export=order.export, person_id=order.person)
    if (row := before.select_related("thread__channel").first()) is not None:
        return ImportedThread(row.thread_id, row.thread.channel.key, created=False)
    pending = models.ScheduleEntry.objects.filter(person_id=order.person, state=EntryState.PENDING.value).count()
    if pending + len(file.schedule) > _MOST_OPEN:
        raise Conflict(f"With the {len(file.schedule)} reminders of the file there would be more than {_MOST_OPEN}.")
    channel = models.Channel.objects.create(
        key=order.channel,
        platform="web",
        title=file.thread.title,
        owner_id=order.person,
        created_at=now,
        last_at=now,
    )
    thread = models.Thread.objects.create(
        channel=channel,
        state=ThreadState.ACTIVE.value,
        title=file.thread.title,
        opened_at=file.thread.opened_at,
        last_at=now,  # moved in mid-conversation: the person goes on talking here
    )
    messages = _write_messages(file.messages, thread, _you(file), order, now)
    tasks = {part.ref: _write_task(part, thread, messages[part.message], order, now) for part in file.tasks}
    for part in file.messages:
        if part.answers is not None:
            models.Message.objects.filter(pk=messages[part.ref].pk).update(answers=tasks[part.answers])
    _write_summary(file, thread, messages, now)
    memories = _write_memories(file, order)
    _write_schedule(file, channel, order)
    models.ThreadImport.objects.create(
        export=order.export, person_id=order.person, thread=thread, source=order.source, created_at=now
    )
    tx.notify("schedule")
    approvals = sum(len(task.pause.approvals) for task in file.tasks if task.pause)
    return ImportedThread(thread.pk, channel.key, True, len(file.messages), approvals, len(file.schedule), memories)


def _you(file: ThreadFile) -> str | None:
    return next((person.ref for person in file.people if person.you), None)


def _write_messages(
    parts: Iterable[MessagePart], thread: models.Thread, you: str | None, order: ImportOrder, now: datetime
) -> dict[str, models.Message]:
    """In the order of the file, so that ids keep it. Only the importing person is a person here."""
    written: dict[str, models.Message] = {}
    for part in parts:
        row = models.Message.objects.create(
            channel=thread.channel,
            thread=thread,
            author=part.author,
            person_id=order.person if part.person is not None and part.person == you else None,
            author_name=part.name[:200],
            text=part.text,
            at=part.at,
            created_at=now,
            reply_to=written[part.reply_to] if part.reply_to else None,
            interrupted=part.interrupted,
        )
        for file in part.attachments:
            # Without the bytes: a checksum from outside must not open a file that somebody else put here.
            models.Attachment.objects.create(
                message=row, name=file.name, media_type=file.media_type, size=file.size, created_at=now
            )
        written[part.ref] = row
    return written


def _write_task(
    part: TaskPart, thread: models.Thread, message: models.Message, order: ImportOrder, now: datetime
) -> models.Task:
    waiting = part.pause is not None
    task = models.Task.objects.create(
        kind=part.kind,
        channel=thread.channel,
        thread=thread,
        message=message,
        person_id=order.person,
        state=part.state,
        attempt=1,
        round=1 if waiting else 0,
        resume=waiting,
        error_code=part.error_code,
        error_message=part.error_message,
        created_at=part.created_at,
        updated_at=now,
    )
    if part.pause is None:
        return task
    pause = models.Pause.objects.create(
        task=task, round=0, snapshot=order.snapshots[part.ref], text=part.pause.text, created_at=part.pause.created_at
    )
    for approval in part.pause.approvals:
        rule = order.rules[part.ref, approval.call_id]
        models.Approval.objects.create(
            task=task,
            pause=pause,
            channel=thread.channel,
            requester_id=order.person,
            call_id=approval.call_id,
            tool=approval.tool,
            arguments=approval.arguments,
            arguments_hash=approval.arguments_hash,
            summary=order.titles[part.ref, approval.call_id],
            rule_kind=rule.kind.value,
            rule_permission=rule.permission,
            state=ApprovalState.PENDING.value,
            created_at=now,
            expires_at=order.expires_at,
        )
    return task


def _write_summary(
    file: ThreadFile, thread: models.Thread, messages: Mapping[str, models.Message], now: datetime
) -> None:
    part = file.summary
    if part is not None:
        models.ThreadSummary.objects.create(
            thread=thread, upto=messages[part.upto].pk, text=part.text, author=part.author, updated_at=now
        )


def _write_memories(file: ThreadFile, order: ImportOrder) -> int:
    """What the person does not know already, as their own words from this channel."""
    own = models.Memory.objects.filter(scope=MemoryScope.PERSON.value, subject=order.person)
    known = set(own.values_list("text", flat=True))
    written = 0
    for number, part in enumerate(file.memories):
        if part.text in known:
            continue
        known.add(part.text)
        written += 1
        models.Memory.objects.create(
            scope=MemoryScope.PERSON.value,
            subject=order.person,
            text=part.text,
            author_id=order.person,
            channel=order.channel,
            origin=f"import:{order.export}:{number}",
            created_at=part.created_at,
        )
    return written


def _write_schedule(file: ThreadFile, channel: models.Channel, order: ImportOrder) -> None:
    for number, (part, due) in enumerate(zip(file.schedule, order.due, strict=True)):
        models.ScheduleEntry.objects.create(
            kind=part.kind,
            state=EntryState.PENDING.value,
            due_at=due,
            channel=channel,
            person_id=order.person,
            origin=f"import:{order.person}:{order.export}:{number}",
            text=part.text,
            created_at=part.created_at,
            rule=part.rule,
            rule_start=part.rule_start,
            rule_zone=part.rule_zone,
        )
