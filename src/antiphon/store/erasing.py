"""Deleting for good: tasks with all that hangs on them, and everything about a person. Used by erasure and retention.

Rows go through the ORM, so that whatever is added to the schema later is deleted with its owner or stops the deletion
loudly; nothing is left behind in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet

from antiphon.domain.errors import Conflict
from antiphon.domain.identity import Role
from antiphon.domain.personal_data import DELETED_PERSON, DELETED_TEXT, without_words
from antiphon.store import models
from antiphon.store.db import Tx

_BATCH = 400
"""Ids in one statement: SQLite takes some thousand parameters."""

Counts = Counter[str]


class Erased:
    """What a deletion did: counts by kind, files that nothing may refer to any more, credentials that ended."""

    def __init__(self) -> None:
        self.counts: Counts = Counter()
        self.digests: set[str] = set()
        self.spoken: set[str] = set()
        """Keys of spoken sessions, whose recordings are to go too."""
        self.keys: tuple[int, ...] = ()
        self.sessions: tuple[str, ...] = ()

    def drop(self, kind: str, rows: QuerySet) -> None:
        """Delete rows and count them."""
        number = rows.count()
        if number:
            rows.delete()
            self.counts[kind] += number


def delete_tasks(tasks: Sequence[int], erased: Erased) -> None:
    """Delete tasks with their messages, answers, replies, records and files."""
    for start in range(0, len(tasks), _BATCH):
        _delete_tasks(list(tasks[start : start + _BATCH]), erased)


def _delete_tasks(tasks: list[int], erased: Erased) -> None:
    of_tasks = models.Message.objects.filter(Q(task__in=tasks) | Q(answers__in=tasks))
    messages = list(of_tasks.values_list("pk", flat=True))
    erased.drop("tool calls", models.ToolExecution.objects.filter(task__in=tasks))
    erased.drop("approvals", models.Approval.objects.filter(task__in=tasks))
    erased.drop("replies", models.Reply.objects.filter(Q(task__in=tasks) | Q(message__in=messages)))
    models.ScheduleEntry.objects.filter(task__in=tasks).update(task=None)
    delete_files(models.Attachment.objects.filter(message__in=messages), erased)
    models.Message.objects.filter(pk__in=messages).update(answers=None)
    erased.drop("tasks", models.Task.objects.filter(pk__in=tasks))
    erased.drop("messages", models.Message.objects.filter(pk__in=messages))


def delete_files(rows: QuerySet, erased: Erased) -> None:
    """Delete attachments; their contents are swept once this is committed."""
    erased.digests.update(rows.exclude(digest="").values_list("digest", flat=True))
    erased.drop("attachments", rows)


def delete_spoken(rows: QuerySet, erased: Erased) -> None:
    """Delete spoken sessions; their recordings are deleted once this is committed."""
    erased.spoken.update(rows.values_list("key", flat=True))
    erased.drop("spoken sessions", rows)


def delete_empty_threads(threads: QuerySet, erased: Erased) -> None:
    """Delete those threads that nothing is said in any more, with their summaries."""
    erased.drop("threads", threads.filter(messages=None, tasks=None))


def forget_learnt(person: int, erased: Erased) -> None:
    """Delete what was remembered about a person and learnt from them: no conversation, only what followed from it."""
    erased.drop("memories", models.Memory.objects.filter(scope="person", subject=person))
    erased.drop("proposals", models.Proposal.objects.filter(person_id=person))
    erased.drop("opinions", models.Feedback.objects.filter(person_id=person))
    spoken_in = models.Thread.objects.filter(Q(messages__person_id=person) | Q(channel__owner_id=person))
    erased.drop("summaries", models.ThreadSummary.objects.filter(thread__in=spoken_in.values("pk")))


def erase_person(tx: Tx, person: int, erased: Erased) -> None:
    """Delete everything about a person.

    Their own conversations go whole. Where others take part, their words and the answers to them are replaced, and
    the person's row stays behind without a name, so that what others said keeps its place. Raises `Conflict` for the
    only owner of the installation.
    """
    _check_not_the_only_owner(person)
    forget_learnt(person, erased)
    erased.drop("reminders", models.ScheduleEntry.objects.filter(person_id=person))
    own = models.Channel.objects.filter(owner_id=person)
    erased.drop("reminders", models.ScheduleEntry.objects.filter(channel__in=own))
    delete_tasks(list(models.Task.objects.filter(channel__in=own).values_list("pk", flat=True)), erased)
    erased.drop("messages", models.Message.objects.filter(channel__in=own))
    delete_empty_threads(models.Thread.objects.filter(channel__in=own), erased)
    for channel in own.exclude(title="", key__contains=":erased-"):
        # The row stays, because processes remember its id; its name may have been chosen by the person.
        channel.title, channel.settings = "", {}
        channel.key = f"{channel.key.partition(':')[0]}:erased-{channel.pk}"
        channel.save(update_fields=["title", "settings", "key"])
        erased.counts["conversations"] += 1
    _replace_words(person, erased)
    delete_files(models.Attachment.objects.filter(person_id=person), erased)
    erased.drop("votes", models.PollVote.objects.filter(person_id=person))
    erased.drop("polls", models.Poll.objects.filter(Q(person_id=person) | Q(channel__in=own)))
    delete_spoken(models.VoiceSession.objects.filter(person_id=person), erased)
    models.VoiceRoom.objects.filter(person_id=person).delete()
    erased.drop("imports", models.ThreadImport.objects.filter(person_id=person))
    _erase_accounts(person, erased)
    keys = list(models.Key.objects.filter(person_id=person).values_list("pk", flat=True))
    erased.drop("keys", models.Key.objects.filter(person_id=person))
    sessions = list(models.SignedIn.objects.filter(user__person_id=person).values_list("session_key", flat=True))
    erased.drop("sessions", Session.objects.filter(session_key__in=sessions))
    erased.drop("logins", models.User.objects.filter(person_id=person))
    models.Approval.objects.filter(decided_by_id=person).update(decided_by=None)
    models.Person.objects.filter(pk=person).update(name=DELETED_PERSON, timezone="UTC", language="en", preferences={})
    if not tx.postgres:  # the deleted words are still in old parts of the index, until it is written anew
        for table in ("antiphon_memory_fts", "antiphon_feedback_fts"):
            tx.execute(f"INSERT INTO {table}({table}) VALUES ('optimize')")
    erased.keys, erased.sessions = tuple(keys), tuple(sessions)


def _check_not_the_only_owner(person: int) -> None:
    owners = models.User.objects.filter(role=Role.OWNER, is_active=True)
    if owners.filter(person_id=person).exists() and owners.count() == 1:
        raise Conflict("You are the only owner of this installation. Make somebody else an owner first.")


def _replace_words(person: int, erased: Erased) -> None:
    """In conversations with others: the person's messages, the answers to them, and all records of their tasks."""
    tasks = list(models.Task.objects.filter(person_id=person).values_list("pk", flat=True))
    said = list(models.Message.objects.filter(person_id=person).values_list("pk", flat=True))
    _replace_in_paused_turns(tasks, said)
    for start in range(0, len(tasks), _BATCH):
        batch = tasks[start : start + _BATCH]
        erased.drop("tool calls", models.ToolExecution.objects.filter(task__in=batch))
        erased.drop("approvals", models.Approval.objects.filter(task__in=batch))
        models.Pause.objects.filter(task__in=batch).delete()
        models.Turn.objects.filter(task__in=batch).update(trace={}, error="")
        answers = models.Message.objects.filter(answers__in=batch)
        delete_files(models.Attachment.objects.filter(message__in=answers), erased)
        models.Feedback.objects.filter(message__in=answers).update(question="", search="")
        erased.counts["answers"] += answers.update(text=DELETED_TEXT)
        models.Reply.objects.filter(task__in=batch).exclude(state__in=("sent", "dead")).update(
            state="dead", reason="the person was erased"
        )
        models.Reply.objects.filter(task__in=batch).update(text=DELETED_TEXT)
        models.Task.objects.filter(pk__in=batch, state__in=("queued", "waiting", "running")).update(
            state="cancelled", owner="", lease_until=None
        )
        models.Task.objects.filter(pk__in=batch).update(person=None, error_message="")
    for start in range(0, len(said), _BATCH):
        batch = said[start : start + _BATCH]
        delete_files(models.Attachment.objects.filter(message__in=batch), erased)
        titled = models.Thread.objects.filter(messages__in=batch).values("pk")
        models.Thread.objects.filter(pk__in=titled).update(title="")
        erased.counts["messages"] += models.Message.objects.filter(pk__in=batch).update(
            text=DELETED_TEXT, author_name=DELETED_PERSON, person=None, account=None
        )


