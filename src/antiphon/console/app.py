"""The Flask app of the console: routes of the page shells, their security headers and error pages.

Built by `run` through `create_console`. It owns no data and never calls its own server. Who is let in is the door's
business (`run.asgi`), which also says with which role: a page above it is not there. The shells hold nothing personal,
and the API checks every request of their scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, render_template, request
from werkzeug.exceptions import HTTPException

from antiphon.console.api_address import ApiAddress, api_for, room_sources
from antiphon.console.navigation import DEMO, PAGES, ROLE, Page, menu
from antiphon.console.static_files import PREFIX, StaticFiles
from antiphon.domain.conversation import check_channel_key
from antiphon.domain.errors import InvalidInput
from antiphon.domain.identity import Role

_HERE = Path(__file__).parent
_SECURITY_HEADERS = {
    "Referrer-Policy": "no-referrer",  # the address of a sign-in page holds its token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LISTENS = "/voice"
"""The one page that may use the microphone, and that talks to a LiveKit server where there is one."""


def content_policy(api: ApiAddress, *, beside: str = "") -> str:
    """What the pages may load and run: their own files, the API, and no inline code at all.

    `beside` are further sources that the page may talk to.
    """
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {api.pictures} data:",  # data: is Pico's own arrows and ticks
            f"connect-src {api.sources} {beside}".rstrip(),
            f"media-src {api.pictures}",  # recordings
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        ]
    )


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """What the pages need to know: the longest message, how long a thread stays open without a word, and where the API
    is when it is not on the pages' own origin. `livekit_url` is asked each time: it may be set while they are up.
    `demo` says whether there is a simulated Discord whose people the demo page plays."""

    message_chars: int = 16_000
    idle_minutes: float = 5
    api_url: str = ""
    livekit_url: Callable[[], str] = str
    demo: bool = False


def create_console(config: ConsoleConfig) -> Flask:
    """Build the WSGI app. Raises `ConfigError` when the front-end files were never fetched."""
    app = Flask("antiphon.console", root_path=str(_HERE), static_folder=None)
    files = StaticFiles(_HERE / "static")
    app.jinja_env.globals["asset"] = files.url
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def where_the_api_is() -> dict[str, str]:
        return {"api_url": api_for(config.api_url, request.host).url}

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        api, listens = api_for(config.api_url, request.host), request.path == _LISTENS
        beside = room_sources(config.livekit_url()) if listens else ""
        response.headers["Content-Security-Policy"] = content_policy(api, beside=beside)
        microphone = "(self)" if listens else "()"
        response.headers["Permissions-Policy"] = f"camera=(), geolocation=(), microphone={microphone}"
        for name, value in _SECURITY_HEADERS.items():
            response.headers[name] = value
        return response

    @app.get(f"{PREFIX}/<version>/<path:name>")
    def static_file(version: str, name: str) -> Response:
        return files.respond(version, name) or abort(HTTPStatus.NOT_FOUND)

    for page in (*PAGES, *((DEMO,) if config.demo else ())):
        if page.template:
            app.add_url_rule(page.path, page.path, _view(page, config))

    @app.get("/sign-in")
    def sign_in() -> str:
        return render_template("sign_in.html", reason=request.args.get("reason", ""))

    @app.get("/welcome/<token>")
    def welcome(token: str) -> str:
        # The page's script sends the token, so that a link preview which only reads the page does not use it up.
        return render_template("welcome.html", token=token)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        return render_template("error.html", status=status), status

    return app


def _view(page: Page, config: ConsoleConfig) -> Callable[..., str]:
    def show(channel: str = "", id: int | None = None, session: str = "") -> str:
        role = _role()
        if page.role.rank > role.rank:
            abort(HTTPStatus.NOT_FOUND)
        if channel:
            try:
                check_channel_key(channel)
            except InvalidInput:
                abort(HTTPStatus.NOT_FOUND)
        return render_template(
            page.template,
            config=config,
            channel=channel,
            id=id,
            session=session,
            menu=list(menu(role, demo=config.demo)),
            here=page.under or page.path,
        )

    return show


def _role() -> Role:
    scope: dict[str, Any] = request.environ.get("asgi.scope", {})
    return Role(scope[ROLE]) if ROLE in scope else Role.OWNER
