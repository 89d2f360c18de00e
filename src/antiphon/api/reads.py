"""What the API reads beside the ports: lists with their pages, and single rows with their owner in the query.

Functions run on a database thread (`Database.read`) and only read. A row that is not there and a row of somebody else
give the same None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from antiphon.api.paging import MAX_ID, Page
from antiphon.domain.approvals import ApproverKind
from antiphon.domain.conversation import ServerSettings
from antiphon.store.db import Tx
from antiphon.store.models import (
    Approval,
    Attachment,
    Channel,
    Feedback,
    Memory,
    Message,
    Proposal,
    ScheduleEntry,
    Server,
    ServerSetting,
    Thread,
)
from antiphon.store.models.fields import from_epoch

PREVIEW_CHARS = 160


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A conversation as listed. `last` is the time of the last message in epoch seconds, exactly as it is sorted."""

    id: int
    key: str
    title: str
    last: float
    preview: str

    @property
    def last_at(self) -> datetime:
        """When something was last said there."""
        return from_epoch(self.last)


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as listed. `name` is the author's label, `said` the time in epoch seconds."""

    id: int
    author: str
    name: str
    text: str
    said: float
    task: int | None
    thread: int
    reply_to: int | None
    interrupted: bool
    attachments: tuple[Attachment, ...]

    @property
    def at(self) -> datetime:
        """When it was said."""
        return from_epoch(self.said)


def name_of(tx: Tx, person: int) -> str:
    """What a person is called; "" when there is no such person."""
    row = tx.row("SELECT name FROM antiphon_person WHERE id = %s", person)
    return row[0] if row else ""


def owner_of(_tx: Tx, key: str) -> tuple[bool, int | None]:
    """Whether a channel exists, and who owns it."""
    found = list(Channel.objects.filter(key=key).values_list("owner_id", flat=True))
    return (True, found[0]) if found else (False, None)


def channel_of(_tx: Tx, key: str, person: int) -> Channel | None:
    """A person's own channel."""
    return Channel.objects.filter(key=key, owner_id=person).first()


_CHANNELS = f"""
    SELECT c.id, c.key, c.title, c.last_at, COALESCE(
        (SELECT SUBSTR(m.text, 1, {PREVIEW_CHARS}) FROM antiphon_message m
         WHERE m.channel_id = c.id ORDER BY m.id DESC LIMIT 1), '')
    FROM antiphon_channel c WHERE c.owner_id = %s
"""  # noqa: S608 - a constant


def channels(tx: Tx, person: int, page: Page) -> list[ChannelRow]:
    """A person's channels, the one last spoken in first."""
    where, values = "", []
    if page.after:
        last, number = page.after
        where, values = "AND (c.last_at < %s OR (c.last_at = %s AND c.id < %s))", [float(last), float(last), number]
    sql = f"{_CHANNELS} {where} ORDER BY c.last_at DESC, c.id DESC LIMIT %s"
    return [ChannelRow(*row) for row in tx.rows(sql, person, *values, page.limit + 1)]


def channel_row(tx: Tx, key: str, person: int) -> ChannelRow | None:
    """One of a person's channels, as listed."""
    row = tx.row(f"{_CHANNELS} AND c.key = %s", person, key)
    return ChannelRow(*row) if row else None


_MESSAGES = """
    SELECT m.id, m.author, COALESCE(NULLIF(m.author_name, ''), p.name, ''), m.text, m.at, COALESCE(m.answers_id, t.id),
           m.thread_id, m.reply_to_id, m.interrupted
    FROM antiphon_message m
    LEFT JOIN antiphon_person p ON p.id = m.person_id
    LEFT JOIN antiphon_task t ON t.message_id = m.id
    WHERE m.channel_id = %s AND m.id < %s ORDER BY m.id DESC LIMIT %s
"""


