"""Making, changing and deleting channels and their overwrites.

Source: docs, Guild, "Create Guild Channel"; Channel ("Modify Channel", "Delete/Close Channel", "Edit Channel
Permissions": bots may only grant what they hold); at most 500 channels (30013).
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form, missing_permissions, refused, unknown
from antiphon.sim.discord.permissions import ALL, P, in_channel, in_guild
from antiphon.sim.discord.rules import audit
from antiphon.sim.discord.rules.need import need, need_in_guild
from antiphon.sim.discord.rules.threads import delete as delete_thread
from antiphon.sim.discord.rules.voice import leave
from antiphon.sim.discord.world.channels import (
    ANNOUNCEMENT,
    CATEGORY,
    DM,
    FORUM,
    MEDIA,
    STAGE,
    TEXT,
    VOICE,
    Channel,
    Overwrite,
)
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

_KINDS = frozenset({TEXT, VOICE, CATEGORY, ANNOUNCEMENT, STAGE, FORUM, MEDIA})


def create(world: World, guild: Guild, actor: User, body: dict[str, Any], reason: str | None) -> Channel:
    need_in_guild(world, guild, actor, P.MANAGE_CHANNELS)
    form = Form()
    kind = form.choice("type", body.get("type", TEXT), set(_KINDS))
    name = form.text("name", body.get("name"), least=1, most=100, none=False)
    form.check()
    if len(guild.channels) >= 500:
        raise refused(400, 30013, "Maximum number of guild channels reached (500)")
    channel = Channel(world.ids.new(), kind, _slug(kind, name or ""), guild, position=len(guild.channels))
    _apply(world, actor, channel, body)
    guild.channels[channel.id] = world.channels[channel.id] = channel
    world.tell("CHANNEL_CREATE", channel.payload(), channel=channel)
    changes = [audit.change("name", None, channel.name), audit.change("type", None, kind)]
    audit.record(world, guild, actor, audit.CHANNEL_CREATE, channel.id, reason=reason, changes=changes)
    return channel


def change(world: World, actor: User, channel: Channel, body: dict[str, Any], reason: str | None) -> Channel:
    need(world, channel, actor, P.MANAGE_CHANNELS)
    form = Form()
    name = form.text("name", body.get("name"), least=1, most=100)
    form.check()
    old = channel.name
    _apply(world, actor, channel, body)
    if name:
        channel.name = _slug(channel.type, name)
    changes = [audit.change("name", old, channel.name)] if old != channel.name else None
    audit.record(world, channel.guild, actor, audit.CHANNEL_UPDATE, channel.id, reason=reason, changes=changes)
    world.tell("CHANNEL_UPDATE", channel.payload(), channel=channel)
    return channel


def _slug(kind: int, name: str) -> str:
    """Names of text channels are in lower case without blanks."""
    return "-".join(name.lower().split()) if kind in (TEXT, ANNOUNCEMENT, FORUM, MEDIA) else name


def _apply(world: World, actor: User, channel: Channel, body: dict[str, Any]) -> None:
    form = Form()
    topic = form.text("topic", body.get("topic"), most=4096 if channel.type in (FORUM, MEDIA) else 1024)
    slowmode = form.number("rate_limit_per_user", body.get("rate_limit_per_user"), least=0, most=21600)
    bitrate = form.number("bitrate", body.get("bitrate"), least=8000, most=384000)
    user_limit = form.number("user_limit", body.get("user_limit"), least=0, most=99)
    tags = form.items("available_tags", body.get("available_tags"), most=20)
    for index, tag in enumerate(tags):
        form.text(f"available_tags.{index}.name", tag.get("name"), most=20, none=False)
    parent = None
    if body.get("parent_id") is not None:
        parent = world.channels.get(int(body["parent_id"]))
        if parent is None or parent.type != CATEGORY or parent.guild is not channel.guild:
            form.add("parent_id", "CHANNEL_PARENT_INVALID", "Not a category channel in this server")
    form.check()
    if "topic" in body:
        channel.topic = topic
    if "parent_id" in body:
        channel.parent = parent
    channel.slowmode = channel.slowmode if slowmode is None else slowmode
    channel.bitrate = bitrate or channel.bitrate
    channel.user_limit = channel.user_limit if user_limit is None else user_limit
    channel.nsfw = bool(body.get("nsfw", channel.nsfw))
    channel.position = channel.position if body.get("position") is None else int(body["position"])
    channel.auto_archive = body.get("default_auto_archive_duration") or channel.auto_archive
    channel.flags = channel.flags if body.get("flags") is None else int(body["flags"])
    if "available_tags" in body:
        keys = ("name", "moderated", "emoji_id", "emoji_name")
        channel.tags = [
            {"id": str(tag.get("id") or world.ids.new()), "moderated": False, "emoji_id": None, "emoji_name": None}
            | {key: tag[key] for key in keys if key in tag}
            for tag in tags
        ]
    if body.get("permission_overwrites") is not None:
        channel.overwrites = {}
        for one in body["permission_overwrites"]:
            made = _overwrite(world, actor, channel, int(one["id"]), one)
            channel.overwrites[made.id] = made


def _overwrite(world: World, actor: User, channel: Channel, target: int, body: dict[str, Any]) -> Overwrite:
    """Only what the actor holds itself may be granted or denied."""
    allow, deny = int(body.get("allow") or 0), int(body.get("deny") or 0)
    guild = channel.guild
    if guild is None:
        raise refused(403, 50003, "Cannot execute action on a DM channel")
    now = world.clock.now()
    exists = channel.id in world.channels
    held = in_channel(channel, actor.id, now) if exists else in_guild(guild, guild.members[actor.id], now)
    if actor.id != guild.owner_id and (allow | deny) & ~int(held) & int(ALL):
        raise missing_permissions()
    kind = int(body.get("type", 0))
    if (kind == 0 and target not in guild.roles) or (kind == 1 and target not in world.users):
        raise unknown("overwrite")
    return Overwrite(target, kind, allow, deny)


def set_overwrite(
    world: World, actor: User, channel: Channel, target: int, body: dict[str, Any], reason: str | None
) -> None:
    need(world, channel, actor, P.MANAGE_ROLES)
    made = _overwrite(world, actor, channel, target, body)
    action = audit.OVERWRITE_UPDATE if target in channel.overwrites else audit.OVERWRITE_CREATE
    channel.overwrites[target] = made
    audit.record(world, channel.guild, actor, action, channel.id, reason=reason, options={"id": str(target)})
    world.tell("CHANNEL_UPDATE", channel.payload(), channel=channel)


def delete_overwrite(world: World, actor: User, channel: Channel, target: int, reason: str | None) -> None:
    need(world, channel, actor, P.MANAGE_ROLES)
    if channel.overwrites.pop(target, None) is None:
        raise unknown("overwrite")
    audit.record(
        world, channel.guild, actor, audit.OVERWRITE_DELETE, channel.id, reason=reason, options={"id": str(target)}
    )
    world.tell("CHANNEL_UPDATE", channel.payload(), channel=channel)


def remove(world: World, actor: User, channel: Channel, reason: str | None) -> Channel:
    """By a request. A direct-message channel is only closed."""
    if channel.type == DM:
        return channel
    if channel.is_thread:
        need(world, channel, actor, P.MANAGE_THREADS)
        delete_thread(world, channel)
        audit.record(world, channel.guild, actor, audit.THREAD_DELETE, channel.id, reason=reason)
        return channel
    need(world, channel, actor, P.MANAGE_CHANNELS)
    delete(world, channel)
    changes = [audit.change("name", channel.name, None)]
    audit.record(world, channel.guild, actor, audit.CHANNEL_DELETE, channel.id, reason=reason, changes=changes)
    return channel


def delete(world: World, channel: Channel) -> None:
    guild = channel.guild
    if guild is None:
        return
    for thread in [one for one in guild.threads.values() if one.parent is channel]:
        delete_thread(world, thread)
    for state in [one for one in guild.voice_states.values() if one.channel is channel]:
        leave(world, guild, state.member.user.id)
    guild.channels.pop(channel.id, None)
    world.channels.pop(channel.id, None)
    for inner in guild.channels.values():
        if inner.parent is channel:
            inner.parent = None
    world.tell("CHANNEL_DELETE", channel.payload(), channel=channel)
