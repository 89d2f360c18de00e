"""The world as the control's readers get it: close to Discord's own payloads, with what only the server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import AUTOCOMPLETE, Command, Interaction
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.messages import Message
from antiphon.sim.discord.world.users import Application, User

if TYPE_CHECKING:
    from antiphon.sim.discord.control.control import Control


def message_view(message: Message, viewer: int | None = None) -> dict[str, Any]:
    guild = message.channel.guild
    return {
        **message.payload(viewer=viewer),
        "guild_id": str(guild.id) if guild else None,
        "visible_to": None if message.visible_to is None else str(message.visible_to),
    }


def messages_view(control: Control, channel: Channel, user: User | None, limit: int) -> list[dict[str, Any]]:
    """The last messages of a channel, oldest first; with `user` also the ephemeral ones that they see."""
    found = list(channel.messages.values())[-limit:]
    if user is not None:
        for started in control.world.interactions.values():
            if started.channel is channel and started.user is user:
                found += [
                    one
                    for one in (started.original, *started.followups)
                    if one is not None and one.visible_to == user.id
                ]
    found.sort(key=lambda one: one.id)
    return [message_view(message, user.id if user else None) for message in found[-limit:]]


def world_view(control: Control) -> dict[str, Any]:
    """Servers with channels, roles, members and who is in which voice channel; 500 members of a server at most."""
    bot = control.bot
    return {
        "bot": {**bot.user.payload(), "connected": control.connected},
        "servers": [_guild(guild) for guild in control.world.guilds.values()],
        "direct": [one.payload() for one in control.world.channels.values() if one.guild is None],
        "time": control.world.clock.iso(),
    }


def _guild(guild: Guild) -> dict[str, Any]:
    voice = {user: str(state.channel.id) for user, state in guild.voice_states.items()}
    return {
        "id": str(guild.id),
        "name": guild.name,
        "owner_id": str(guild.owner_id),
        "channels": [channel.payload() for channel in guild.channels.values()],
        "threads": [thread.payload() for thread in guild.threads.values()],
        "roles": [role.payload() for role in guild.roles.values()],
        "member_count": len(guild.members),
        "members": [
            {**member.payload(), "voice_channel_id": voice.get(member.user.id), "presence": member.user.presence}
            for member in list(guild.members.values())[:500]
        ],
    }


def option_view(application: Application, command: Command) -> dict[str, Any]:
    return {**command.payload(), "application": application.user.payload()}


def interaction_view(control: Control, started: Interaction) -> dict[str, Any]:
    """`state`: waiting, answered, or failed (the application did not respond)."""
    if started.acknowledged is None:
        state = "failed" if control.failed(started) else "waiting"
    else:
        state = "waiting" if started.waiting else "answered"
    response = started.response or {}
    return {
        "interaction": str(started.id),
        "state": state,
        "message": None if started.original is None else message_view(started.original),
        "followups": [message_view(one) for one in started.followups],
        "modal": response if started.response_type == 9 else None,
        "choices": response.get("choices", []) if started.type == AUTOCOMPLETE else None,
    }


def dispatch_view(dispatch: Dispatch) -> dict[str, Any]:
    visible = dispatch.message.visible_to if dispatch.message is not None else None
    return {
        "event": dispatch.name,
        "guild_id": str(dispatch.guild.id) if dispatch.guild else None,
        "channel_id": str(dispatch.channel.id) if dispatch.channel else None,
        "visible_to": None if visible is None else str(visible),
        "data": dispatch.data,
    }