def messages(tx: Tx, channel: int, page: Page) -> list[MessageRow]:
    """The messages of a channel, newest first, with what is shown of them. Pages read this often, so it is SQL."""
    before = page.after[0] if page.after else MAX_ID
    rows = tx.rows(_MESSAGES, channel, before, page.limit + 1)
    files: dict[int, list[Attachment]] = {}
    for file in Attachment.objects.filter(message_id__in=[row[0] for row in rows]).order_by("pk"):
        files.setdefault(file.message_id, []).append(file)
    return [MessageRow(*row, attachments=tuple(files.get(row[0], ()))) for row in rows]


def answer_of(_tx: Tx, message: int, person: int) -> Message | None:
    """An agent's message in one of the person's channels."""
    return Message.objects.filter(pk=message, channel__owner_id=person, author="agent").first()


def sees_attachment(_tx: Tx, attachment: int, person: int) -> bool:
    """Whether an attachment is in one of the person's channels, or waits there for a message of theirs."""
    rows = Attachment.objects.filter(pk=attachment, digest__gt="")
    return rows.filter(Q(message__channel__owner_id=person) | Q(message=None, person_id=person)).exists()


def threads(_tx: Tx, person: int, channel: str | None, page: Page) -> list[Thread]:
    """Task threads of a person's channels (of one of them), newest first."""
    rows = Thread.objects.filter(channel__owner_id=person).select_related("channel")
    return _newest(rows.filter(channel__key=channel) if channel is not None else rows, page)


def thread_of(_tx: Tx, thread: int, person: int) -> Thread | None:
    """A thread of one of the person's channels."""
    return Thread.objects.filter(pk=thread, channel__owner_id=person).select_related("channel").first()


def approvals(_tx: Tx, person: int, permissions: Sequence[str], state: str | None, page: Page) -> list[Approval]:
    """The approvals a person asked for or may answer, newest first."""
    rows = _approvals(person, permissions)
    return _newest(rows.filter(state=state) if state is not None else rows, page)


def approval_of(_tx: Tx, approval: int, person: int, permissions: Sequence[str]) -> Approval | None:
    """One of them."""
    return _approvals(person, permissions).filter(pk=approval).first()


def _approvals(person: int, permissions: Sequence[str]) -> QuerySet[Approval]:
    """Asked for by the person; or answerable by a permission that the person's role holds on our own channels."""
    answerable = Q(
        rule_kind=ApproverKind.PERMISSION.value,
        rule_permission__in=list(permissions),
        channel__platform="web",
    )
    rows = Approval.objects.filter(Q(requester_id=person) | answerable)
    return rows.select_related("channel", "requester", "decided_by")


def reminders(_tx: Tx, person: int, page: Page) -> list[ScheduleEntry]:
    """A person's open reminders and timers in the order they were made, newest first."""
    return _newest(ScheduleEntry.objects.filter(person_id=person, state="pending").select_related("channel"), page)


def memories(_tx: Tx, person: int, page: Page) -> list[Memory]:
    """What is remembered about a person, newest first."""
    return _newest(Memory.objects.filter(scope="person", subject=person), page)


def opinions(_tx: Tx, person: int, page: Page) -> list[Feedback]:
    """A person's opinions of answers, newest first."""
    return _newest(Feedback.objects.filter(person_id=person).select_related("message"), page)


def proposals(_tx: Tx, person: int, state: str | None, page: Page) -> list[Proposal]:
    """What the agent would like to remember about a person, newest first."""
    rows = Proposal.objects.filter(person_id=person)
    return _newest(rows.filter(state=state) if state is not None else rows, page)


def servers(_tx: Tx, page: Page) -> list[ServerSettings]:
    """All servers with their personas, newest first."""
    found: list[Server] = _newest(Server.objects.all(), page)
    personas = dict(ServerSetting.objects.filter(server__in=found, name="persona").values_list("server_id", "value"))
    return [ServerSettings(row.pk, row.platform, row.name, str(personas.get(row.pk, ""))) for row in found]


def _newest(rows: QuerySet[Any], page: Page) -> list[Any]:
    """One page by descending id, and one row more to see whether there is another."""
    if page.after:
        rows = rows.filter(pk__lt=page.after[0])
    return list(rows.order_by("-pk")[: page.limit + 1])
