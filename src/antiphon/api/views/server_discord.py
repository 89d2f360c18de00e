"""What is set for a Discord server: prefix, names, channels. For operators; who manages the server has a command."""

from __future__ import annotations

from dataclasses import asdict, replace

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from antiphon.api.bodies import Body, StrictText
from antiphon.api.schema import describe
from antiphon.api.views.base import json_answer
from antiphon.api.views.places import ServerView
from antiphon.domain.platforms import ServerDiscord

_MOST = 200


class ServerDiscordItem(serializers.Serializer):
    """What is set for a Discord server. Null, and what is empty, leave what holds everywhere."""

    prefix = serializers.CharField(allow_null=True, help_text="What messages to the agent begin with; empty for none.")
    names = serializers.ListField(child=serializers.CharField(), help_text="Names the agent is called by.")
    channels = serializers.ListField(
        child=serializers.CharField(), help_text="Ids of channels in which every message is for the agent."
    )
    allowed_bots = serializers.ListField(child=serializers.CharField(), help_text="Ids of bots that may talk to it.")
    log_channel = serializers.CharField(help_text="Id or name of the channel for the dashboards.")
    threads = serializers.BooleanField(allow_null=True, help_text="Whether it answers in threads of their own.")


class ServerDiscordBody(Body):
    """What is to change; what is left out stays."""

    prefix = StrictText(max_length=8, allow_blank=True, allow_null=True, required=False)
    names = serializers.ListField(child=StrictText(max_length=32), max_length=_MOST, required=False)
    channels = serializers.ListField(child=StrictText(max_length=20), max_length=_MOST, required=False)
    allowed_bots = serializers.ListField(child=StrictText(max_length=20), max_length=_MOST, required=False)
    log_channel = StrictText(max_length=100, allow_blank=True, required=False)
    threads = serializers.BooleanField(allow_null=True, required=False)


class ServerDiscordView(ServerView):
    """`/api/servers/{id}/discord`."""

    @describe(
        summary="Settings of a Discord server",
        description="For operators. 404 for servers of other platforms.",
        responses={200: ServerDiscordItem},
    )
    async def get(self, request: Request, id: str) -> HttpResponse:
        """What is set."""
        return json_answer(_item(await self.stores.platforms.discord_settings(await self._checked(id))))

    @describe(
        summary="Change the settings of a Discord server",
        description="For operators. Takes effect within seconds.",
        request=ServerDiscordBody,
        responses={200: ServerDiscordItem},
    )
    async def patch(self, request: Request, id: str) -> HttpResponse:
        """Change what is given."""
        number = await self._checked(id)
        given = self.body(ServerDiscordBody)
        for name in ("names", "channels", "allowed_bots"):
            if name in given:
                given[name] = tuple(given[name])
        now = await self.stores.platforms.discord_settings(number)
        return json_answer(_item(await self.stores.platforms.set_discord(number, replace(now, **given))))


def _item(values: ServerDiscord) -> dict[str, object]:
    return asdict(values)
