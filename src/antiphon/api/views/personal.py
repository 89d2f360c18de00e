"""What belongs to a person: memories about them, and their opinion of answers."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import NotFound
from antiphon.domain.memories import MemoryScope


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
        rows = await self.services.database.read(reads.memories, self.person, page)
        return json_answer(envelope(rows, page, wire.memory, lambda row: (row.pk,)))


class MemoryView(ApiView):
    """`/api/memories/{id}`."""

    @describe(summary="Forget something about me", responses={204: None})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Forget it for good."""
        forgotten = await self.services.memories.forget(MemoryScope.PERSON, self.person, [row_id(id, "memory")])
        if not forgotten:
            raise NotFound("There is no such memory.")
        return HttpResponse(status=204)


class FeedbackView(ApiView):
    """`/api/messages/{id}/feedback`."""

    @describe(
        summary="Say what you think of an answer",
        description="A later opinion replaces the earlier one.",
        request=shapes.FeedbackBody,
        responses={204: None},
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Rate one of the agent's messages in an own conversation."""
        message = row_id(id, "answer")
        if await self.services.database.read(reads.answer_of, message, self.person) is None:
            raise NotFound("There is no such answer.")
        body = self.body(shapes.FeedbackBody)
        await self.services.feedback.rate(message, self.person, body["value"], body.get("text", ""))
        return HttpResponse(status=204)
