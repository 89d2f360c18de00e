"""The audit log of a guild.

Source: docs, Audit Log, "Audit Log Entry Object", "Audit Log Events"; "Reason" (X-Audit-Log-Reason, 1 to 512
characters); Gateway Events, "Guild Audit Log Entry Create" (bots with VIEW_AUDIT_LOG).
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.permissions import P, in_guild
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

GUILD_UPDATE, CHANNEL_CREATE, CHANNEL_UPDATE, CHANNEL_DELETE = 1, 10, 11, 12
OVERWRITE_CREATE, OVERWRITE_UPDATE, OVERWRITE_DELETE = 13, 14, 15
KICK, PRUNE, BAN, UNBAN, MEMBER_UPDATE, MEMBER_ROLES, MEMBER_MOVE, MEMBER_DISCONNECT, BOT_ADD = (
    20, 21, 22, 23, 24, 25, 26, 27, 28,
)  # fmt: skip
ROLE_CREATE, ROLE_UPDATE, ROLE_DELETE = 30, 31, 32
WEBHOOK_CREATE, WEBHOOK_UPDATE, WEBHOOK_DELETE = 50, 51, 52
MESSAGE_DELETE, MESSAGE_BULK_DELETE, PIN, UNPIN = 72, 73, 74, 75
THREAD_CREATE, THREAD_UPDATE, THREAD_DELETE = 110, 111, 112
AUTOMOD_CREATE, AUTOMOD_UPDATE, AUTOMOD_DELETE = 140, 141, 142


def record(
    world: World,
    guild: Guild | None,
    actor: User,
    action: int,
    target: int | None,
    *,
    reason: str | None = None,
    changes: list[dict[str, Any]] | None = None,
    options: dict[str, Any] | None = None,
) -> None:
    if guild is None:
        return
    entry: dict[str, Any] = {
        "id": str(world.ids.new()),
        "user_id": str(actor.id),
        "target_id": None if target is None else str(target),
        "action_type": action,
    }
    if changes:
        entry["changes"] = changes
    if options:
        entry["options"] = options
    if reason:
        entry["reason"] = reason
    guild.audit.append(entry)
    now = world.clock.now()
    readers = frozenset(
        application.id
        for application in world.applications.values()
        if (member := guild.members.get(application.id)) and in_guild(guild, member, now) & P.VIEW_AUDIT_LOG
    )
    event = Dispatch("GUILD_AUDIT_LOG_ENTRY_CREATE", {**entry, "guild_id": str(guild.id)}, guild, users=readers)
    world.announce(event)


def change(key: str, old: Any, new: Any) -> dict[str, Any]:
    """Source: docs, Audit Log, "Audit Log Change Object"."""
    data: dict[str, Any] = {"key": key}
    if old is not None:
        data["old_value"] = old
    if new is not None:
        data["new_value"] = new
    return data
