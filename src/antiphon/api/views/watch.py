"""What operators watch: the log of this process and the events of the bus, as they were and as they come.

Nothing here quotes people: log lines were redacted when they were written, and an event's words are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, TypeVar

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import shapes
from antiphon.api.access import resume_point
from antiphon.api.listeners import Frame
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import InvalidInput
from antiphon.domain.events import BusEvent
from antiphon.telemetry.recent import LogLine, Recent

T = TypeVar("T")

HEARTBEAT_SECONDS = 10.0
LEVELS = ["debug", "info", "warning", "error", "critical"]
WORDS = frozenset({"text", "summary", "message", "title", "name", "session", "unheard", "speaker"})
"""Fields of events that may quote people or name a credential."""
LEFT_OUT = frozenset({"text.delta", "panel.changed"})
"""Hundreds of the first make one answer, and without its words each says nothing; the second only says that a panel was
stored."""


class _WatchView(ApiView):
    needs: ClassVar[str | None] = "admin"

    async def _live(
        self, recent: Recent[T], name: str, show: Callable[[int, T], dict[str, Any] | None]
    ) -> HttpResponseBase:
        await self.operator()
        scope: dict[str, Any] = self.request.scope
        stream = self._stream(scope, recent, resume_point(scope, header_too=True) or 0, name, show)
        response = StreamingHttpResponse(stream, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.source = stream  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
        return response

    async def _stream(
        self,
        scope: dict[str, Any],
        recent: Recent[T],
        after: int,
        name: str,
        show: Callable[[int, T], dict[str, Any] | None],
    ) -> AsyncIterator[bytes]:
        ended: list[bool] = []
        with self.state.auth.watch(self.identity, scope, lambda: ended.append(True)):
            yield b"retry: 2000\n: watching\n\n"
            heartbeat_in = HEARTBEAT_SECONDS
            async for entries in recent.watch(after, every=1.0):
                if ended or self.services.should_stop():
                    return
                shown = ((number, show(number, entry)) for number, entry in entries)
                frames = [Frame(number, name, document).sse for number, document in shown if document is not None]
                if frames:
                    yield b"".join(frames)
                heartbeat_in = HEARTBEAT_SECONDS if frames else heartbeat_in - 1
                if heartbeat_in <= 0:
                    heartbeat_in = HEARTBEAT_SECONDS
                    yield b": still here\n\n"

    async def _listed(
        self, recent: Recent[T], show: Callable[[int, T], dict[str, Any] | None], pick: Callable[[dict[str, Any]], bool]
    ) -> HttpResponse:
        await self.operator()
        page = page_of(self.request.GET)
        before = page.after[0] if page.after else float("inf")
        shown = (show(number, entry) for number, entry in reversed(recent.after(0)) if number < before)
        rows = [document for document in shown if document is not None and pick(document)][: page.limit + 1]
        return json_answer(envelope(rows, page, lambda row: row, lambda row: (int(row["id"]),)))


_STREAM = {
    "parameters": [
        OpenApiParameter("after", int, description="Resume after this entry."),
        OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER, description="The same, for EventSource."),
    ],
    "responses": {(200, "text/event-stream"): str},
}


class LogsView(_WatchView):
    """`/api/logs`."""

    @describe(
        summary="The last lines of the log",
        description="Of the process that answers, the newest first; about 2000 are kept.",
        parameters=[
            OpenApiParameter("level", str, enum=LEVELS, description="Only lines of this severity or a worse one."),
            OpenApiParameter("q", str, description="Only lines that hold these words."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.LogItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of lines."""
        level, words = request.GET.get("level"), request.GET.get("q", "").lower()
        if level is not None and level not in LEVELS:
            raise InvalidInput(f"level is one of {', '.join(LEVELS)}.", fields={"level": "not a level"})
        worse = LEVELS[LEVELS.index(level) :] if level else None

        def pick(line: dict[str, Any]) -> bool:
            return (worse is None or line["level"] in worse) and (not words or words in str(line).lower())

        return await self._listed(self.services.watched.lines, log_line, pick)


class LogStreamView(_WatchView):
    """`/api/logs/stream`."""

    media_type = "text/event-stream"
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's own name

    @describe(summary="The log, live", description="What is kept comes first.", **_STREAM)
    async def get(self, request: Request) -> HttpResponseBase:
        """Lines as they are written, named `line`."""
        return await self._live(self.services.watched.lines, "line", log_line)


class BusEventsView(_WatchView):
    """`/api/events`."""

    @describe(
        summary="The last events of the bus",
        description="The newest first; about 2000 are kept. Words of people are left out.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.BusEventItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of events."""
        return await self._listed(self.services.watched.events, bus_event, lambda event: True)


class BusEventStreamView(_WatchView):
    """`/api/events/stream`."""

    media_type = "text/event-stream"
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's own name

    @describe(summary="The events of the bus, live", description="What is kept comes first.", **_STREAM)
    async def get(self, request: Request) -> HttpResponseBase:
        """Events as they are published, named `event`."""
        return await self._live(self.services.watched.events, "event", bus_event)


def log_line(number: int, line: LogLine) -> dict[str, Any]:
    """A line of the log."""
    keys = {key: value if isinstance(value, bool | int | float) else str(value) for key, value in line.keys.items()}
    return {
        "id": str(number),
        "at": line.at,
        "level": line.level,
        "logger": line.logger,
        "event": line.event,
        "keys": keys,
        "exception": line.exception,
    }


def bus_event(number: int, event: BusEvent) -> dict[str, Any] | None:
    """An event without words of people, or None for one that is left out."""
    if event.name in LEFT_OUT:
        return None
    payload = {key: value for key, value in event.payload.items() if key not in WORDS}
    return {"id": str(number), "at": event.at.isoformat(), "topic": event.topic, "name": event.name, "payload": payload}
