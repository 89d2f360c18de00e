"""What every route has in common: who asks, may they, can they read the answer, and one shape for every error.

A route is an asynchronous DRF view: DRF brings content negotiation, serializers and the OpenAPI description.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.utils.functional import classproperty
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from antiphon.api.access import Reader, reader_of
from antiphon.api.auth import Identity
from antiphon.api.bodies import checked, json_body
from antiphon.api.errors import Problem, problem_of
from antiphon.api.handler import response_of
from antiphon.api.paging import MAX_ID
from antiphon.api.schema import AntiphonSchema
from antiphon.api.services import ApiServices, ApiStores
from antiphon.api.sessions import csrf_matches
from antiphon.api.state import ApiState
from antiphon.domain.errors import Forbidden, NotFound, Unauthenticated

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class OneMediaType(BaseContentNegotiation):
    """A view gives one media type; the Accept header may only exclude it."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        """The view's media type. Raises `NotAcceptable`."""
        view = request.parser_context["view"]
        if not accepts(request.headers.get("Accept", ""), view.media_type):
            raise exceptions.NotAcceptable
        return renderers[0], view.media_type


def accepts(accept: str, media_type: str) -> bool:
    """Whether an Accept header allows `media_type`. An empty or absent header allows everything."""
    if not accept.strip():
        return True
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(ranges & {media_type, media_type.partition("/")[0] + "/*", "*/*"})


class ApiView(APIView):
    """Base of the routes. `needs` is the scope the credential must carry; `public_methods` ask for no credential."""

    state: ApiState = None  # pyright: ignore[reportAssignmentType] - given by as_view(state=...)
    needs: ClassVar[str | None] = "chat"
    public_methods: ClassVar[frozenset[str]] = frozenset()
    media_type: ClassVar[str] = "application/json"

    renderer_classes: ClassVar[list[Any]] = [JSONRenderer]
    authentication_classes: ClassVar[list[Any]] = []
    permission_classes: ClassVar[list[Any]] = []
    throttle_classes: ClassVar[list[Any]] = []
    content_negotiation_class = OneMediaType
    schema = AntiphonSchema()

    identity: Identity

    @classproperty
    def view_is_async(cls) -> bool:  # noqa: N805 - Django's own name and shape
        """Every handler is a coroutine."""
        return True

    @property
    def services(self) -> ApiServices:
        """What the rest of the program does for the API."""
        return self.state.services

    @property
    def stores(self) -> ApiStores:
        """The ports over the database."""
        return self.state.services.stores

    @property
    def person(self) -> int:
        """The person who asks."""
        return self.identity.principal.person

    async def reader(self) -> Reader:
        """Who reads a list, and how far they see."""
        return await reader_of(self.stores.people, self.identity.principal)

    async def operator(self) -> Reader:
        """The same for what only operators may see. Raises `Forbidden`."""
        reader = await self.reader()
        if not reader.operator:
            raise Forbidden("This is for operators.")
        return reader

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Admit the request, run the handler for its method, and turn whatever happens into an answer."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            await self._admit(request)
            self.initial(self.request, *args, **kwargs)
            method = (request.method or "").lower()
            known = method in self.http_method_names
            handler = getattr(self, method, None) if known else None
            if handler is None:
                raise exceptions.MethodNotAllowed(request.method or "")
            return await handler(self.request, *args, **kwargs)
        except Exception as error:
            return response_of(self._problem(error))

    async def _admit(self, request: HttpRequest) -> None:
        if request.method in self.public_methods:
            return
        scope = request.scope  # pyright: ignore[reportAttributeAccessIssue] - an ASGIRequest
        identity = await self.state.auth.identify(scope)
        if identity is None:
            raise Unauthenticated("Sign in, or send an API key: Authorization: Bearer ant_...")
        if identity.session_key and request.method not in SAFE_METHODS:
            if not self.state.origins.origin_allowed(scope):
                raise Forbidden("Requests of a signed-in page must come from the page's own address.")
            if not csrf_matches(identity.session_key, request.headers.get("X-CSRFToken", "")):
                raise Forbidden("The X-CSRFToken header is missing or old: GET /api/session gives the current one.")
        if self.needs is not None and not identity.principal.has(self.needs):
            raise Forbidden(f"This needs the scope {self.needs}.")
        self.identity = identity

    def _problem(self, error: Exception) -> Problem:
        match error:
            case exceptions.MethodNotAllowed():
                headers = {"Allow": ", ".join(self.allowed_methods)}
                return Problem(405, "method_not_allowed", "This address does not take that method.", headers=headers)
            case exceptions.NotAcceptable():
                return Problem(406, "not_acceptable", "The answer is JSON; the Accept header excludes it.")
            case exceptions.UnsupportedMediaType():
                return Problem(415, "unsupported_media_type", "Send JSON: Content-Type: application/json.")
            case _:
                return problem_of(error)

    async def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """The methods of this address."""
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(self.allowed_methods)})

    def body(self, serializer: Any) -> dict[str, Any]:
        """The request's body, checked. Raises `MalformedInput` or `InvalidInput`."""
        return checked(serializer, json_body(self.request._request))


def json_answer(document: Any, status: int = HTTPStatus.OK) -> HttpResponse:
    """A JSON answer. ASCII on the wire, so that no stored text can break its encoding."""
    return HttpResponse(
        json.dumps(document, separators=(",", ":"), default=_special), status=status, content_type="application/json"
    )


def instant(at: datetime) -> str:
    """A time as the API writes it: ISO 8601, UTC, with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def row_id(text: str, what: str) -> int:
    """The id in an address. Whatever cannot be an id names nothing: `NotFound`."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_ID:
        return int(text)
    raise NotFound(f"There is no such {what}.")


def _special(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
