"""Settings of channels and servers: what the agent is told about its role there."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, request_shapes, shapes, wire
from antiphon.api.access import no_such_channel
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.conversation import check_channel_key
from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Role


class PlaceView(ApiView):
    """What both kinds of places have in common."""

    async def is_operator(self) -> bool:
        """Whether the person runs this installation, and the credential carries that."""
        role = await self.stores.people.role(self.person)
        known = role in {member.value for member in Role}
        return known and Role(role).rank >= Role.OPERATOR.rank and self.identity.principal.has("admin")


class ChannelSettingsView(PlaceView):
    """`/api/channels/{key}/settings`."""

    @describe(
        summary="Settings of a conversation",
        description="Of an own one; operators also see those of platforms' channels.",
        responses={200: shapes.ChannelSettingsItem},
    )
    async def get(self, request: Request, key: str) -> HttpResponse:
        """The personas that apply there."""
        await self._check(key)
        return json_answer(wire.channel_settings(await self.stores.places.settings_of(key)))

    @describe(
        summary="Change the settings of a conversation",
        description="An empty persona takes it away.",
        request=request_shapes.PersonaBody,
        responses={200: shapes.ChannelSettingsItem},
    )
    async def patch(self, request: Request, key: str) -> HttpResponse:
        """Set the persona."""
        await self._check(key)
        persona = self.body(request_shapes.PersonaBody)["persona"]
        return json_answer(wire.channel_settings(await self.stores.places.set_for_channel(key, persona)))

    async def _check(self, key: str) -> None:
        check_channel_key(key)
        exists, owner = await self.stores.database.read(reads.owner_of, key)
        if not exists or (owner != self.person and (owner is not None or not await self.is_operator())):
            raise no_such_channel()


class ServersView(PlaceView):
    """`/api/servers`."""

    @describe(
        summary="Servers of the platforms",
        description="For operators; empty for others. Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.ServerItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page = page_of(request.GET)
        rows = await self.stores.database.read(reads.servers, page) if await self.is_operator() else []
        return json_answer(envelope(rows, page, wire.server, lambda row: (row.id,)))


class ServerView(PlaceView):
    """`/api/servers/{id}`."""

    @describe(summary="One server with its settings", responses={200: shapes.ServerItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """For operators."""
        return json_answer(wire.server(await self.stores.places.server(await self._checked(id))))

    @describe(
        summary="Change the settings of a server",
        description="For operators. An empty persona takes it away.",
        request=request_shapes.PersonaBody,
        responses={200: shapes.ServerItem},
    )
    async def patch(self, request: Request, id: str) -> HttpResponse:
        """Set the persona."""
        number = await self._checked(id)
        persona = self.body(request_shapes.PersonaBody)["persona"]
        return json_answer(wire.server(await self.stores.places.set_for_server(number, persona)))

    async def _checked(self, id: str) -> int:
        number = row_id(id, "server")
        if not await self.is_operator():
            raise NotFound("There is no such server.")
        return number
