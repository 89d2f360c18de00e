"""Signing in by link, who is signed in, signing out."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import sessions, shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import Forbidden, Unauthenticated

_BAD_LINK = "This sign-in link is not good any more: links work once, for a short time. Ask for a new one."
_TOO_MANY = "Too many sign-in attempts from this address. Wait a moment and try again."


class SessionView(ApiView):
    """`/api/session`."""

    needs = None
    public_methods = frozenset({"POST"})

    @describe(
        summary="Sign in with a link's token",
        description="The token is used up. Sets the session cookie. The one public route that changes something.",
        request=shapes.SignIn,
        responses={200: shapes.Session},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Use a sign-in token up and start a session, always a new one."""
        scope: dict[str, Any] = request.scope
        if not self.state.origins.origin_allowed(scope):
            raise Forbidden("Signing in works from this server's own pages only.")
        token = self.body(shapes.SignIn)["token"]
        client = scope.get("client")
        self.state.sign_ins.take(client[0] if client else "", _TOO_MANY)
        try:
            user = await self.services.users.redeem(token)
            old = self.state.auth.session_key_of(scope)
            session_key = await self.services.database.run(sessions.sign_in, user.id, old)
        except Unauthenticated:
            raise Unauthenticated(_BAD_LINK) from None
        if old:
            await self.state.auth.session_ended(old)
        principal = await self.services.users.principal(user.id)
        if principal is None:
            raise Unauthenticated(_BAD_LINK)
        response = json_answer(wire.session(principal, user.role, sessions.csrf_token(session_key)))
        secure = self.services.settings.http.url.startswith("https://")
        sessions.set_session_cookie(response, session_key, secure=secure)
        return response

    @describe(summary="Who is signed in", responses={200: shapes.Session})
    async def get(self, request: Request) -> HttpResponse:
        """The session, with the token for requests that change something."""
        key = self.identity.session_key
        principal = self.identity.principal
        return json_answer(wire.session(principal, principal.role, sessions.csrf_token(key) if key else None))

    @describe(summary="Sign out", responses={204: None})
    async def delete(self, request: Request) -> HttpResponse:
        """End the session and every stream that was opened with it."""
        key = self.identity.session_key
        if not key:
            raise Forbidden("An API key has no session to end; revoke it with DELETE /api/keys/{id}.")
        await self.services.database.run(sessions.sign_out, key)
        await self.state.auth.session_ended(key)
        response = HttpResponse(status=204)
        sessions.clear_session_cookie(response)
        return response
