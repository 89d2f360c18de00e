"""Threads and forum posts.

Source: docs, Topics, Threads; Channel, "Start Thread from Message" (the thread has the message's id; 160004 for a
second one), "Start Thread without Message", "Start Thread in Forum or Media Channel" (up to 5 tags), "Join Thread",
"List Public Archived Threads"; Gateway Events, "Thread Create" (`newly_created`), "Thread Members Update".
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form, missing_access, refused
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rules import audit
from antiphon.sim.discord.rules.messages import announce, publish, send, system_notice
from antiphon.sim.discord.rules.need import need
from antiphon.sim.discord.rules.thread_members import add_member, set_archived
from antiphon.sim.discord.rules.uploads import Upload
from antiphon.sim.discord.world.channels import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    FORUM,
    MEDIA,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    TEXT,
    Channel,
)
from antiphon.sim.discord.world.messages import HAS_THREAD, THREAD_NOTICE, THREAD_STARTER, Message
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

_ARCHIVE_AFTER = frozenset({60, 1440, 4320, 10080})


def start_from_message(
    world: World, actor: User, message: Message, body: dict[str, Any], reason: str | None
) -> Channel:
    parent = message.channel
    if parent.type not in (TEXT, ANNOUNCEMENT):
        raise refused(400, 50024, "Cannot execute action on this channel type")
    need(world, parent, actor, P.CREATE_PUBLIC_THREADS | P.READ_MESSAGE_HISTORY)
    if message.thread is not None:
        raise refused(400, 160004, "A thread has already been created for this message")
    kind = ANNOUNCEMENT_THREAD if parent.type == ANNOUNCEMENT else PUBLIC_THREAD
    thread = _make(world, actor, parent, kind, body, thread_id=message.id, reason=reason)
    message.thread = thread
    message.flags |= HAS_THREAD

    reference = (
        {"type": 0, "guild_id": str(parent.guild.id), "channel_id": str(parent.id), "message_id": str(message.id)}
        if parent.guild
        else None
    )
    starter = Message(
        world.ids.new(),
        thread,
        message.author,
        "",
        world.clock.iso(),
        type=THREAD_STARTER,
        reference=reference,
        referenced=message,
    )
    publish(world, starter)
    announce(world, "MESSAGE_UPDATE", message)
    return thread


def start(world: World, actor: User, parent: Channel, body: dict[str, Any], reason: str | None) -> Channel:
    """Without a message. Private unless asked otherwise, as the API does."""
    if parent.type not in (TEXT, ANNOUNCEMENT):
        raise refused(400, 50024, "Cannot execute action on this channel type")
    form = Form()
    kind = form.choice("type", body.get("type", PRIVATE_THREAD), {ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD})
    form.check()
    need(world, parent, actor, P.CREATE_PRIVATE_THREADS if kind == PRIVATE_THREAD else P.CREATE_PUBLIC_THREADS)
    thread = _make(world, actor, parent, kind, body, reason=reason)
    if kind != PRIVATE_THREAD:
        reference = {"type": 0, "guild_id": str(parent.guild.id if parent.guild else 0), "channel_id": str(thread.id)}
        system_notice(world, parent, actor, THREAD_NOTICE, content=thread.name, reference=reference)
    return thread


def start_post(
    world: World, actor: User, parent: Channel, body: dict[str, Any], uploads: list[Upload], reason: str | None
) -> tuple[Channel, Message]:
    """A post in a forum: a thread whose first message has its id."""
    need(world, parent, actor, P.SEND_MESSAGES)
    tags = [int(one) for one in body.get("applied_tags") or []]
    known = {int(tag["id"]) for tag in parent.tags}
    form = Form()
    if len(tags) > 5:
        form.add("applied_tags", "BASE_TYPE_MAX_LENGTH", "Must be 5 or fewer in length.")
    for index, tag in enumerate(tags):
        if tag not in known:
            form.add(f"applied_tags.{index}", "INVALID_FORUM_TAG", "Unknown tag")
    form.check()
    if parent.flags & (1 << 4) and not tags:
        raise refused(400, 40067, "A tag is required to create a forum post in this channel")

    thread = _make(world, actor, parent, PUBLIC_THREAD, body, reason=reason, tags=tags)
    try:
        message = send(world, actor, thread, body.get("message") or {}, uploads)
    except Exception:
        delete(world, thread)
        raise
    return thread, message


def _make(
    world: World,
    actor: User,
    parent: Channel,
    kind: int,
    body: dict[str, Any],
    *,
    thread_id: int | None = None,
    reason: str | None = None,
    tags: list[int] | None = None,
) -> Channel:
    form = Form()
    name = form.text("name", body.get("name"), least=1, most=100, none=False)
    archive = form.choice("auto_archive_duration", body.get("auto_archive_duration"), _ARCHIVE_AFTER)
    slowmode = form.number("rate_limit_per_user", body.get("rate_limit_per_user"), least=0, most=21600)
    form.check()
    guild = parent.guild
    if guild is None:
        raise refused(403, 50003, "Cannot execute action on a DM channel")
    if sum(not one.archived for one in guild.threads.values()) >= 1000:
        raise refused(400, 160006, "Maximum number of active threads reached")
    now = world.clock.iso()
    thread = Channel(
        thread_id or world.ids.new(),
        kind,
        name or "",
        guild,
        parent=parent,
        owner_id=actor.id,
        auto_archive=archive or parent.auto_archive,
        slowmode=parent.thread_slowmode if slowmode is None else slowmode,
        invitable=bool(body.get("invitable", True)),
        archived_at=now,
        created=now,
        applied_tags=tags or [],
    )
    thread.thread_members[actor.id] = now
    guild.threads[thread.id] = world.channels[thread.id] = thread
    if parent.type in (FORUM, MEDIA):
        parent.last_message_id = thread.id
    audit.record(world, guild, actor, audit.THREAD_CREATE, thread.id, reason=reason)
    data = {**thread.payload(viewer=actor.id), "newly_created": True}
    world.tell("THREAD_CREATE", data, channel=thread)
    return thread


def change(world: World, actor: User, thread: Channel, body: dict[str, Any], reason: str | None) -> Channel:
    """Source: docs, Channel, "Modify Channel" (thread), Topics, Threads, "Permissions": the owner may rename and
    archive; locking and what others own takes MANAGE_THREADS; an archived thread can only be unarchived.
    """
    bits = need(world, thread, actor, P(0))
    manages = bool(bits & P.MANAGE_THREADS)
    if thread.archived and not thread.locked and body.get("archived") is False and set(body) <= {"archived", "locked"}:
        manages = manages or bool(bits & P.SEND_MESSAGES)
    elif not manages and (thread.owner_id != actor.id or "locked" in body or thread.locked):
        raise refused(403, 50013, "Missing Permissions")
    if thread.archived and body.get("archived") is not False:
        raise refused(400, 50083, "Thread is archived")
    form = Form()
    name = form.text("name", body.get("name"), least=1, most=100)
    archive = form.choice("auto_archive_duration", body.get("auto_archive_duration"), _ARCHIVE_AFTER)
    slowmode = form.number("rate_limit_per_user", body.get("rate_limit_per_user"), least=0, most=21600)
    form.check()
    thread.name = name or thread.name
    thread.auto_archive = archive or thread.auto_archive
    thread.slowmode = thread.slowmode if slowmode is None else slowmode
    thread.locked = bool(body.get("locked", thread.locked))
    thread.invitable = bool(body.get("invitable", thread.invitable))
    if "applied_tags" in body:
        thread.applied_tags = [int(one) for one in body["applied_tags"]]
    if "flags" in body:
        thread.flags = int(body["flags"])
    audit.record(world, thread.guild, actor, audit.THREAD_UPDATE, thread.id, reason=reason)
    if "archived" in body and bool(body["archived"]) != thread.archived:
        set_archived(world, thread, bool(body["archived"]))
    else:
        world.tell("THREAD_UPDATE", thread.payload(), channel=thread)
    return thread


def delete(world: World, thread: Channel) -> None:
    if thread.guild is None:
        return
    thread.guild.threads.pop(thread.id, None)
    world.channels.pop(thread.id, None)
    data = {
        "id": str(thread.id),
        "guild_id": str(thread.guild.id),
        "parent_id": str(thread.parent.id) if thread.parent else None,
        "type": thread.type,
    }
    world.tell("THREAD_DELETE", data, channel=thread)


def join(world: World, actor: User, thread: Channel, user: User) -> None:
    """Join a thread, or add somebody to it, which takes the right to talk there."""
    if not thread.is_thread or thread.guild is None:
        raise refused(400, 50024, "Cannot execute action on this channel type")
    if thread.archived:
        raise refused(400, 50083, "Thread is archived")
    bits = need(world, thread, actor, P(0) if user is actor else P.SEND_MESSAGES)
    if user is not actor and thread.type == PRIVATE_THREAD and not thread.invitable and not bits & P.MANAGE_THREADS:
        raise refused(403, 50013, "Missing Permissions")
    if user.id not in thread.guild.members:
        raise missing_access()
    add_member(world, thread, user)


def archived(world: World, actor: User, parent: Channel, *, private: bool, own: bool = False) -> list[Channel]:
    """Those a member may see, last archived first."""
    bits = need(world, parent, actor, P.READ_MESSAGE_HISTORY)
    if private and not own and not bits & P.MANAGE_THREADS:
        raise refused(403, 50013, "Missing Permissions")
    threads = parent.guild.threads.values() if parent.guild else []
    found = [
        one
        for one in threads
        if one.parent is parent
        and one.archived
        and (one.type == PRIVATE_THREAD) == private
        and (not own or actor.id in one.thread_members)
    ]
    return sorted(found, key=lambda one: one.archived_at, reverse=True)
