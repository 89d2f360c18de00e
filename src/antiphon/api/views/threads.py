"""Task threads over all conversations of a person."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import NotFound
from antiphon.store.models import Thread


class ThreadsView(ApiView):
    """`/api/threads`."""

    @describe(
        summary="My threads",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.ThreadItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of the threads of the person's channels."""
        page = page_of(request.GET)
        rows = await self.services.database.read(reads.threads, self.person, None, page)
        return json_answer(envelope(rows, page, wire.thread, lambda row: (row.pk,)))


class _OneThread(ApiView):
    async def _thread(self, id: str) -> Thread:
        row = await self.services.database.read(reads.thread_of, row_id(id, "thread"), self.person)
        if row is None:
            raise NotFound("There is no such thread.")
        return row


class ThreadView(_OneThread):
    """`/api/threads/{id}`."""

    @describe(summary="One thread", responses={200: shapes.ThreadItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """As in the list."""
        return json_answer(wire.thread(await self._thread(id)))


class CloseThreadView(_OneThread):
    """`/api/threads/{id}/close`."""

    @describe(
        summary="Close a thread",
        description="The next message opens a new one. Closing a closed thread changes nothing.",
        request=None,
        responses={200: shapes.ThreadItem},
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Close by hand instead of waiting for idleness."""
        row = await self._thread(id)
        await self.services.threads.close(row.pk)
        return json_answer(wire.thread(await self._thread(id)))
