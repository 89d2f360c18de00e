"""Domain values and rows as the API's JSON documents (see `shapes`). Ids are decimal strings, times end in Z."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from antiphon.api.history_rows import Known, Said
from antiphon.api.reads import PREVIEW_CHARS, ChannelRow, MessageRow
from antiphon.api.task_rows import TaskRow
from antiphon.api.turn_rows import TurnRows
from antiphon.domain.conversation import Attachment, Author, PlaceSettings, Receipt, ServerSettings
from antiphon.domain.health import PartHealth
from antiphon.domain.identity import Person, Principal, Role
from antiphon.domain.logins import Key, SignedIn, User
from antiphon.domain.memories import Memory, Proposal
from antiphon.domain.moving import ImportedThread
from antiphon.domain.schedule import Entry, Recurrence
from antiphon.domain.usage import UsageRow
from antiphon.store import models
from antiphon.store.models.fields import from_epoch
from antiphon.store.proposals import proposal_of
from antiphon.tools.recurrence import described

AGENT_NAME = "Antiphon"
Document = dict[str, Any]


def receipt(value: Receipt) -> Document:
    """What a message became."""
    return {"task": str(value.task), "message": str(value.message), "thread": str(value.thread)}


def channel(row: ChannelRow) -> Document:
    """A conversation as listed."""
    return {"key": row.key, "title": row.title, "last_at": row.last_at, "preview": row.preview}


def message(row: MessageRow) -> Document:
    """A stored message."""
    return {
        "id": str(row.id),
        "author": row.author,
        "name": AGENT_NAME if row.author == Author.AGENT.value else row.name,
        "text": row.text,
        "at": row.at,
        "task": _id(row.task),
        "thread": str(row.thread),
        "reply_to": _id(row.reply_to),
        "interrupted": bool(row.interrupted),
        "attachments": [attachment(file.pk, file) for file in row.attachments],
    }


def attachment(number: int, file: Attachment | models.Attachment) -> Document:
    """A file that came with a message."""
    return {"id": str(number), "name": file.name, "media_type": file.media_type, "size": file.size}


def said(row: Said) -> Document:
    """A message as the history shows it, with its place."""
    return {
        "id": str(row.id),
        "author": row.author,
        "name": AGENT_NAME if row.author == Author.AGENT.value else row.name,
        "person": _id(row.person),
        "text": row.text,
        "at": row.at,
        "task": _id(row.task),
        "thread": str(row.thread),
        "interrupted": bool(row.interrupted),
        "files": row.files,
        "channel": row.channel,
        "title": row.title,
        "platform": row.platform,
        "server": row.server,
    }


def known(row: Known) -> Document:
    """A person as operators see them."""
    return {
        "id": str(row.id),
        "name": row.name,
        "timezone": row.timezone,
        "language": row.language,
        "role": row.role,
        "messages": row.messages,
        "last_at": None if row.last is None else from_epoch(row.last),
        "created_at": from_epoch(row.created),
        "accounts": [{"platform": platform, "name": name, "id": native} for platform, name, native in row.accounts],
    }


def thread(row: models.Thread) -> Document:
    """A task thread."""
    return {
        "id": str(row.pk),
        "channel": row.channel.key,
        "state": row.state,
        "title": row.title,
        "opened_at": row.opened_at,
        "last_at": row.last_at,
        "closed_at": row.closed_at,
    }


def turns(rows: TurnRows, *, words: bool) -> Document:
    """How a task was worked on; without `words`, nothing that people said."""
    plain = ("attempt", "result", "error", "model", "requests", "input_tokens", "output_tokens", "tool_calls", "cost")
    return {
        "items": [
            {
                **{name: getattr(row, name) for name in plain},
                "seconds": row.seconds,
                "ended_at": _instant(row.ended_at),
                "trace": row.trace if isinstance(row.trace, dict) else {},
            }
            for row in rows.turns
        ],
        "calls": [
            {
                "execution": str(row.pk),
                "tool": row.tool,
                "status": row.status,
                "attempt": row.attempt,
                "seconds": row.seconds,
                "started_at": _instant(row.started_at),
                "arguments": row.arguments if words else None,
                "result": row.result if words else None,
            }
            for row in rows.calls
        ],
    }


def usage(row: UsageRow) -> Document:
    """What turns consumed."""
    return {
        "key": row.key,
        "name": row.name,
        "turns": row.turns,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": row.cost,
        "seconds": row.seconds,
    }


def imported_thread(value: ImportedThread) -> Document:
    """What a thread's file became."""
    return {
        "thread": str(value.thread),
        "channel": value.channel,
        "created": value.created,
        "messages": value.messages,
        "approvals": value.approvals,
        "reminders": value.reminders,
        "memories": value.memories,
    }


def task(row: TaskRow) -> Document:
    """A task with what a list says about it."""
    value = row.task
    return {
        "id": str(value.id),
        "state": value.state.value,
        "channel": value.channel,
        "thread": str(value.thread),
        "message": str(value.message),
        "attempt": value.attempt,
        "reply": value.reply,
        "tools": list(value.tools),
        "usage": value.usage,
        "error": {"code": value.error.code, "message": value.error.message} if value.error else None,
        "asked": row.asked,
        "requester": row.requester,
        "title": row.title,
        "created_at": row.created,
        "updated_at": row.updated,
        "dead_reply": row.dead_reply or None,
    }


