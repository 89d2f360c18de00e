"""Static files of the admin and the docs page, straight out of the installed packages, below /static.

They are the same for everybody and public, like the console's own (which live below /static/console).
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from antiphon.api.edge import AsgiApp, Receive
from antiphon.api.errors import Problem, Send, send_problem
from antiphon.api.origins import Scope

URL = "/static"
_PACKAGES = ("django.contrib.admin", "unfold", "drf_spectacular_sidecar", "antiphon.api")
_NOT_THERE = Problem(404, "not_found", "There is no such file.")


def build_static() -> AsgiApp:
    """An ASGI application for paths below `/static`."""
    files = StaticFiles(packages=[(package, "static") for package in _PACKAGES])

    async def static(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await files({**scope, "root_path": URL}, receive, _cached(send))
        except HTTPException as error:
            if error.status_code == 405:
                problem = Problem(405, "method_not_allowed", "Files can only be read.", headers={"Allow": "GET, HEAD"})
                await send_problem(send, problem)
            else:
                await send_problem(send, _NOT_THERE)

    return static


def _cached(send: Send) -> Send:
    """Let browsers keep files for an hour and ask again with their ETag after that."""

    async def with_header(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"cache-control", b"public, max-age=3600")]  # type: ignore[misc]
        await send(message)

    return with_header
