"""API keys: listing, making and revoking them. Owners see every key, others their own."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import Forbidden
from antiphon.domain.identity import Role


class _KeysView(ApiView):
    needs = "admin"

    async def _whose(self) -> int | None:
        """Whose keys there are for the one who asks: None is everybody's."""
        role = await self.stores.people.role(self.person)
        return None if role == Role.OWNER.value else self.person


class KeysView(_KeysView):
    """`/api/keys`."""

    @describe(summary="List keys", parameters=PAGING, responses={200: shapes.page_shape(shapes.KeyItem)})
    async def get(self, request: Request) -> HttpResponse:
        """The keys, newest first, revoked ones too."""
        page = page_of(request.GET)
        keys = await self.stores.keys.list(await self._whose())
        later = [key for key in keys if not page.after or key.id < page.after[0]]
        later.sort(key=lambda key: -key.id)
        return json_answer(envelope(later[: page.limit + 1], page, wire.key, lambda key: (key.id,)))

    @describe(
        summary="Make a key",
        description="For yourself, with scopes that your own credential carries. The secret is shown once.",
        request=request_shapes.NewKey,
        responses={201: shapes.NewKeyItem},
    )
    async def post(self, request: Request) -> HttpResponse:
        """Make a key; nobody can hand out more than they hold."""
        new = self.body(request_shapes.NewKey)
        scopes = sorted(set(new["scopes"]))
        if lacking := [scope for scope in scopes if not self.identity.principal.has(scope)]:
            raise Forbidden(f"Your own credential lacks: {', '.join(lacking)}.")
        key, secret = await self.stores.keys.create(new["name"], scopes, self.person)
        return json_answer({**wire.key(key), "key": secret}, 201)


class KeyView(_KeysView):
    """`/api/keys/{id}`."""

    @describe(summary="Revoke a key", description="At once, everywhere.", responses={200: shapes.KeyItem})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Revoke; doing it twice is harmless."""
        key = await self.stores.keys.revoke(row_id(id, "key"), await self._whose())
        await self.state.auth.key_revoked(key.id)
        return json_answer(wire.key(key))
