"""Everything that exists, by id, and the announcement of every change."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from antiphon.sim.discord.clock import SimClock
from antiphon.sim.discord.errors import missing_access, unknown
from antiphon.sim.discord.limits import Limits
from antiphon.sim.discord.permissions import P, in_channel
from antiphon.sim.discord.snowflakes import Snowflakes
from antiphon.sim.discord.world.channels import DM, Channel
from antiphon.sim.discord.world.commands import Interaction
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild, Member
from antiphon.sim.discord.world.messages import Attachment, Message
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.webhooks import Webhook

Listener = Callable[[Dispatch], None]


class World:
    """The state. Finding something that does not exist raises Discord's own refusal."""

    def __init__(self, clock: SimClock, limits: Limits) -> None:
        self.clock, self.limits = clock, limits
        self.ids = Snowflakes(clock)
        self.users: dict[int, User] = {}
        self.applications: dict[int, Application] = {}
        self.tokens: dict[str, Application] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        """Also threads and direct messages."""
        self.webhooks: dict[int, Webhook] = {}
        self.interactions: dict[int, Interaction] = {}
        self.interaction_tokens: dict[str, Interaction] = {}
        self.attachments: dict[int, Attachment] = {}
        self.cdn_key = secrets.token_bytes(32)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def announce(self, dispatch: Dispatch) -> None:
        for listener in self._listeners:
            listener(dispatch)

    def tell(
        self, name: str, data: dict[str, Any], *, guild: Guild | None = None, channel: Channel | None = None
    ) -> None:
        """Announce to whoever is in the guild and sees the channel."""
        if channel is not None and guild is None:
            guild = channel.guild
        users = frozenset(channel.recipients) if channel is not None and channel.guild is None else None
        self.announce(Dispatch(name, data, guild=guild, channel=channel, users=users))

    # Finding

    def user(self, user_id: int) -> User:
        try:
            return self.users[user_id]
        except KeyError:
            raise unknown("user") from None

    def guild(self, guild_id: int, actor: User) -> Guild:
        """A guild that `actor` is a member of."""
        guild = self.guilds.get(guild_id)
        if guild is None:
            raise unknown("guild")
        if actor.id not in guild.members:
            raise missing_access()
        return guild

    def member(self, guild: Guild, user_id: int) -> Member:
        member = guild.members.get(user_id)
        if member is None:
            raise unknown("member" if user_id in self.users else "user")
        return member

    def channel(self, channel_id: int, actor: User) -> Channel:
        """A channel that `actor` can see."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown("channel")
        if not self.permissions(channel, actor) & P.VIEW_CHANNEL:
            raise missing_access()
        return channel

    def message(self, channel: Channel, message_id: int) -> Message:
        message = channel.messages.get(message_id)
        if message is None:
            raise unknown("message")
        return message

    def permissions(self, channel: Channel, user: User) -> P:
        return in_channel(channel, user.id, self.clock.now())

    def direct(self, one: User, other: User) -> Channel:
        """The direct-message channel of two users, made when there is none."""
        for channel in self.channels.values():
            if channel.type == DM and set(channel.recipients) == {one.id, other.id}:
                return channel
        channel = Channel(self.ids.new(), DM, recipients={one.id: one, other.id: other})
        self.channels[channel.id] = channel
        return channel
