"""Who belongs to a thread, and whether it is archived.

Source: docs, Threads, "Thread Membership" and "Active & Archived Threads"; Gateway Events, "Thread Members Update",
"Thread Member Update".
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import unknown
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World


def set_archived(world: World, thread: Channel, archived: bool) -> None:
    thread.archived = archived
    thread.archived_at = world.clock.iso()
    world.tell("THREAD_UPDATE", thread.payload(), channel=thread)


def add_member(world: World, thread: Channel, user: User) -> None:
    if user.id in thread.thread_members:
        return
    thread.thread_members[user.id] = world.clock.iso()
    _members_changed(world, thread, added=user)


def remove_member(world: World, thread: Channel, user: User) -> None:
    if thread.thread_members.pop(user.id, None) is None:
        raise unknown("member")
    _members_changed(world, thread, removed=user)


def _members_changed(world: World, thread: Channel, *, added: User | None = None, removed: User | None = None) -> None:
    guild = thread.guild
    if guild is None:
        return
    data: dict[str, Any] = {
        "id": str(thread.id),
        "guild_id": str(guild.id),
        "member_count": min(len(thread.thread_members), 50),
    }
    if added is not None:
        data["added_members"] = [
            {**thread.thread_member_payload(added.id), "member": guild.members[added.id].payload(), "presence": None}
        ]
    if removed is not None:
        data["removed_member_ids"] = [str(removed.id)]
    world.tell("THREAD_MEMBERS_UPDATE", data, channel=thread)
    if added is not None and added.bot:
        own = {**thread.thread_member_payload(added.id), "guild_id": str(guild.id)}
        world.announce(Dispatch("THREAD_MEMBER_UPDATE", own, guild, thread, frozenset({added.id})))
