"""The one error shape of the API, `{"error": {"code", "message", "fields"?}}`, and how errors become it.

Used by the edge, the views and the lean routes; nothing else builds error answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog

from antiphon.domain.errors import AntiphonError, TooManyRequests, Unauthenticated, Unavailable

log = structlog.stdlib.get_logger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

RETRY_UNAVAILABLE = 2
"""Seconds a client is told to wait when a part we need does not answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it goes over the wire."""

    status: int
    code: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self) -> bytes:
        """The JSON document. ASCII only, so that no input echoed in a field name can break the encoding."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.fields:
            error["fields"] = dict(self.fields)
        return json.dumps({"error": error}, separators=(",", ":")).encode("ascii")


def problem_of(error: Exception) -> Problem:
    """Map an exception. Errors of our own tree are public; everything else is logged and becomes a bare 500."""
    if isinstance(error, AntiphonError):
        return Problem(error.http_status, error.code, error.message, error.fields, _headers_of(error))
    log.error("api.unexpected_error", exc_info=error)
    request = structlog.contextvars.get_contextvars().get("request_id", "")
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        f"Something went wrong on the server; it is in its log under request id {request}. Try again, and tell the "
        "operator this id if it happens again.",
    )


def _headers_of(error: AntiphonError) -> dict[str, str]:
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(RETRY_UNAVAILABLE)}
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="antiphon"'}
    return {}


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer an ASGI HTTP request with a problem."""
    headers = {"Content-Type": "application/json", **problem.headers}
    await send_response(send, problem.status, headers, problem.body())


async def send_response(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Answer an ASGI HTTP request with one whole body."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
