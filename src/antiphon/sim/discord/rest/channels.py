"""Channels, overwrites and threads. Source: docs, Channel; Guild, "List Active Guild Threads"."""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import missing_permissions, refused, unknown
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rest.call import Call, Reply, Route
from antiphon.sim.discord.rules import audit, threads
from antiphon.sim.discord.rules import channels as rules
from antiphon.sim.discord.rules.need import need_in_guild
from antiphon.sim.discord.rules.thread_members import remove_member
from antiphon.sim.discord.world.channels import FORUM, MEDIA, Channel


def _get(call: Call) -> dict[str, Any]:
    return call.channel().payload(viewer=call.actor.id)


def _edit(call: Call) -> dict[str, Any]:
    channel = call.channel()
    change = threads.change if channel.is_thread else rules.change
    return change(call.world, call.actor, channel, call.body, call.reason).payload(viewer=call.actor.id)


def _delete(call: Call) -> dict[str, Any]:
    return rules.remove(call.world, call.actor, call.channel(), call.reason).payload(viewer=call.actor.id)


def _of_guild(call: Call) -> list[dict[str, Any]]:
    return [channel.payload() for channel in call.guild().channels.values()]


def _create(call: Call) -> Reply:
    return Reply(rules.create(call.world, call.guild(), call.actor, call.body, call.reason).payload(), 201)


def _move(call: Call) -> None:
    """Source: docs, Guild, "Modify Guild Channel Positions"."""
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_CHANNELS)
    for one in call.json:
        channel = guild.channels.get(int(one["id"]))
        if channel is None:
            raise unknown("channel")
        if one.get("position") is not None:
            channel.position = int(one["position"])
        if "parent_id" in one:
            channel.parent = guild.channels.get(int(one["parent_id"] or 0))
        call.world.tell("CHANNEL_UPDATE", channel.payload(), channel=channel)
        audit.record(call.world, guild, call.actor, audit.CHANNEL_UPDATE, channel.id, reason=call.reason)


def _overwrite(call: Call) -> None:
    rules.set_overwrite(call.world, call.actor, call.channel(), call.id("overwrite_id"), call.body, call.reason)


def _delete_overwrite(call: Call) -> None:
    rules.delete_overwrite(call.world, call.actor, call.channel(), call.id("overwrite_id"), call.reason)


def _voice_status(call: Call) -> None:
    call.channel()


# Threads


def _thread(call: Call) -> Channel:
    channel = call.channel()
    if not channel.is_thread:
        raise refused(400, 50024, "Cannot execute action on this channel type")
    return channel


def _start(call: Call) -> Reply:
    parent = call.channel()
    if parent.type in (FORUM, MEDIA):
        thread, message = threads.start_post(call.world, call.actor, parent, call.body, call.uploads, call.reason)
        return Reply({**thread.payload(viewer=call.actor.id), "message": message.payload()}, 201)
    return Reply(
        threads.start(call.world, call.actor, parent, call.body, call.reason).payload(viewer=call.actor.id), 201
    )


def _start_from(call: Call) -> Reply:
    message = call.world.message(call.channel(), call.id("message_id"))
    thread = threads.start_from_message(call.world, call.actor, message, call.body, call.reason)
    return Reply(thread.payload(viewer=call.actor.id), 201)


def _join(call: Call) -> None:
    threads.join(call.world, call.actor, _thread(call), call.world.user(call.user_id()))


def _leave(call: Call) -> None:
    thread, user = _thread(call), call.world.user(call.user_id())
    manages = call.world.permissions(thread, call.actor) & P.MANAGE_THREADS
    if user is not call.actor and not manages and thread.owner_id != call.actor.id:
        raise missing_permissions()
    remove_member(call.world, thread, user)


def _thread_member(call: Call) -> dict[str, Any]:
    thread, user_id = _thread(call), call.user_id()
    if user_id not in thread.thread_members:
        raise unknown("member")
    return thread.thread_member_payload(user_id)


def _thread_members(call: Call) -> list[dict[str, Any]]:
    thread = _thread(call)
    return [thread.thread_member_payload(user_id) for user_id in thread.thread_members]


def _active(call: Call) -> dict[str, Any]:
    guild = call.guild()
    seen = [
        one
        for one in guild.threads.values()
        if not one.archived and call.world.permissions(one, call.actor) & P.VIEW_CHANNEL
    ]
    return _listed(call, seen)


def _archived(call: Call, *, private: bool, own: bool = False) -> dict[str, Any]:
    found = threads.archived(call.world, call.actor, call.channel(), private=private, own=own)
    if "before" in call.query:
        found = [one for one in found if one.archived_at < call.query["before"] or own]
    limit = call.number("limit", 50, least=1, most=100)
    return {**_listed(call, found[:limit]), "has_more": len(found) > limit}


def _listed(call: Call, found: list[Channel]) -> dict[str, Any]:
    me = call.actor.id
    return {
        "threads": [one.payload(viewer=me) for one in found],
        "members": [one.thread_member_payload(me) for one in found if me in one.thread_members],
    }


_ONE = "/channels/{channel_id}"

ROUTES = [
    Route("GET", _ONE, _get),
    Route("PATCH", _ONE, _edit),
    Route("DELETE", _ONE, _delete),
    Route("GET", "/guilds/{guild_id}/channels", _of_guild),
    Route("POST", "/guilds/{guild_id}/channels", _create),
    Route("PATCH", "/guilds/{guild_id}/channels", _move),
    Route("PUT", _ONE + "/permissions/{overwrite_id}", _overwrite),
    Route("DELETE", _ONE + "/permissions/{overwrite_id}", _delete_overwrite),
    Route("PUT", _ONE + "/voice-status", _voice_status),
    Route("POST", _ONE + "/threads", _start),
    Route("POST", _ONE + "/messages/{message_id}/threads", _start_from),
    Route("GET", _ONE + "/thread-members", _thread_members),
    Route("GET", _ONE + "/thread-members/{user_id}", _thread_member),
    Route("PUT", _ONE + "/thread-members/{user_id}", _join),
    Route("DELETE", _ONE + "/thread-members/{user_id}", _leave),
    Route("GET", "/guilds/{guild_id}/threads/active", _active),
    Route("GET", _ONE + "/threads/archived/public", lambda call: _archived(call, private=False)),
    Route("GET", _ONE + "/threads/archived/private", lambda call: _archived(call, private=True)),
    Route("GET", _ONE + "/users/@me/threads/archived/private", lambda call: _archived(call, private=True, own=True)),
]
