"""Signing in by link or password, who is signed in, signing out."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, sessions, shapes, wire
from antiphon.api.auth import address_of, agent_of
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import Forbidden, SecondFactorNeeded, Unauthenticated
from antiphon.domain.logins import User

_BAD_LINK = "This sign-in link is not good any more: links work once, for a short time. Ask for a new one."
_TOO_MANY = "Too many sign-in attempts from this address. Wait a moment and try again."
_TOO_MANY_GUESSES = "Too many wrong passwords for this name. Wait a moment, or sign in with a link."


class SessionView(ApiView):
    """`/api/session`."""

    needs = None
    public_methods = frozenset({"POST"})

    @describe(
        summary="Sign in",
        description="With a link's token, which is used up, or with name and password. A login with a second factor is "
        "answered 401 `second_factor` until `code` comes too. Sets the session cookie. The one public route that "
        "changes something.",
        request=request_shapes.SignIn,
        responses={200: shapes.Session},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Take a proof and start a session, always a new one."""
        scope: dict[str, Any] = request.scope
        if not self.state.origins.origin_allowed(scope):
            raise Forbidden("Signing in works from this server's own pages only.")
        proof = self.body(request_shapes.SignIn)
        address = address_of(scope)
        self.state.sign_ins.take(address, _TOO_MANY)
        user = await (self._by_token(proof["token"]) if "token" in proof else self._by_password(proof, address))
        old = self.state.auth.session_key_of(scope)
        try:
            session_key = await self.stores.database.run(
                sessions.sign_in, user.id, old, now=self.services.clock.now(), address=address, agent=agent_of(scope)
            )
        except Unauthenticated:
            raise Unauthenticated(_BAD_LINK) from None
        if old:
            await self.state.auth.session_ended(old)
        principal = await self.stores.users.principal(user.id)
        if principal is None:
            raise Unauthenticated(_BAD_LINK)
        response = json_answer(wire.session(principal, user.role, sessions.csrf_token(session_key)))
        secure = self.services.settings.http.url.startswith("https://")
        sessions.set_session_cookie(response, session_key, secure=secure)
        return response

    async def _by_token(self, token: str) -> User:
        try:
            return await self.stores.users.redeem(token)
        except Unauthenticated:
            raise Unauthenticated(_BAD_LINK) from None

    async def _by_password(self, proof: dict[str, Any], address: str) -> User:
        """Guessing is slowed down per name. An address this login is in use from counts on its own, so nobody who
        guesses elsewhere can keep its holder out; and a link always works."""
        name = proof["name"].strip()
        bucket = (name, address if await self.stores.sessions.known_address(name, address) else None)
        self.state.guesses.take(bucket, _TOO_MANY_GUESSES)
        try:
            user = await self.stores.credentials.sign_in(name, proof["password"], proof.get("code", ""))
        except SecondFactorNeeded:
            self.state.guesses.give_back(bucket)  # the password was right: half of a sign-in is no guess
            raise
        self.state.guesses.give_back(bucket)
        return user

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
        await self.stores.database.run(sessions.sign_out, key)
        await self.state.auth.session_ended(key)
        response = HttpResponse(status=204)
        sessions.clear_session_cookie(response)
        return response
