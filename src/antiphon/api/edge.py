"""The outermost layer of every answer: request id, host check, size limits, security headers, CORS, last-resort errors.

`asgi.build_asgi` puts it around the API; `run` may put another one around the pages. It knows nothing about routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from antiphon.api.errors import Problem, Send, problem_of, send_problem, send_response
from antiphon.api.origins import Origins, Scope, header
from antiphon.domain.errors import TooLarge
from antiphon.telemetry import metrics

Receive = Callable[[], Awaitable[dict[str, Any]]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
BODY_SECONDS = 30.0
"""Longest pause within a request's body."""
LINGER_SECONDS = 10.0
LINGER_BYTES = 64 * 1024 * 1024
"""How long, and for how much, what is still sent after a refusal is read and thrown away. A connection closed while
something unread lies in it is reset, and a proxy that is still sending then answers 502 instead of passing ours on."""
HOST_FREE = frozenset({"/health"})
"""Answered under any host name: orchestrators probe by address, and the answer is the same for everybody."""

ROUTE = "antiphon.route"
"""Where in the scope the route's pattern is noted, by whoever finds it, for the figures."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Set where the answer does not say otherwise itself."""

CORS_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
CORS_HEADERS = b"content-type, x-csrftoken, last-event-id, x-request-id"
"""What a console on another origin may send. A bearer key is not among it: its pages use the session."""
CORS_EXPOSED = b"date, retry-after, x-request-id, content-disposition"
_CORS_SECONDS = b"600"

log = structlog.stdlib.get_logger(__name__)


class Edge:
    """An ASGI application around another one."""

    def __init__(self, app: AsgiApp, *, origins: Origins, body_bytes: Callable[[Scope], int]) -> None:
        """`body_bytes` says for a request how large its body may be."""
        self._app = app
        self._origins = origins
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        answer = _Answer(scope, send, request_id, cors=self._cors(scope))
        with bound_contextvars(request_id=request_id):
            refusal = self._refusal(scope)
            if scope["type"] == "websocket":
                if refusal is not None or not self._origins.origin_allowed(scope):
                    await receive()
                    await send({"type": "websocket.close", "code": 4403})  # before accept: the handshake gets a 403
                    return
                await self._app(scope, receive, answer.send)
                return
            await self._http(scope, receive, answer, refusal)

    def _refusal(self, scope: Scope) -> Problem | None:
        """What is wrong with a request before anybody looks at its route."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            return _refused(431, "headers_too_large", "The headers are too large.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
            return _refused(414, "target_too_long", "The address is too long.")
        if scope["path"] not in HOST_FREE and not self._origins.host_allowed(header(scope, b"host")):
            return _refused(
                400,
                "unknown_host",
                "This server does not know itself under that host name. Its operator can set http.public_url.",
            )
        length = header(scope, b"content-length") or ""
        most = self._body_bytes(scope)
        if length.isascii() and length.isdigit() and int(length[:20]) > most:
            return _too_large(most)
        return None

    async def _http(self, scope: Scope, receive: Receive, answer: _Answer, refusal: Problem | None) -> None:
        if refusal is not None:
            await _refuse(scope, receive, answer, refusal)
            return
        if answer.cors and scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            await send_response(answer.send, 204, {}, b"")
            return
        most = self._body_bytes(scope)
        try:
            await self._app(scope, _limited(receive, most), answer.send)
        except _BodyTooLarge:
            if not answer.started:
                await _refuse(scope, receive, answer, _too_large(most))
        except TimeoutError:
            if not answer.started:
                await send_problem(answer.send, _refused(408, "too_slow", "The body of the request stopped coming."))
        except Exception as error:
            problem = problem_of(error)
            if not answer.started:
                await send_problem(answer.send, problem)

    def _cors(self, scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that let the page of a console on another origin read this answer; none for anybody else."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            return ()
        origin = self._origins.other_console(scope)
        if origin is None:
            return ()
        allow = [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", CORS_EXPOSED),
            (b"cross-origin-resource-policy", b"same-site"),  # pictures and downloads in its pages
            (b"vary", b"origin"),
        ]
        if scope["method"] == "OPTIONS":
            allow += [
                (b"access-control-allow-methods", CORS_METHODS),
                (b"access-control-allow-headers", CORS_HEADERS),
                (b"access-control-max-age", _CORS_SECONDS),
            ]
        return tuple(allow)


async def _refuse(scope: Scope, receive: Receive, answer: _Answer, problem: Problem) -> None:
    """Answer at once, but end the answer, after which the connection is closed, only when the body has come to its end.

    A client that asked before it sends its body (`Expect`) has not sent it, and one without a body has nothing to send.
    """
    lingers = header(scope, b"expect") is None and (
        header(scope, b"transfer-encoding") is not None or header(scope, b"content-length") not in (None, "0")
    )
    if not lingers:
        await send_problem(answer.send, problem)
        return

    async def last_withheld(message: dict[str, Any]) -> None:
        await answer.send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await send_problem(last_withheld, problem)
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while taken < LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
                taken += len(message.get("body") or b"")
    await answer.send({"type": "http.response.body", "body": b""})


def _limited(receive: Receive, most: int) -> Receive:
    """`receive` that stops reading a body that exceeds the limit, whatever was announced, or that stops coming."""
    taken = 0
    complete = False

    async def limited() -> dict[str, Any]:
        nonlocal taken, complete
        if complete:  # what is waited for now is the end of the connection, which may be long in coming
            return await receive()
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        taken += len(message.get("body") or b"")
        if taken > most:
            raise _BodyTooLarge
        return message

    return limited


def _too_large(most: int) -> Problem:
    return _refused(TooLarge.http_status, TooLarge.code, f"The request is too large: at most {most} bytes are taken.")


def _refused(status: int, code: str, message: str) -> Problem:
    """A problem after which the connection is closed, because what is left of the request is not read."""
    return Problem(status, code, message, headers={"Connection": "close"})


class _BodyTooLarge(Exception):
    """Raised inside `receive`; passes through the application to the edge."""


class _Answer:
    """`send` that adds the headers every answer carries, counts it, and remembers whether it has begun."""

    def __init__(
        self, scope: Scope, send: Send, request_id: str, *, cors: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id.encode("ascii")
        self.cors = cors
        self.started = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            metrics.HTTP_REQUESTS.labels(route=self._scope.get(ROUTE, "none"), status=str(message["status"])).inc()
            present = {bytes(name).lower() for name, _ in (*message["headers"], *self.cors)}
            message["headers"] = [
                *message["headers"],
                *self.cors,
                *((name, value) for name, value in SECURITY_HEADERS if name not in present),
                (b"x-request-id", self._request_id),
            ]
        elif message["type"] == "websocket.accept":
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        await self._send(message)
