"""The login behind a session: password, second factor, and where it is signed in.

Only a signed-in browser gets in here: a key that leaked must not be able to choose a password.
"""

from __future__ import annotations

import pyotp
import segno
from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import Forbidden, InvalidInput, NotFound
from antiphon.domain.logins import User

_ISSUER = "Antiphon"
_TOO_MANY = "Too many wrong passwords. Wait a moment and try again."


class _AccountView(ApiView):
    async def _user(self) -> User:
        """The login that asks. Raises `Forbidden` for API keys."""
        user = self.identity.principal.user
        if user is None or not self.identity.session_key:
            raise Forbidden("This is for signed-in people: an API key has no password and no sessions.")
        return await self.stores.users.get(user)

    async def _prove(self, user: User, password: str, field: str) -> None:
        """Let only go on who knows the password: an unlocked screen is not enough."""
        self.state.guesses.take(("account", user.id), _TOO_MANY)
        if not await self.stores.credentials.check_password(user.id, password):
            raise InvalidInput("That is not your password.", fields={field: "not right"})
        self.state.guesses.give_back(("account", user.id))

    async def _answer(self, user: int) -> HttpResponse:
        found = await self.stores.users.get(user)
        left = await self.stores.credentials.recovery_codes_left(user)
        return json_answer(
            {
                "id": str(found.id),
                "name": found.name,
                "role": found.role.value,
                "password": found.password,
                "totp": found.totp,
                "recovery_codes_left": left,
            }
        )


class AccountView(_AccountView):
    """`/api/account`."""

    @describe(summary="My login", description="For signed-in people.", responses={200: shapes.Account})
    async def get(self, request: Request) -> HttpResponse:
        """Name, role, and how it signs in."""
        return await self._answer((await self._user()).id)


class PasswordView(_AccountView):
    """`/api/account/password`."""

    @describe(
        summary="Choose a password",
        description="With the current one, if there is one. Every other session of yours ends.",
        request=request_shapes.NewPassword,
        responses={200: shapes.Account},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Choose; all other browsers must sign in again."""
        body = self.body(request_shapes.NewPassword)
        user = await self._user()
        if user.password:
            await self._prove(user, body.get("current", ""), "current")
        key = self.identity.session_key
        for ended in await self.stores.credentials.set_password(user.id, body["password"], keep=key):
            await self.state.auth.session_ended(ended)
        return await self._answer(user.id)


class TotpView(_AccountView):
    """`/api/account/totp`."""

    @describe(
        summary="Begin with an authenticator app",
        description="Gives a new secret. It counts once `…/confirm` was sent a code of it; until then nothing changes.",
        request=request_shapes.PasswordBody,
        responses={200: shapes.Totp},
        also=(409, 429),
    )
    async def post(self, request: Request) -> HttpResponse:
        """A secret, as text and as a picture for the phone."""
        body = self.body(request_shapes.PasswordBody)
        user = await self._user()
        await self._prove(user, body["password"], "password")
        secret = await self.stores.credentials.begin_totp(user.id)
        uri = pyotp.TOTP(secret).provisioning_uri(name=user.name, issuer_name=_ISSUER)
        picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=3, dark="#000", light="#fff")
        return json_answer({"secret": secret, "uri": uri, "qr": picture})


class ConfirmTotpView(_AccountView):
    """`/api/account/totp/confirm`."""

    @describe(
        summary="Turn the second factor on",
        request=request_shapes.CodeBody,
        responses={200: shapes.RecoveryCodes},
        also=(409, 429),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Take the first code; gives the recovery codes, once."""
        body = self.body(request_shapes.CodeBody)
        user = await self._user()
        self.state.guesses.take(("account", user.id), _TOO_MANY)
        codes = await self.stores.credentials.confirm_totp(user.id, body["code"])
        return json_answer({"recovery_codes": list(codes)})


class EndTotpView(_AccountView):
    """`/api/account/totp/end`."""

    @describe(
        summary="Turn the second factor off",
        request=request_shapes.PasswordBody,
        responses={200: shapes.Account},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """From now on the password is enough."""
        body = self.body(request_shapes.PasswordBody)
        user = await self._user()
        await self._prove(user, body["password"], "password")
        await self.stores.credentials.end_totp(user.id)
        return await self._answer(user.id)


class SessionsView(_AccountView):
    """`/api/sessions`."""

    @describe(
        summary="Where I am signed in",
        description="The last used first. For signed-in people.",
        responses={200: shapes.page_shape(shapes.SessionItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """Every live session."""
        user = await self._user()
        found = await self.stores.sessions.of(user.id)
        items = [wire.signed_in(one, self.identity.session_key) for one in found]
        return json_answer({"items": items, "next": None})

    @describe(summary="Sign out everywhere else", responses={204: None})
    async def delete(self, request: Request) -> HttpResponse:
        """End every session of mine but this one."""
        user = await self._user()
        key = self.identity.session_key
        for ended in await self.stores.sessions.end(user.id, None, but=key):
            await self.state.auth.session_ended(ended)
        return HttpResponse(status=204)


class OneSessionView(_AccountView):
    """`/api/sessions/{id}`."""

    @describe(summary="Sign one browser out", responses={204: None})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """End a session of mine, with every stream that was opened with it."""
        user = self.identity.principal.user
        if user is None:
            raise NotFound("There is no such session.")
        for ended in await self.stores.sessions.end(user, row_id(id, "session")):
            await self.state.auth.session_ended(ended)
        return HttpResponse(status=204)
