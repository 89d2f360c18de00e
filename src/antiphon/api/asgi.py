"""Builds the API: one ASGI application with Django behind it. `run.wiring` calls `build_asgi` once.

Django must be configured (`store.settings.configure`) before; nothing here touches it at import.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import quote

from antiphon.api.edge import ROUTE, AsgiApp, Edge, Receive
from antiphon.api.errors import Problem, Send, send_problem, send_response
from antiphon.api.origins import Origins, Scope
from antiphon.api.services import ApiServices
from antiphon.api.state import ApiState
from antiphon.config import Settings
from antiphon.domain.events import voice_topic
from antiphon.domain.identity import Principal, Role

SIGN_IN = "/sign-in"
SIGN_IN_BURST = 10
SIGN_INS_PER_MINUTE = 10.0
GUESS_BURST = 10
TRIALS_PER_MINUTE = 20
GUESSES_PER_MINUTE = 2.0

_ADMIN_CSP = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
"""The admin's templates hold inline scripts and expressions; only its owner-only pages get this."""


_UPLOAD = re.compile(r"/api/channels/[^/]+/attachments")
_FORM_BYTES = 64 * 1024


class Api:
    """The control plane as an ASGI application. `aclose` ends its streams and background tasks."""

    def __init__(self, state: ApiState, app: AsgiApp, static: AsgiApp) -> None:
        self.state = state
        self.static = static
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def principal_of(self, scope: Scope) -> Principal | None:
        """Who is behind a request or WebSocket, for the router that guards the pages. None: nobody we know."""
        return await self.state.auth.principal_of(scope)

    def edge_around(self, app: AsgiApp) -> AsgiApp:
        """The same outermost layer around other pages: request id, host check, limits, headers, last-resort errors."""
        limit = self.state.services.settings.limits.body_bytes
        return Edge(app, origins=self.state.origins, body_bytes=lambda _: limit)

    async def aclose(self) -> None:
        """End every stream and stop following the bus."""
        await self.state.hub.aclose()
        await self.state.transcripts.aclose()
        await self.state.auth.aclose()


def build_asgi(services: ApiServices) -> Api:
    """The API over `services`: /api, /ws, /admin, /health, /metrics, and /static for the admin and the docs."""
    from django.conf import settings as django_settings

    from antiphon.api import reads
    from antiphon.api.assets import build_static
    from antiphon.api.auth import Authenticator
    from antiphon.api.hub import Hub
    from antiphon.api.listeners import FlatFrame
    from antiphon.api.rates import Buckets

    settings, stores = services.settings, services.stores
    database = stores.database

    async def owner_of(channel: str) -> int | None:
        return (await database.read(reads.owner_of, channel))[1]

    async def nobody(session: str) -> int | None:
        del session  # who listens to a session has been asked for it before
        return None

    def messages_rate() -> tuple[int, float]:
        per_minute = services.configuration.running.limits.messages_per_minute
        return per_minute, per_minute

    state = ApiState(
        services=services,
        auth=Authenticator(
            stores.keys,
            stores.users,
            stores.sessions,
            database,
            services.bus,
            cookie_name=django_settings.SESSION_COOKIE_NAME,
        ),
        hub=Hub(services.bus, owner_of, services.should_stop),
        transcripts=Hub(services.bus, nobody, services.should_stop, topic_of=voice_topic, frame_of=FlatFrame.of),
        origins=Origins(settings),
        messages=Buckets(messages_rate, now=time.monotonic),
        sign_ins=Buckets(lambda: (SIGN_IN_BURST, SIGN_INS_PER_MINUTE), now=time.monotonic),
        trials=Buckets(lambda: (TRIALS_PER_MINUTE, TRIALS_PER_MINUTE), now=time.monotonic),
        guesses=Buckets(lambda: (GUESS_BURST, GUESSES_PER_MINUTE), now=time.monotonic),
    )
    static = build_static()
    edge = Edge(_routes(state, static), origins=state.origins, body_bytes=_body_bytes(settings))
    return Api(state, edge, static)


def _body_bytes(settings: Settings) -> Callable[[Scope], int]:
    """How large a request's body may be: uploads (and what a form adds to them) and threads have their own limits."""
    usual = settings.limits.body_bytes
    upload = settings.attachments.max_bytes + _FORM_BYTES

    def most(scope: Scope) -> int:
        if scope["path"] == "/api/threads/import":
            return settings.limits.thread_file_bytes
        return upload if _UPLOAD.fullmatch(scope["path"]) and scope.get("method") == "POST" else usual

    return most


def _routes(state: ApiState, static: AsgiApp) -> AsgiApp:
    """Which face answers a path."""
    from channels.routing import URLRouter
    from django.urls import path

    from antiphon.api.handler import AdminHandler, ApiHandler, UrlModule
    from antiphon.api.lean import LeanRoutes
    from antiphon.api.sockets import ChannelSocket, unknown_socket
    from antiphon.api.urls import build_admin_urlpatterns, build_urlpatterns
    from antiphon.api.voice_sockets import TranscriptSocket, VoiceSocket

    lean = LeanRoutes(state.services.parts, state.auth.principal_of)
    api = ApiHandler(UrlModule(build_urlpatterns(state)))
    admin = _AdminDoor(state, AdminHandler(UrlModule(build_admin_urlpatterns())))
    sockets = URLRouter(
        [
            path("ws/channels/<str:key>", ChannelSocket(state)),
            path("ws/transcript/<str:id>", TranscriptSocket(state)),
            path("ws/voice/<str:id>", VoiceSocket(state)),
        ]
    )

    async def routes(scope: Scope, receive: Receive, send: Send) -> None:
        where = scope["path"]
        if scope["type"] == "websocket":
            known = any(route.pattern.match(where.lstrip("/")) for route in sockets.routes)
            await (sockets if known else unknown_socket)(scope, receive, send)
        elif where == "/health":
            scope[ROUTE] = where
            await lean.health(scope, send)
        elif where == "/metrics":
            scope[ROUTE] = where
            await lean.metrics(scope, send)
        elif where == "/admin" or where.startswith("/admin/"):
            scope[ROUTE] = "/admin"
            await admin(scope, receive, send)
        elif where.startswith("/static/"):
            scope[ROUTE] = "/static"
            await static(scope, receive, send)
        else:
            await api(scope, receive, send)

    return routes


class _AdminDoor:
    """Lets signed-in owners into the admin. There is no other way in: Django's own sign-in page is not reachable."""

    def __init__(self, state: ApiState, app: AsgiApp) -> None:
        self._state = state
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = await self._state.auth.identify(scope)
        if identity is None or not identity.session_key or scope["path"].rstrip("/").endswith("/login"):
            await send_response(send, 303, {"Location": f"{SIGN_IN}?next={quote(_back_to(scope), safe='')}"}, b"")
        elif identity.principal.role is not Role.OWNER:
            await send_problem(send, Problem(403, "forbidden", "The admin is for the owner of this installation."))
        elif scope["path"] == "/admin":
            await send_response(send, 303, {"Location": "/admin/"}, b"")
        else:
            await self._app(scope, receive, _with_admin_policy(send))


def _back_to(scope: Scope) -> str:
    """Where to go after signing in. A form that was posted is not posted again."""
    path = scope["path"] if scope["method"] == "GET" and not scope["path"].rstrip("/").endswith("/login") else "/admin/"
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query and path == scope["path"] else path


def _with_admin_policy(send: Send) -> Send:
    async def with_policy(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"content-security-policy", _ADMIN_CSP)]  # type: ignore[misc]
        await send(message)

    return with_policy
