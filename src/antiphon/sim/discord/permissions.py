"""Permission bits and how they are computed.

Source: docs, Permissions: "Bitwise Permission Flags", "Permission Overwrites" (the algorithm), "Implicit Permissions",
"Inherited Permissions (Threads)", "Permissions For Timed Out Members", "Permission Hierarchy".
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.guilds import Guild, Member


class P(IntFlag):
    """The documented bits."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_AUDIT_LOG = 1 << 7
    PRIORITY_SPEAKER = 1 << 8
    STREAM = 1 << 9
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    VIEW_GUILD_INSIGHTS = 1 << 19
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    MUTE_MEMBERS = 1 << 22
    DEAFEN_MEMBERS = 1 << 23
    MOVE_MEMBERS = 1 << 24
    USE_VAD = 1 << 25
    CHANGE_NICKNAME = 1 << 26
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    MANAGE_GUILD_EXPRESSIONS = 1 << 30
    USE_APPLICATION_COMMANDS = 1 << 31
    REQUEST_TO_SPEAK = 1 << 32
    MANAGE_EVENTS = 1 << 33
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    USE_EXTERNAL_STICKERS = 1 << 37
    SEND_MESSAGES_IN_THREADS = 1 << 38
    USE_EMBEDDED_ACTIVITIES = 1 << 39
    MODERATE_MEMBERS = 1 << 40
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 1 << 41
    USE_SOUNDBOARD = 1 << 42
    CREATE_GUILD_EXPRESSIONS = 1 << 43
    CREATE_EVENTS = 1 << 44
    USE_EXTERNAL_SOUNDS = 1 << 45
    SEND_VOICE_MESSAGES = 1 << 46
    SEND_POLLS = 1 << 49
    USE_EXTERNAL_APPS = 1 << 50
    PIN_MESSAGES = 1 << 51
    BYPASS_SLOWMODE = 1 << 52


ALL = P((1 << 53) - 1)
EVERYONE = (
    P.CREATE_INSTANT_INVITE | P.ADD_REACTIONS | P.STREAM | P.VIEW_CHANNEL | P.SEND_MESSAGES | P.EMBED_LINKS
    | P.ATTACH_FILES | P.READ_MESSAGE_HISTORY | P.USE_EXTERNAL_EMOJIS | P.CONNECT | P.SPEAK | P.USE_VAD
    | P.CHANGE_NICKNAME | P.USE_APPLICATION_COMMANDS | P.CREATE_PUBLIC_THREADS | P.CREATE_PRIVATE_THREADS
    | P.SEND_MESSAGES_IN_THREADS | P.SEND_VOICE_MESSAGES | P.SEND_POLLS | P.USE_SOUNDBOARD
)  # fmt: skip
"""What `@everyone` of a new guild may do."""
_TIMED_OUT = P.VIEW_CHANNEL | P.READ_MESSAGE_HISTORY
_NEEDS_SENDING = P.MENTION_EVERYONE | P.SEND_TTS_MESSAGES | P.ATTACH_FILES | P.EMBED_LINKS
_DIRECT = (
    P.VIEW_CHANNEL | P.SEND_MESSAGES | P.READ_MESSAGE_HISTORY | P.EMBED_LINKS | P.ATTACH_FILES | P.ADD_REACTIONS
    | P.USE_EXTERNAL_EMOJIS | P.USE_APPLICATION_COMMANDS | P.SEND_VOICE_MESSAGES | P.SEND_POLLS | P.PIN_MESSAGES
)  # fmt: skip


def in_guild(guild: Guild, member: Member, now: float) -> P:
    """The guild-wide permissions of a member."""
    if guild.owner_id == member.user.id:
        return ALL
    bits = guild.roles[guild.id].permissions
    for role in member.roles:
        bits |= guild.roles[role].permissions
    if bits & P.ADMINISTRATOR:
        return ALL
    if member.timed_out(now):
        bits &= _TIMED_OUT
    return P(bits)


def in_channel(channel: Channel, user_id: int, now: float) -> P:
    """What a user may do in a channel; nothing when they do not belong there."""
    guild = channel.guild
    if guild is None:
        return _DIRECT if user_id in channel.recipients else P(0)
    member = guild.members.get(user_id)
    if member is None:
        return P(0)
    bits = int(in_guild(guild, member, now))
    if bits == ALL:
        return ALL
    place = channel.parent if channel.is_thread and channel.parent is not None else channel
    bits = _overwritten(bits, place, member)
    if channel.is_thread:
        may_send = bits & P.SEND_MESSAGES_IN_THREADS
        bits = bits | P.SEND_MESSAGES if may_send else bits & ~P.SEND_MESSAGES
        private = channel.type == 12
        if private and user_id not in channel.thread_members and not bits & P.MANAGE_THREADS:
            return P(0)
    if not bits & P.VIEW_CHANNEL:
        return P(0)
    if place.type in (2, 13) and not bits & P.CONNECT:
        return P(bits & P.VIEW_CHANNEL)
    if not bits & P.SEND_MESSAGES:
        bits &= ~_NEEDS_SENDING
    if member.timed_out(now):
        bits &= _TIMED_OUT
    return P(bits)


def _overwritten(bits: int, channel: Channel, member: Member) -> int:
    overwrites = channel.overwrites
    if not overwrites:
        return bits
    guild_id = channel.guild.id if channel.guild is not None else 0
    if everyone := overwrites.get(guild_id):
        bits = bits & ~everyone.deny | everyone.allow
    allow = deny = 0
    for role in member.roles:
        if one := overwrites.get(role):
            allow |= one.allow
            deny |= one.deny
    bits = bits & ~deny | allow
    if own := overwrites.get(member.user.id):
        bits = bits & ~own.deny | own.allow
    return bits


def outranks(guild: Guild, actor: Member, target: Member) -> bool:
    """Whether `actor` may act on `target`: the owner on all, others on members whose highest role is lower."""
    if target.user.id == guild.owner_id:
        return False
    if actor.user.id == guild.owner_id:
        return True
    return guild.top_position(actor) > guild.top_position(target)
