"""What a process without the API answers over HTTP: `/health` to everybody, `/metrics` to this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from antiphon.config import Settings
from antiphon.domain.health import PartHealth
from antiphon.run.asgi import PROBES, AsgiApp, OnePort, Receive, Scope, Send, answer

if TYPE_CHECKING:
    from antiphon.domain.identity import Principal


def build_probes(
    settings: Settings, parts: Callable[[], Awaitable[Sequence[PartHealth]]], pages: AsgiApp | None = None
) -> AsgiApp:
    """The two routes, and `pages` for every other path. `parts` say whether the process is well."""
    from antiphon.api.edge import Edge
    from antiphon.api.lean import LeanRoutes
    from antiphon.api.origins import Origins

    lean = LeanRoutes(parts, _nobody)

    async def probes(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404})
        elif scope["path"] == "/health":
            await lean.health(scope, send)
        elif scope["path"] == "/metrics":
            await lean.metrics(scope, send)
        elif pages is not None:
            await pages(scope, receive, send)  # its own "not found"
        else:
            await answer(send, 404, b"This process serves no pages.\n")

    limit = settings.limits.body_bytes
    whole = OnePort(control_plane=probes, control=PROBES, pages=pages)
    return Edge(whole, origins=Origins(settings), body_bytes=lambda _: limit)


async def _nobody(scope: Scope) -> Principal | None:
    """There is nothing here that could know a credential."""
    return None
