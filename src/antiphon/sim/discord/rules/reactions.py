"""Reactions to messages.

Source: docs, Message, "Create Reaction", "Delete All Reactions", "Reaction Object"; Gateway Events, "Message Reaction
Add" and its neighbours; 20 different emojis on a message (30010).
"""

from __future__ import annotations

import re
from typing import Any

from antiphon.sim.discord.errors import refused, unknown
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rules.need import need
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.messages import Message, Reaction
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

_CUSTOM = re.compile(r"^(?:a:)?(\w{2,32}):(\d+)$")


def emoji_of(world: World, channel: Channel, text: str) -> tuple[str, dict[str, Any]]:
    """The key and object of an emoji as routes name it: the character itself, or name:id.

    Source: docs, Message, "Create Reaction" (10014 for what is no emoji).
    """
    if custom := _CUSTOM.match(text):
        emoji_id = int(custom.group(2))
        known = channel.guild.emojis.get(emoji_id) if channel.guild else None
        if known is None:
            raise unknown("emoji")
        return str(emoji_id), {"id": str(emoji_id), "name": known["name"], "animated": known.get("animated", False)}
    if not text or (text.isascii() and not re.fullmatch(r"[0-9#*]\ufe0f?\u20e3", text)) or len(text) > 32:
        raise unknown("emoji")
    return text, {"id": None, "name": text}


def react(world: World, actor: User, message: Message, text: str) -> None:
    key, emoji = emoji_of(world, message.channel, text)
    wanted = P.READ_MESSAGE_HISTORY if key in message.reactions else P.READ_MESSAGE_HISTORY | P.ADD_REACTIONS
    need(world, message.channel, actor, wanted)
    if key not in message.reactions and len(message.reactions) >= 20:
        raise refused(400, 30010, "Maximum number of reactions reached (20)")
    reaction = message.reactions.setdefault(key, Reaction(emoji))
    if actor.id in reaction.users:
        return
    reaction.users[actor.id] = actor
    data = _reaction_data(message, actor, emoji)
    data["message_author_id"] = str(message.author.id)
    if message.channel.guild is not None and actor.id in message.channel.guild.members:
        data["member"] = message.channel.guild.members[actor.id].payload()
    world.tell("MESSAGE_REACTION_ADD", data, channel=message.channel)


def unreact(world: World, actor: User, message: Message, text: str, whose: User) -> None:
    key, emoji = emoji_of(world, message.channel, text)
    need(world, message.channel, actor, P(0) if whose is actor else P.MANAGE_MESSAGES)
    reaction = message.reactions.get(key)
    if reaction is None or reaction.users.pop(whose.id, None) is None:
        raise unknown("emoji")
    if not reaction.users:
        del message.reactions[key]
    world.tell("MESSAGE_REACTION_REMOVE", _reaction_data(message, whose, emoji), channel=message.channel)


def clear_reactions(world: World, actor: User, message: Message, text: str | None = None) -> None:
    need(world, message.channel, actor, P.MANAGE_MESSAGES)
    data: dict[str, Any] = {"channel_id": str(message.channel.id), "message_id": str(message.id)}
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    if text is None:
        message.reactions.clear()
        world.tell("MESSAGE_REACTION_REMOVE_ALL", data, channel=message.channel)
        return
    key, emoji = emoji_of(world, message.channel, text)
    if message.reactions.pop(key, None) is None:
        raise unknown("emoji")
    world.tell("MESSAGE_REACTION_REMOVE_EMOJI", {**data, "emoji": emoji}, channel=message.channel)


def _reaction_data(message: Message, actor: User, emoji: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "user_id": str(actor.id),
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "emoji": emoji,
        "burst": False,
        "type": 0,
    }
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    return data