def _replace_in_paused_turns(tasks: list[int], said: list[int]) -> None:
    """Turns of others that pause, or did, hold the conversation they were asked in."""
    threads: set[int] = set()
    answers: set[str] = set()
    for start in range(0, len(said), _BATCH):
        in_batch = models.Message.objects.filter(pk__in=said[start : start + _BATCH])
        channels = in_batch.values("channel")
        threads |= set(models.Thread.objects.filter(channel__in=channels).values_list("pk", flat=True))
    for start in range(0, len(tasks), _BATCH):
        of_batch = models.Message.objects.filter(answers__in=tasks[start : start + _BATCH])
        answers |= set(of_batch.exclude(text="").values_list("text", flat=True))
    own, gone = frozenset(tasks), frozenset(said)
    for thread in sorted(threads):
        for pause in models.Pause.objects.filter(task__thread=thread).select_related("task"):
            if pause.task_id in own:
                continue
            ended = pause.task.state in ("done", "dead", "cancelled")  # what is retried begins anew
            left = b"" if ended else without_words(bytes(pause.snapshot), gone, answers)
            if left != bytes(pause.snapshot):
                pause.snapshot = left
                pause.save(update_fields=["snapshot"])


def _erase_accounts(person: int, erased: Erased) -> None:
    """Their accounts on platforms. One that a server's moderation has cases about stays, under no name."""
    accounts = models.Account.objects.filter(person_id=person)
    erased.drop("events", models.Event.objects.filter(account__in=accounts))
    models.Message.objects.filter(account__in=accounts).update(account=None)
    models.Case.objects.filter(moderator_id=person).update(moderator=None)
    for account in accounts.exclude(cases=None).distinct():
        account.name, account.native_id = DELETED_PERSON, f"erased:{account.pk}"
        account.save(update_fields=["name", "native_id"])
        erased.counts["accounts"] += 1
    erased.drop("accounts", accounts.filter(cases=None))
    erased.drop("memberships", models.Membership.objects.filter(person_id=person))
