"""The one port: which of the web faces answers a path, and the door in front of the pages.

`/health /api /ws /admin /metrics /token /session /transcripts` belong to Django, `/static` is files, the
rest are the console's pages, shown to signed-in people only. A role alone answers some of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from antiphon.console.navigation import ROLE
from antiphon.domain.identity import Principal, Role

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTROL_PLANE = ("/health", "/api", "/ws", "/admin", "/metrics", "/token", "/session", "/transcripts")
SIGN_IN = "/sign-in"
CONSOLE_FILES = "/static/console"
OPEN_PAGES = (SIGN_IN, "/welcome", CONSOLE_FILES)
PROBES = ("/health", "/metrics")
"""What a process without the API still answers."""
VOICE = (*PROBES, "/token", "/session", "/transcripts", "/ws/voice", "/ws/transcript", "/api/voice")
"""What of the control plane a process answers that carries spoken sessions and nothing else."""
_UNKNOWN_SOCKET = 4404


def under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or lies below it."""
    return path == prefix or path.startswith(prefix + "/")


class OnePort:
    """Routes by path: the given paths of the control plane, its static files, and the pages if this process has any."""

    def __init__(self, *, control_plane: AsgiApp, control: Sequence[str], pages: AsgiApp | None) -> None:
        self._control_plane = control_plane
        self._control = tuple(control)
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        files = under(path, "/static") and not under(path, CONSOLE_FILES)
        if files or any(under(path, prefix) for prefix in self._control):
            await self._control_plane(scope, receive, send)
        elif scope["type"] == "websocket":
            # A browser can read the code of a socket that was opened, and not why one was refused.
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": _UNKNOWN_SOCKET})
        elif self._pages is not None:
            await self._pages(scope, receive, send)
        else:
            await answer(send, 404, b"This process serves no pages.\n")


class Door:
    """In front of the pages: who has not signed in is shown the way to the sign-in page, and back afterwards.

    `principal_of` says who a request's credential belongs to, or None.
    """

    def __init__(self, pages: AsgiApp, principal_of: Callable[[Scope], Awaitable[Principal | None]]) -> None:
        self._pages = pages
        self._principal_of = principal_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if any(under(path, page) for page in OPEN_PAGES):
            await self._pages(scope, receive, send)
        elif principal := await self._principal_of(scope):
            await self._pages({**scope, ROLE: principal.role or Role.MEMBER}, receive, send)
        else:
            await answer(send, 303, b"", {"location": f"{SIGN_IN}?next={quote(_back_to(scope), safe='')}"})


def _back_to(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return scope.get("path", "/") + (f"?{query}" if query else "")


async def answer(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """A whole plain answer."""
    lines = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    lines += [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
