"""Who may do what on Discord: implements `domain.identity.Authority` by asking Discord when it matters.

Roles and permissions are read at the moment a tool or a command wants them, over REST, so that every worker can ask and
nothing that was taken away counts any longer. What cannot be found out is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.identity import PeopleStore, Requester, Role
from antiphon.platforms.discord import permissions, rest
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused
from antiphon.platforms.discord.ids import channel_id
from antiphon.platforms.discord.rest import DiscordRest, Json

log = structlog.stdlib.get_logger(__name__)

_CONSOLE_ROLES = {"operator": Role.OPERATOR, "owner": Role.OWNER}
"""Words of the installation, not of a server: a server's administrator runs the server, not the agent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A member in a channel of a server, as Discord says at this moment."""

    guild: Json
    channel: Json
    member: Json
    held: int

    def may(self, permission: str) -> bool:
        """Whether they hold a permission there, by Discord's name of it."""
        if permission == permissions.SERVER_OWNER:
            return str(self.guild.get("owner_id")) == str(self.member["user"]["id"])
        bit = permissions.PERMISSIONS.get(permission, 0)
        return bool(bit) and self.held & bit == bit


class DiscordAuthority:
    """Asks Discord. `standing` is also for commands and for moderation."""

    def __init__(self, api: DiscordRest, people: PeopleStore, clock: Clock) -> None:
        self._api = api
        self._people = people
        self._clock = clock

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Everybody holds "everyone"; the console's roles count by the person's login; the rest are Discord's names."""
        if permission == "everyone":
            return True
        if (needed := _CONSOLE_ROLES.get(permission)) is not None:
            role = await self._people.role(requester.person)
            return bool(role) and Role(role).rank >= needed.rank
        if permission not in permissions.PERMISSIONS and permission != permissions.SERVER_OWNER:
            return False
        if requester.platform != "discord" or not requester.account:
            return False
        standing = await self.standing(channel_id(requester.channel), requester.account)
        return standing is not None and standing.may(permission)

    async def standing(self, channel: str, user: str) -> Standing | None:
        """A person in a channel of a server; None outside of servers, for strangers, and when Discord does not say."""
        try:
            place: Json = await self._api.call(rest.CHANNEL, channel=channel)
            if not (server := place.get("guild_id")):
                return None
            guild: Json = await self._api.call(rest.GUILD, guild=str(server))
            member: Json = await self._api.call(rest.MEMBER, guild=str(server), user=user)
            if place.get("type") in (10, 11, 12) and place.get("parent_id"):
                # Threads have the rules of their channel.
                place = await self._api.call(rest.CHANNEL, channel=str(place["parent_id"]))
        except (DiscordRefused, DiscordAway) as error:
            log.info("discord.authority_unknown", reason=str(error))
            return None
        return Standing(guild, place, member, permissions.in_channel(guild, member, place, self._clock.now()))

    async def may_act_on(self, standing: Standing, user: str) -> bool:
        """Whether both the person and the bot stand above another member. False when it cannot be found out."""
        server = str(standing.guild["id"])
        try:
            target: Json = await self._api.call(rest.MEMBER, guild=server, user=user)
            bot: Json = await self._api.call(rest.MEMBER, guild=server, user=str((await self._api.me())["id"]))
        except (DiscordRefused, DiscordAway) as error:
            log.info("discord.authority_unknown", reason=str(error))
            return False
        return permissions.outranks(standing.guild, standing.member, target) and permissions.outranks(
            standing.guild, bot, target
        )
