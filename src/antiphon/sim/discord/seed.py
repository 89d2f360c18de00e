"""Making things in the world from nothing: the small server that every simulation starts with, and big ones."""

from __future__ import annotations

import base64
import gc
import secrets
from typing import Any

from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.world.channels import CATEGORY, FORUM, TEXT, VOICE, Channel
from antiphon.sim.discord.world.guilds import Guild, Member, Role
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.world import World

BOT = (
    P.VIEW_CHANNEL | P.SEND_MESSAGES | P.SEND_MESSAGES_IN_THREADS | P.READ_MESSAGE_HISTORY | P.EMBED_LINKS
    | P.ATTACH_FILES | P.ADD_REACTIONS | P.USE_EXTERNAL_EMOJIS | P.MANAGE_MESSAGES | P.MANAGE_THREADS
    | P.CREATE_PUBLIC_THREADS | P.CREATE_PRIVATE_THREADS | P.CONNECT | P.SPEAK | P.USE_VAD | P.MANAGE_CHANNELS
    | P.MANAGE_ROLES | P.KICK_MEMBERS | P.BAN_MEMBERS | P.MODERATE_MEMBERS | P.VIEW_AUDIT_LOG | P.MANAGE_GUILD
    | P.MANAGE_NICKNAMES | P.MANAGE_WEBHOOKS | P.SEND_POLLS | P.PIN_MESSAGES | P.MOVE_MEMBERS | P.MUTE_MEMBERS
    | P.DEAFEN_MEMBERS | P.USE_APPLICATION_COMMANDS | P.SEND_VOICE_MESSAGES | P.CHANGE_NICKNAME
)  # fmt: skip
"""What a bot is invited with, unless a test says otherwise."""


def user(world: World, name: str, *, bot: bool = False, global_name: str | None = None) -> User:
    made = User(world.ids.new(), name, bot, global_name)
    world.users[made.id] = made
    return made


def application(world: World, name: str, owner: User, token: str | None = None) -> Application:
    """An application with its bot, known by `token` (a fresh one by default)."""
    bot = user(world, name, bot=True)
    token = token or new_token(bot.id)
    made = Application(bot, token, owner)
    world.applications[bot.id] = world.tokens[token] = made
    return made


def new_token(bot_id: int) -> str:
    """Of Discord's shape: id, time and signature in base64.

    Source: docs, Reference, "Authentication" (the example token).
    """
    number = base64.urlsafe_b64encode(str(bot_id).encode()).decode().rstrip("=")
    return f"{number}.{secrets.token_urlsafe(4)[:6]}.{secrets.token_urlsafe(28)[:38]}"


def guild(world: World, name: str, owner: User) -> Guild:
    made = Guild(world.ids.new(), name, owner.id, world.clock.iso())
    made.members[owner.id] = Member(owner, world.clock.iso())
    world.guilds[made.id] = made
    return made


def channel(
    world: World, guild: Guild, name: str, kind: int = TEXT, parent: Channel | None = None, **fields: Any
) -> Channel:
    made = Channel(world.ids.new(), kind, name, guild, parent=parent, position=len(guild.channels), **fields)
    guild.channels[made.id] = world.channels[made.id] = made
    return made


def role(world: World, guild: Guild, name: str, permissions: int = 0, **fields: Any) -> Role:
    """Above all roles there are."""
    made = Role(world.ids.new(), name, int(permissions), len(guild.roles), **fields)
    guild.roles[made.id] = made
    return made


def invite(world: World, guild: Guild, application: Application, permissions: int = int(BOT)) -> Role:
    """Let a bot in: it gets a managed role of its own name, on top."""
    made = role(world, guild, application.user.name, permissions, managed=True, bot_id=application.id)
    guild.members[application.id] = Member(application.user, world.clock.iso(), [made.id])
    return made


def small_world(world: World, token: str | None) -> Application:
    """One server with an owner, a moderator, two members, a bot and a channel of each common kind."""
    owner = user(world, "olive", global_name="Olive")
    bot = application(world, "Antiphon", owner, token)
    place = guild(world, "Rehearsal room", owner)
    moderators = role(
        world, place, "Moderators", int(P.KICK_MEMBERS | P.BAN_MEMBERS | P.MODERATE_MEMBERS | P.MANAGE_MESSAGES)
    )
    for name in ("ada", "ben", "mona"):
        one = user(world, name, global_name=name.title())
        place.members[one.id] = Member(one, world.clock.iso(), [moderators.id] if name == "mona" else [])
    invite(world, place, bot)
    texts = channel(world, place, "Text channels", CATEGORY)
    general = channel(world, place, "general", TEXT, texts)
    channel(world, place, "random", TEXT, texts)
    channel(world, place, "questions", FORUM, texts)
    voices = channel(world, place, "Voice channels", CATEGORY)
    channel(world, place, "Lounge", VOICE, voices)
    place.system_channel_id = general.id
    return bot


def big_world(world: World, bot: Application, servers: int, members: int, channels: int = 20) -> list[Guild]:
    """`servers` guilds of `members` distinct people each, for measuring."""
    made: list[Guild] = []
    joined = world.clock.iso()
    collecting = gc.isenabled()
    gc.disable()  # nothing of this is garbage, and looking for some takes most of the time
    try:
        for number in range(servers):
            people = [user(world, f"person-{number}-{index}") for index in range(members - 1)]
            place = guild(world, f"Server {number}", people[0])
            place.members.update({one.id: Member(one, joined) for one in people})
            invite(world, place, bot)
            for index in range(channels):
                channel(world, place, f"channel-{index}")
            made.append(place)
    finally:
        if collecting:
            gc.enable()
    return made
