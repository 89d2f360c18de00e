"""The OpenAPI 3.1 description, generated from the views and served at /api/schema.

`ApiView` carries an `AntiphonSchema`, which knows what every route has in common; `openapi_document` builds the whole.
"""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import OpenApiParameter, extend_schema

import antiphon
from antiphon.api.paging import DEFAULT_LIMIT, MAX_LIMIT

LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},  # pyright: ignore[reportArgumentType]
    OpenApiParameter.QUERY,
    description="Items per page.",
)
CURSOR = OpenApiParameter("cursor", str, OpenApiParameter.QUERY, description="The `next` of the page before.")
PAGING = [LIMIT, CURSOR]

_ERRORS: dict[int, str] = {
    400: "The request could not be read; for JSON the message gives line and column.",
    401: "No credential, or one that is wrong, expired or revoked.",
    403: "The credential lacks the scope, or the X-CSRFToken of a session is missing.",
    404: "It does not exist, or it is somebody else's.",
    406: "The Accept header excludes what this address gives.",
    409: "It contradicts what is stored.",
    413: "Over a size limit; nothing of it was kept.",
    415: "The body is not JSON.",
    422: "A value is not allowed; `fields` names it.",
    429: "Too many requests; Retry-After says when to come back.",
    500: "Something failed on the server; it is in its log under the X-Request-Id.",
    502: "An engine or a service we asked failed; the message says what is missing.",
    503: "The database or another needed part does not answer now; Retry-After says when to try again.",
}
_ALWAYS = (400, 401, 403, 406, 413, 500, 503)
_ERROR_REF = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}

_DESCRIPTION = """\
Everything the console does goes through this API.

**Credentials.** `Authorization: Bearer ant_...` (a key), or the session cookie of a signed-in browser; a session also
sends the `csrf` of `GET /api/session` as `X-CSRFToken` with everything that changes.

**Shapes.** Ids are decimal strings, times are ISO 8601 in UTC. Lists are `{"items": [], "next": cursor or null}`,
newest first. Errors are `{"error": {"code", "message", "fields"?}}`. Every answer carries `X-Request-Id`.

**Live events.** `GET /api/channels/{key}/events` is an event stream (SSE); the WebSocket `/ws/channels/{key}?after=`
sends the same events as JSON `{"id", "event", "data"}`. Ids are whole numbers that only grow within a channel; resume
with `Last-Event-ID` or `?after=`. Every payload has `task`, `turn` and `attempt`; a `turn.started` with a higher
attempt voids earlier deltas of that task. Events: `turn.started`, `text.delta {text}`, `tool.started {execution, tool,
status, summary}`, `tool.finished {.., seconds}`, `approval.needed {approval, summary, expires, tool}`,
`approval.decided {approval, state}`, `memory.proposed {proposal, text}`, `reply {reply, message, text}`,
`turn.failed {code, message, retrying}`, and
`reset {}`: read the messages again, something was missed. The socket closes with 4400 malformed, 4401 unauthorised,
4403 missing scope, 4404 unknown, 4408 too slow, 4413 too large, 1012 restarting, 1013 try again later; a client may
send `{"type": "ping"}`.

**Live voice.** `POST /session` begins a spoken session. `GET /token` gives the way in for its sound: a single-use
ticket for the WebSocket `/ws/voice/{session_id}?ticket=`, or, with a LiveKit server, a token of that server and its
address. The socket carries PCM (16 bit little-endian, mono, 16 kHz, frames of 20 ms) in binary messages both ways, and
JSON: `hello {rate, frame_ms}`, `played {samples}` (of all that was received since the socket opened, how much was
really played), `mute {muted}`, `ptt {down}` from the client; `hello`, `clear` (drop what was not played yet), `error
{code, message}` from the server. It closes with 4400 malformed, 4401 unauthorised, 4404 unknown, 4408 too slow, 4409
ticket used, 4413 too large. The WebSocket `/ws/transcript/{session_id}?after=` tells what happens, as flat JSON:
`transcript {segment, role, speaker, text, final, at, interrupted, unheard}`, `speech {who, state}`, `state {state}`,
`interrupted {segment, text, unheard}`, `tool`, `approval`, `latency`, `error`, `ended {reason}`; `id` in each is the
last segment up to which all are final, and `after` resumes there.
"""


