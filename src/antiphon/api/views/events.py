"""The event stream (SSE) of one conversation. The WebSocket with the same events is in `sockets`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api.access import listenable_channel, resume_point
from antiphon.api.listeners import Ended
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView

HEARTBEAT_SECONDS = 15.0
_OPENING = b"retry: 2000\n: listening\n\n"
_HEARTBEAT = b": still here\n\n"


class EventsView(ApiView):
    """`/api/channels/{key}/events`."""

    media_type = "text/event-stream"
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's own name; HEAD of an endless stream makes no sense

    @describe(
        summary="Live events of a conversation",
        description="An event stream that stays open; see the introduction for the events. A conversation that does "
        "not exist yet may be listened to before its first message.",
        parameters=[
            OpenApiParameter("after", int, description="Resume after this event id."),
            OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER, description="The same, for EventSource."),
        ],
        responses={(200, "text/event-stream"): str},
    )
    async def get(self, request: Request, key: str) -> HttpResponseBase:
        """Authorise first, then stream."""
        scope: dict[str, Any] = request.scope
        owner = await listenable_channel(self.stores.database, key, self.person)
        after = resume_point(scope, header_too=True)
        stream = self._stream(scope, key, owner, after)
        response = StreamingHttpResponse(stream, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.source = stream  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
        return response

    async def _stream(
        self, scope: dict[str, Any], key: str, owner: int | None, after: int | None
    ) -> AsyncIterator[bytes]:
        hub, auth = self.state.hub, self.state.auth
        async with hub.listen(key, self.person, owner=owner, after=after, reset_when_full=True) as listener:
            with auth.watch(self.identity, scope, lambda: listener.end(Ended.REVOKED)):
                yield _OPENING
                while listener.ended is None:
                    try:
                        async with asyncio.timeout(HEARTBEAT_SECONDS):
                            frames = await listener.take()
                    except TimeoutError:
                        yield _HEARTBEAT
                        continue
                    if frames:
                        yield b"".join(frame.sse for frame in frames)
