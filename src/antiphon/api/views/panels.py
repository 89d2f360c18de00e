"""The dashboard's panels: as they are now, and live. Drawn from the state this process keeps; nothing is stored here.

Members see how a server is and how much is said there; who did what, and what the program logs, is for operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import panel_shapes
from antiphon.api.listeners import Frame
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.dashboards.board import Board
from antiphon.dashboards.panel import PANELS, View, document
from antiphon.domain.errors import InvalidInput, NotFound

EVERY_SECONDS = 0.5
REDRAWN_SECONDS = 15.0
"""Some of a panel changes by time alone: rates, the hours of a chart."""
HEARTBEAT_SECONDS = 10.0
OPERATORS = frozenset({"logs", "events"})
_SERVER = OpenApiParameter("server", str, description="Only this server; without it everything together.")
_SERVER_CHARS = 40
_WORDS_CHARS = 200
_LAST_PAGE = 10_000


class _PanelsView(ApiView):
    @property
    def board(self) -> Board:
        """The state."""
        return self.services.board

    def server(self, request: Request) -> str:
        """The server that is asked for. One that is not known shows empty panels."""
        server = request.GET.get("server", "")
        if len(server) > _SERVER_CHARS:
            raise InvalidInput("server is the id of a server.", fields={"server": "too long"})
        return server

    def drawn(self, name: str, server: str, view: View, *, operator: bool) -> dict[str, Any]:
        """A panel as this reader may see it."""
        panel = self.board.panel(name, server, view)
        if name == "voice" and not operator:
            people = [replace(cell, value=None) if cell.label == "Speaking time" else cell for cell in panel.facts]
            panel = replace(panel, rows=(), facts=tuple(people), empty="Who is there is shown to operators.")
        return document(panel)

    async def seen(self) -> tuple[list[str], bool]:
        """The panels this reader may see, and whether they are an operator."""
        operator = (await self.reader()).operator
        return [name for name in PANELS if operator or name not in OPERATORS], operator


class PanelsView(_PanelsView):
    """`/api/panels`."""

    @describe(
        summary="The panels of the dashboard",
        description="Members see the panels server, messages and (without names) voice; operators also see logs and "
        "events. A value of null was not measured yet.",
        parameters=[_SERVER],
        responses={200: panel_shapes.PanelList},
    )
    async def get(self, request: Request) -> HttpResponse:
        """All of them in their first view."""
        server = self.server(request)
        names, operator = await self.seen()
        return json_answer(
            {
                "items": [self.drawn(name, server, View(), operator=operator) for name in names],
                "next": None,
                "servers": [{"id": id, "name": name} for id, name in sorted(self.board.servers.items())],
                "connected": self.board.connected,
            }
        )


class PanelView(_PanelsView):
    """`/api/panels/{name}`."""

    @describe(
        summary="One panel, filtered and paged",
        parameters=[
            _SERVER,
            OpenApiParameter("filter", str, description="One of the panel's `filters`; another one counts as none."),
            OpenApiParameter("q", str, description="Only rows with these words."),
            OpenApiParameter("page", int, description="From 1; a page beyond the last is the last."),
        ],
        responses={200: panel_shapes.PanelItem},
    )
    async def get(self, request: Request, name: str) -> HttpResponse:
        """The panel."""
        names, operator = await self.seen()
        if name not in names:
            raise NotFound("There is no such panel for you.")
        page, q = request.GET.get("page", "1"), request.GET.get("q", "")
        if not (page.isascii() and page.isdigit() and len(page) <= 5 and 1 <= int(page) <= _LAST_PAGE):
            raise InvalidInput("page is a number from 1.", fields={"page": "not a page"})
        if len(q) > _WORDS_CHARS:
            raise InvalidInput(f"q has at most {_WORDS_CHARS} characters.", fields={"q": "too long"})
        view = View(request.GET.get("filter", "")[:40], int(page), q)
        return json_answer(self.drawn(name, self.server(request), view, operator=operator))


class PanelStreamView(_PanelsView):
    """`/api/panels/stream`."""

    media_type = "text/event-stream"
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's own name

    @describe(
        summary="The panels, live",
        description="Every panel first, then each again when what it shows has changed; at most twice a second.",
        parameters=[_SERVER],
        responses={(200, "text/event-stream"): str},
    )
    async def get(self, request: Request) -> HttpResponseBase:
        """Panels as they change, named `panel`, in their first view."""
        server = self.server(request)
        names, operator = await self.seen()
        stream = self._stream(self.request.scope, names, server, operator=operator)
        response = StreamingHttpResponse(stream, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.source = stream  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
        return response

    async def _stream(
        self, scope: dict[str, Any], names: list[str], server: str, *, operator: bool
    ) -> AsyncIterator[bytes]:
        ended: list[bool] = []
        drawn: dict[str, tuple[int, float, dict[str, Any]]] = {}
        with self.state.auth.watch(self.identity, scope, lambda: ended.append(True)):
            yield b"retry: 2000\n: watching\n\n"
            silent = 0.0
            loop = asyncio.get_running_loop()
            while not ended and not self.services.should_stop():
                frames: list[bytes] = []
                for name in names:
                    version, at, before = drawn.get(name, (-1, 0.0, {}))
                    now = self.board.version(name)
                    if now == version and loop.time() < at + REDRAWN_SECONDS:
                        continue
                    panel = self.drawn(name, server, View(), operator=operator)
                    drawn[name] = (now, loop.time(), panel)
                    if panel != before:
                        frames.append(Frame(0, "panel", panel).sse)
                if frames:
                    yield b"".join(frames)
                silent = 0.0 if frames else silent + EVERY_SECONDS
                if silent >= HEARTBEAT_SECONDS:
                    silent = 0.0
                    yield b": still here\n\n"
                await asyncio.sleep(EVERY_SECONDS)