class AntiphonSchema(AutoSchema):
    """Describes one route, with the errors that follow from its kind."""

    def get_operation_id(self) -> str:
        """For example `channels_messages_post`: the path's words and the method."""
        words = [word for word in _words(self.path) if not word.startswith("{")]
        one = "one_" if self.path.endswith("}") else ""
        return "_".join([*words, f"{one}{self.method.lower()}"])

    def get_tags(self) -> list[str]:
        """The first noun of the path."""
        return [next(word for word in _words(self.path) if word != "root")]

    def get_auth(self) -> list[dict[str, Any]]:
        """A key or a session; nothing for public routes."""
        return [] if self.method in self.view.public_methods else [{"key": []}, {"session": []}]

    def get_override_parameters(self) -> list[Any]:
        """Nothing beside what `extend_schema` says."""
        return []

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """The operation with the errors that follow from what kind of route it is."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        operation.setdefault("security", [])
        for status in self._errors(operation):
            operation["responses"].setdefault(str(status), {"description": _ERRORS[status], "content": _ERROR_REF})
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def _errors(self, operation: dict[str, Any]) -> set[int]:
        statuses = set(_ALWAYS)
        if "{" in self.path:
            statuses |= {404, 422}
        if operation.get("parameters"):
            statuses.add(422)
        if "requestBody" in operation:
            statuses |= {415, 422}
        handler = getattr(self.view, self.method.lower())
        statuses |= set(getattr(handler, "also", ()))
        return statuses


def _words(path: str) -> list[str]:
    """The nouns of a path; those at the root are told from those below /api."""
    return path.removeprefix("/api/").split("/") if path.startswith("/api/") else ["root", *path.strip("/").split("/")]


def describe(*, also: tuple[int, ...] = (), **description: Any) -> Any:
    """`extend_schema` for a view's method, over our own schema class. `also` are errors that only this method has."""

    def mark(handler: Any) -> Any:
        handler.schema = AntiphonSchema  # what extend_schema then builds upon
        handler.also = also
        return extend_schema(**description)(handler)

    return mark


def openapi_document(patterns: list[URLPattern | URLResolver]) -> dict[str, Any]:
    """The whole description. Slow (a fraction of a second): build it once."""
    with patched_settings(_settings()):
        document = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)
    document["components"]["schemas"].setdefault("Error", _error_shape())
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: ant_..."},
        "session": {"type": "apiKey", "in": "cookie", "name": "antiphon_session"},
    }
    document["paths"] = dict(sorted({**document["paths"], **_lean_paths()}.items()))
    return document


def _settings() -> dict[str, Any]:
    return {
        "OAS_VERSION": "3.1.0",
        "TITLE": "Antiphon",
        "DESCRIPTION": _DESCRIPTION,
        "VERSION": antiphon.__version__,
        "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "SCHEMA_PATH_PREFIX": "/api/",
        "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
        "APPEND_COMPONENTS": {},
        "PREPROCESSING_HOOKS": [],
        "POSTPROCESSING_HOOKS": [],
        "SORT_OPERATIONS": True,
        "DISABLE_ERRORS_AND_WARNINGS": False,
    }


def _error_shape() -> dict[str, Any]:
    detail = {
        "type": "object",
        "description": "What went wrong.",
        "properties": {
            "code": {"type": "string", "description": "Stable and machine-readable."},
            "message": {"type": "string", "description": "For people: what happened and what to do."},
            "fields": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Field or parameter, and what is wrong with it.",
            },
        },
        "required": ["code", "message"],
    }
    return {
        "type": "object",
        "description": "Every error of the API.",
        "properties": {"error": detail},
        "required": ["error"],
    }


def _lean_paths() -> dict[str, Any]:
    """The routes that are answered before Django (`lean`)."""
    status = {"type": "object", "properties": {"status": {"enum": ["ok", "degraded"]}}, "required": ["status"]}
    health = {"application/json": {"schema": status}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/health": {
            "get": {
                "operationId": "health_status_get",
                "summary": "Whether the server works",
                "tags": ["health"],
                "security": [],
                "responses": {
                    "200": {"description": 'Exactly {"status":"ok"}.', "content": health},
                    "503": {"description": 'Exactly {"status":"degraded"}.', "content": health},
                },
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics_get",
                "summary": "Figures for Prometheus",
                "description": "For this machine itself without a credential, else with the scope metrics.",
                "tags": ["metrics"],
                "security": [{}, {"key": []}],
                "responses": {
                    "200": {"description": "The figures.", "content": text},
                    "401": {"description": _ERRORS[401], "content": _ERROR_REF},
                    "403": {"description": _ERRORS[403], "content": _ERROR_REF},
                },
            }
        },
    }
