"""What belongs to a person: memories about them, and their opinion of answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core import signing
from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, request_shapes, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.memories import Memory, MemoryScope

UNDO = timedelta(minutes=10)
"""How long a forgotten memory can be taken back."""
_SALT = "antiphon.memory.undo"


class MemoriesView(ApiView):
    """`/api/memories`."""

    @describe(
        summary="What is remembered about me",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.MemoryItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of the person's own memories."""
        page = page_of(request.GET)
        rows = await self.stores.database.read(reads.memories, self.person, page)
        return json_answer(envelope(rows, page, wire.memory, lambda row: (row.pk,)))


class MemoryView(ApiView):
    """`/api/memories/{id}`."""

    @describe(
        summary="Forget something about me",
        description="For good. The answer is the only copy: with it, and with it alone, the same person can have the "
        "memory back for a while.",
        responses={200: shapes.ForgottenMemory},
    )
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Forget it, and hand what it was to the person, signed."""
        forgotten = await self.stores.memories.forget(MemoryScope.PERSON, self.person, [row_id(id, "memory")])
        if not forgotten:
            raise NotFound("There is no such memory.")
        until = self.services.clock.now() + UNDO
        return json_answer({"undo": _signed(forgotten[0], until), "until": until})


class RestoreMemoryView(ApiView):
    """`/api/memories/restore`."""

    @describe(
        summary="Take back that something was forgotten",
        description="The memory as it was: text, time and number. Twice is once.",
        request=request_shapes.UndoBody,
        responses={200: shapes.MemoryItem},
    )
    async def post(self, request: Request) -> HttpResponse:
        """Only what this person forgot, and only for a while."""
        memory = _signed_memory(self.body(request_shapes.UndoBody)["undo"], self.person, self.services.clock.now())
        return json_answer(wire.memory(await self.stores.memories.restore(memory)))


def _signed(memory: Memory, until: datetime) -> str:
    """Everything about a forgotten memory, in a form that nobody can change: the server keeps nothing."""
    document = {
        "id": memory.id,
        "subject": memory.subject,
        "text": memory.text,
        "author": memory.author,
        "channel": memory.channel,
        "created_at": memory.created_at.isoformat(),
        "origin": memory.origin,
        "until": until.isoformat(),
    }
    return signing.dumps(document, salt=_SALT, compress=True)


def _signed_memory(undo: str, person: int, now: datetime) -> Memory:
    try:
        document = signing.loads(undo, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise InvalidInput("This is no word that was given here.", fields={"undo": "unknown"}) from None
    if document["subject"] != person:
        raise NotFound("There is no such memory.")
    if datetime.fromisoformat(document["until"]) < now:
        raise InvalidInput("It is too late to take this back.", fields={"undo": "too late"})
    return Memory(
        id=document["id"],
        scope=MemoryScope.PERSON,
        subject=document["subject"],
        text=document["text"],
        author=document["author"],
        channel=document["channel"],
        created_at=datetime.fromisoformat(document["created_at"]),
        origin=document["origin"],
    )


class FeedbackView(ApiView):
    """`/api/messages/{id}/feedback`."""

    @describe(
        summary="Say what you think of an answer",
        description="A later opinion replaces the earlier one.",
        request=request_shapes.FeedbackBody,
        responses={204: None},
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Rate one of the agent's messages in an own conversation."""
        message = row_id(id, "answer")
        if await self.stores.database.read(reads.answer_of, message, self.person) is None:
            raise NotFound("There is no such answer.")
        body = self.body(request_shapes.FeedbackBody)
        await self.stores.feedback.rate(message, self.person, body["value"], body.get("text", ""))
        return HttpResponse(status=204)
