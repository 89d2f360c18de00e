"""Everything about oneself: as a file to take along, or gone for good."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from typing import IO

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes
from antiphon.api.schema import describe
from antiphon.api.views.attachments import AnyMediaType
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import InvalidInput
from antiphon.domain.personal_data import CONFIRMATION

_TOO_FAST = "You asked for much in a short time. Ask again in a moment."
_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


class ExportView(ApiView):
    """`/api/me/export`."""

    content_negotiation_class = AnyMediaType

    @describe(
        summary="Everything stored about me",
        description="A zip with `person.json` and the files it names.",
        request=None,
        responses={(200, "application/zip"): {"type": "string", "format": "binary"}},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponseBase:
        """Collect it, then send it piece by piece."""
        self.state.messages.take(self.person, _TOO_FAST)
        data = await self.stores.personal_data.export(self.person)
        archive = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - `_pieces` closes it
        try:
            await self.stores.personal_data.write(data, archive)
        except BaseException:
            archive.close()
            raise
        pieces = _pieces(archive)
        response = StreamingHttpResponse(
            pieces,
            content_type="application/zip",
            headers={
                "Content-Length": str(archive.tell()),
                "Content-Disposition": 'attachment; filename="antiphon-person.zip"',
            },
        )
        response.source = pieces  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
        return response


class EraseView(ApiView):
    """`/api/me/erase`."""

    @describe(
        summary="Erase everything about me",
        description="For good, at once: own conversations whole, own words in those with others, memories, opinions, "
        "reminders, files, keys, the login. The receipt says how many of what. The credential of this request is gone "
        "then too.",
        request=request_shapes.EraseBody,
        responses={200: shapes.ErasureItem},
        also=(409,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Only the person themself can ask, and only in these words."""
        if self.body(request_shapes.EraseBody)["confirm"] != CONFIRMATION:
            raise InvalidInput(f"To erase everything, write: {CONFIRMATION}", fields={"confirm": "other words"})
        receipt = await self.stores.personal_data.erase(self.person)
        for key in receipt.keys:
            await self.state.auth.key_revoked(key)
        for session_key in receipt.sessions:
            await self.state.auth.session_ended(session_key)
        return json_answer({"at": receipt.at, "erased": dict(receipt.erased)})


async def _pieces(archive: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(archive.seek, 0)
        while piece := await asyncio.to_thread(archive.read, _CHUNK):
            yield piece
    finally:
        archive.close()