def approval(row: models.Approval) -> Document:
    """A question about a tool call."""
    return {
        "id": str(row.pk),
        "state": row.state,
        "task": str(row.task_id),
        "channel": row.channel.key,
        "tool": row.tool,
        "arguments": row.arguments,
        "summary": row.summary,
        "approver": {"kind": row.rule_kind, "permission": row.rule_permission},
        "requester": str(row.requester_id),
        "requester_name": row.requester.name,
        "created_at": row.created_at,
        "expires": row.expires_at,
        "decided_by": _id(row.decided_by_id),
        "decided_by_name": row.decided_by.name if row.decided_by else None,
        "decided_at": row.decided_at,
    }


def reminder(row: models.ScheduleEntry) -> Document:
    """A reminder or timer as a list reads it."""
    recurrence = None
    if row.rule:
        recurrence = Recurrence(row.rule, datetime.fromisoformat(row.rule_start), row.rule_zone)
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "state": row.state,
        "due_at": row.due_at,
        "channel": row.channel.key,
        "text": row.text,
        "created_at": row.created_at,
        "fired_at": row.fired_at,
        "repeats": _repeats(recurrence),
    }


def entry(value: Entry) -> Document:
    """A reminder or timer as a store port gives it."""
    return {
        "id": str(value.id),
        "kind": value.kind.value,
        "state": value.state.value,
        "due_at": value.due_at,
        "channel": value.channel,
        "text": value.text,
        "created_at": value.created_at,
        "fired_at": value.fired_at,
        "repeats": _repeats(value.recurrence),
    }


def _repeats(recurrence: Recurrence | None) -> Document | None:
    if recurrence is None:
        return None
    words = described(recurrence)["words"]
    return {"rule": recurrence.rule, "timezone": recurrence.zone, "words": words}


def memory(row: models.Memory | Memory) -> Document:
    """Something remembered."""
    return {"id": str(row.id), "text": row.text, "channel": row.channel, "created_at": row.created_at}


def opinion(row: models.Feedback) -> Document:
    """An opinion of an answer."""
    return {
        "id": str(row.pk),
        "message": str(row.message_id),
        "value": row.value,
        "text": row.text,
        "question": row.question,
        "answer": row.message.text[:PREVIEW_CHARS],
        "created_at": row.created_at,
    }


def proposal(value: Proposal) -> Document:
    """A question what to remember, as a store port gives it."""
    return {
        "id": str(value.id),
        "text": value.text,
        "channel": value.channel,
        "state": value.state.value,
        "memory": _id(value.memory),
        "created_at": value.created_at,
        "decided_at": value.decided_at,
    }


def proposal_row(row: models.Proposal) -> Document:
    """The same as a list reads it."""
    return proposal(proposal_of(row))


def channel_settings(value: PlaceSettings) -> Document:
    """What is set for a channel."""
    return {
        "persona": value.channel_persona,
        "server_persona": value.server_persona,
        "server": _id(value.server),
    }


def server(value: ServerSettings) -> Document:
    """A server with its settings."""
    return {"id": str(value.id), "platform": value.platform, "name": value.name, "persona": value.persona}


def key(value: Key) -> Document:
    """An API key without its secret."""
    return {
        "id": str(value.id),
        "name": value.name,
        "person": str(value.person),
        "scopes": sorted(value.scopes),
        "hint": value.hint,
        "created_at": value.created_at,
        "last_used_at": value.last_used_at,
        "revoked_at": value.revoked_at,
    }


def me(person: Person, role: str, principal: Principal) -> Document:
    """The person behind a credential."""
    return {
        "id": str(person.id),
        "name": person.name,
        "timezone": person.timezone,
        "language": person.language,
        "role": role or None,
        "scopes": sorted(principal.scopes),
    }


def session(principal: Principal, role: Role | None, csrf: str | None) -> Document:
    """Who is signed in."""
    return {
        "user": _id(principal.user),
        "person": str(principal.person),
        "role": role.value if role else None,
        "csrf": csrf,
    }


def signed_in(value: SignedIn, current: str) -> Document:
    """A session as its holder sees it."""
    return {
        "id": str(value.id),
        "current": value.key == current,
        "started_at": value.started_at,
        "seen_at": value.seen_at,
        "address": value.address,
        "agent": value.agent,
    }


def user(value: User, *, manageable: bool) -> Document:
    """A login."""
    return {
        "id": str(value.id),
        "name": value.name,
        "role": value.role.value,
        "person": str(value.person),
        "active": value.active,
        "password": value.password,
        "totp": value.totp,
        "created_at": value.created_at,
        "last_signed_in_at": value.last_signed_in_at,
        "manageable": manageable,
    }


def part(value: PartHealth) -> Document:
    """The state of a part."""
    return {"name": value.name, "state": value.state.value, "detail": value.detail, "remedy": value.remedy}


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
