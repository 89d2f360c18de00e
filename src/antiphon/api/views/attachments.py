"""Files: uploaded to a conversation, named in a message, given out to whoever may see that conversation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFilesSent
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from drf_spectacular.utils import OpenApiParameter
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.access import listenable_channel
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.attachments import SAFE_IMAGES
from antiphon.domain.errors import InvalidInput, MalformedInput, NotFound

_TOO_FAST = "You are uploading faster than files are taken. Send this one again in a moment."
_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})")
_NAME = OpenApiParameter("name", str, OpenApiParameter.QUERY, description="The file's name, for a body without a form.")
_FORM = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
BYTES = {"type": "string", "format": "binary"}


class AnyMediaType(BaseContentNegotiation):
    """For what has a type of its own: a file is what it is."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        """Never refused: the header names what a browser hopes for (`image/*`), not what else it could take."""
        return renderers[0], renderers[0].media_type


class UploadView(ApiView):
    """`/api/channels/{key}/attachments`."""

    @describe(
        summary="Upload a file",
        description="The bytes themselves as the body with `?name=`, or a form (`multipart/form-data`) with one file. "
        "The media type is found out from the bytes. Name the id in `attachments` of a message within a day; an upload "
        "that no message uses is deleted. A conversation that does not exist yet takes uploads for its first message.",
        parameters=[_NAME],
        request={"multipart/form-data": _FORM, "application/octet-stream": BYTES},
        responses={201: shapes.AttachmentItem},
        also=(413, 429),
    )
    async def post(self, request: Request, key: str) -> HttpResponse:
        """Keep it for the message that will name it."""
        await listenable_channel(self.stores.database, key, self.person)
        self.state.messages.take(self.person, _TOO_FAST)
        source, name = await asyncio.to_thread(_file_of, request._request)
        with source:
            attachment = await self.stores.attachments.add(source, name, channel=key, person=self.person)
        return json_answer(wire.attachment(attachment.id, attachment), HTTPStatus.CREATED)


class AttachmentView(ApiView):
    """`/api/attachments/{id}`."""

    content_negotiation_class = AnyMediaType

    @describe(
        summary="The file itself",
        description="For whoever may see its conversation. PNG, JPEG, GIF and WebP images may be shown in place; "
        "everything else is a download.",
        responses={(200, "*/*"): BYTES, (206, "*/*"): BYTES},
    )
    async def get(self, request: Request, id: str) -> HttpResponseBase:
        """Send it piece by piece."""
        number = row_id(id, "attachment")
        if not await self.stores.database.read(reads.sees_attachment, number, self.person):
            raise NotFound("There is no such attachment.")
        stored = await self.stores.attachments.file(number)
        file = stored.attachment
        path = self.stores.attachments.path(stored.digest)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("The content of this attachment is gone.")
        return sent_file(
            path,
            size=file.size,
            media_type="text/plain; charset=utf-8" if file.media_type == "text/plain" else file.media_type,
            name=file.name,
            inline=file.media_type in SAFE_IMAGES,
            wanted=request.headers.get("Range", ""),
        )

    @describe(summary="Give up an upload", description="Only before a message uses it.", responses={204: None})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Delete it with its bytes."""
        await self.stores.attachments.discard(row_id(id, "attachment"), self.person)
        return HttpResponse(status=204)


def _file_of(request: Any) -> tuple[IO[bytes], str]:
    """The bytes of an upload and the name they came with. Parsing a form uses files: call it in a thread."""
    if request.content_type != "multipart/form-data":
        return request._stream, request.GET.get("name", "")  # what the handler read the body into
    try:
        files = [file for name in request.FILES for file in request.FILES.getlist(name)]
    except (MultiPartParserError, BadRequest, RequestDataTooBig, TooManyFilesSent, ValueError) as error:
        raise MalformedInput("The form could not be read.") from error
    if len(files) != 1:
        raise InvalidInput("A form holds exactly one file.", fields={"file": "not exactly one"})
    return files[0], request.GET.get("name", "") or files[0].name or ""


def sent_file(path: Path, *, size: int, media_type: str, name: str, inline: bool, wanted: str = "") -> HttpResponseBase:
    """A file as an answer, sent piece by piece; only what cannot do harm is shown in place (`inline`).

    `wanted` is the request's header `Range`: players ask for a part in order to jump, and some play nothing without.
    """
    part = _part(wanted, size)
    first, last = part or (0, size - 1)
    pieces = _pieces(path, first, last + 1 - first)
    response = StreamingHttpResponse(
        pieces,
        status=HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK,
        content_type=media_type,
        headers={
            "Accept-Ranges": "bytes",
            "Content-Length": str(last + 1 - first),
            "Content-Disposition": _disposition(name, inline=inline),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=3600",
            **({"Content-Range": f"bytes {first}-{last}/{size}"} if part else {}),
        },
    )
    response.source = pieces  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
    return response


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that a header `Range` asks for. None is the whole file: whoever asks for several
    parts at once, or for what is not there, may be given that.
    """
    asked = _RANGE.fullmatch(wanted.strip())
    if asked is None or not (asked["first"] or asked["last"]):
        return None
    if not asked["first"]:
        first, last = max(0, size - int(asked["last"])), size - 1
    else:
        first, last = int(asked["first"]), min(int(asked["last"] or size), size - 1)
    return (first, last) if first <= last else None


async def _pieces(path: Path, first: int, length: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        file.seek(first)
        while length > 0 and (piece := await asyncio.to_thread(file.read, min(_CHUNK, length))):
            length -= len(piece)
            yield piece
    finally:
        file.close()


def _disposition(name: str, *, inline: bool) -> str:
    """How a browser takes the file, with its name in both notations of RFC 6266."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
