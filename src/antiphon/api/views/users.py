"""Logins of the console: inviting people, their roles, and locking them out.

Owners manage everybody; operators manage members. Nobody changes their own role or locks themself out, and nobody
hands out more than they hold: a link is as good as the login it opens.
"""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import Conflict, Forbidden, NotFound
from antiphon.domain.identity import Role
from antiphon.domain.logins import User

LINK_VALID = timedelta(hours=24)
"""How long an invitation works: it has to reach somebody first."""


class _UsersView(ApiView):
    needs = "admin"

    async def _role(self) -> Role | None:
        """The role of the person who asks; None when they may not manage anybody."""
        role = await self.stores.people.role(self.person)
        return Role(role) if role in (Role.OWNER.value, Role.OPERATOR.value) else None

    async def _managed(self, id: str) -> tuple[User, Role]:
        """A login and the role of who asks. Those who manage nobody find nobody (`NotFound`)."""
        role = await self._role()
        if role is None:
            raise NotFound("There is no such user.")
        return await self.stores.users.get(row_id(id, "user")), role

    async def _manageable(self, id: str) -> tuple[User, Role]:
        """A login that may be changed by who asks. Raises `Forbidden`."""
        user, role = await self._managed(id)
        if user.person == self.person:
            raise Forbidden("This is your own login. Another owner can change it.")
        if not _may(role, user.role):
            raise Forbidden(f"An {role.value} manages members; this is an {user.role.value}.")
        return user, role

    def _item(self, user: User, role: Role) -> wire.Document:
        return wire.user(user, manageable=_may(role, user.role) and user.person != self.person)

    async def _link(self, user: User) -> wire.Document:
        if not user.active:
            raise Conflict("This login is locked out. Let them in again first.")
        token = await self.stores.users.sign_in_token(user.id, LINK_VALID)
        expires = self.services.clock.now() + LINK_VALID
        return {"url": f"{self.state.origins.address(self.request.scope)}/welcome/{token}", "expires": expires}


class UsersView(_UsersView):
    """`/api/users`."""

    @describe(
        summary="List logins",
        description="For owners and operators.",
        responses={200: shapes.page_shape(shapes.UserItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """All of them, in the order they were made."""
        role = await self._role()
        if role is None:
            raise Forbidden("Logins are managed by owners and operators.")
        return json_answer({"items": [self._item(one, role) for one in await self.stores.users.all()], "next": None})

    @describe(
        summary="Invite somebody",
        description="Makes a login with a person of its own and a link that works once, for a day. Operators invite "
        "members.",
        request=request_shapes.NewUser,
        responses={201: shapes.Invited},
        also=(409,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Make a login and its first link."""
        role = await self._role()
        if role is None:
            raise Forbidden("People are invited by owners and operators.")
        new = self.body(request_shapes.NewUser)
        if not _may(role, Role(new["role"])):
            raise Forbidden("Operators invite members.", fields={"role": "more than you may give"})
        user = await self.stores.users.create(new["name"], Role(new["role"]))
        return json_answer({"user": self._item(user, role), "link": await self._link(user)}, 201)


class UserView(_UsersView):
    """`/api/users/{id}`."""

    @describe(summary="One login", responses={200: shapes.UserItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """As in the list."""
        return json_answer(self._item(*await self._managed(id)))

    @describe(
        summary="Change a role, lock out, let in again",
        description="`active: false` ends sessions, sockets and keys at once. 409 for the only owner.",
        request=request_shapes.UserChange,
        responses={200: shapes.UserItem},
        also=(409,),
    )
    async def patch(self, request: Request, id: str) -> HttpResponse:
        """Change what is given."""
        user, role = await self._manageable(id)
        change = self.body(request_shapes.UserChange)
        users = self.stores.users
        if "role" in change:
            if not _may(role, Role(change["role"])):
                raise Forbidden("Operators manage members.", fields={"role": "more than you may give"})
            await users.set_role(user.id, Role(change["role"]))
        if change.get("active") is True:
            await users.enable(user.id)
        elif change.get("active") is False:
            await self.state.auth.ended(await users.disable(user.id))
        return json_answer(self._item(await users.get(user.id), role))


class UserLinkView(_UsersView):
    """`/api/users/{id}/link`."""

    @describe(
        summary="A new sign-in link for somebody",
        description="Works once, for a day. Shown only now.",
        request=None,
        responses={201: shapes.Invitation},
        also=(409,),
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Make one."""
        user, _ = await self._manageable(id)
        return json_answer(await self._link(user), 201)


class UserResetView(_UsersView):
    """`/api/users/{id}/reset`."""

    @describe(
        summary="Take password and second factor away",
        description="Ends every session of theirs. They come in again by the link.",
        request=None,
        responses={200: shapes.Invited},
        also=(409,),
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """For somebody who lost their phone, or whose password is known to others."""
        user, role = await self._manageable(id)
        if not user.active:
            raise Conflict("This login is locked out. Let them in again first.")
        ended = await self.stores.users.reset(user.id)
        await self.state.auth.ended(ended)
        return json_answer({"user": self._item(ended.user, role), "link": await self._link(ended.user)})


def _may(role: Role, other: Role) -> bool:
    """Whether somebody with `role` manages a login with the role `other`."""
    return role is Role.OWNER or other.rank < role.rank
