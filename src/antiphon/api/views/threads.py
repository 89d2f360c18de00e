"""Task threads over all conversations of a person."""

from __future__ import annotations

import asyncio

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.bodies import require_json
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import NotFound, TooLarge
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
        rows = await self.stores.database.read(reads.threads, self.person, None, page)
        return json_answer(envelope(rows, page, wire.thread, lambda row: (row.pk,)))


class _OneThread(ApiView):
    async def _thread(self, id: str) -> Thread:
        row = await self.stores.database.read(reads.thread_of, row_id(id, "thread"), self.person)
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
        await self.stores.threads.close(row.pk)
        return json_answer(wire.thread(await self._thread(id)))


class ExportThreadView(_OneThread):
    """`/api/threads/{id}/export`."""

    @describe(
        summary="A thread as a file",
        description="Messages, what waits for an approval, reminders and the memories it used, as one JSON file that "
        "`POST /api/threads/import` takes in on another system. Secrets are taken out. 409 while it is worked on.",
        responses={200: dict},
        also=(409,),
    )
    async def get(self, request: Request, id: str) -> HttpResponse:
        """The file, to be saved."""
        row = await self._thread(id)
        answer = json_answer(await self.services.export_thread(row.pk))
        answer["Content-Disposition"] = f'attachment; filename="thread-{row.pk}.json"'
        return answer


class ImportThreadView(ApiView):
    """`/api/threads/import`."""

    @describe(
        summary="Take in the file of a thread",
        description="The file as it is. All of it or nothing: a mistake is answered with its exact place. It becomes a "
        "conversation of yours; questions that waited are asked again by the rules of this system. The same file again "
        "gives the same thread (200).",
        request=dict,
        responses={200: shapes.ImportedThread, 201: shapes.ImportedThread},
        also=(409, 413),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Import it for the person who asks."""
        require_json(request._request)
        limit = self.services.settings.limits.thread_file_bytes
        raw = await asyncio.to_thread(request._request.read, limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"The file is too large: at most {limit} bytes are taken.")
        imported = await self.services.import_thread(raw, self.person)
        return json_answer(wire.imported_thread(imported), 201 if imported.created else 200)
