"""Members: joining, leaving, nicknames, roles, timeouts, kicks and bans.

Source: docs, Guild ("Modify Guild Member", "Modify Current Member", "Add Guild Member Role", "Remove Guild Member",
"Create Guild Ban", "Bulk Guild Ban", "Begin Guild Prune"); Permissions, "Permission Hierarchy", "Permissions For Timed
Out Members" (up to 28 days).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from antiphon.sim.discord.clock import iso, parse_iso
from antiphon.sim.discord.errors import Form, missing_permissions, refused, unknown
from antiphon.sim.discord.permissions import P, in_guild
from antiphon.sim.discord.rules import audit, messages
from antiphon.sim.discord.rules.need import need_in_guild, need_rank, need_role_rank
from antiphon.sim.discord.rules.voice import leave, place, tell_changed
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild, Member, Role
from antiphon.sim.discord.world.messages import JOIN_NOTICE
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

_LONGEST_TIMEOUT = timedelta(days=28)


def add(world: World, guild: Guild, user: User, *, notice: bool = False) -> Member:
    """Somebody joins. Banned ones cannot (40007)."""
    if user.id in guild.bans:
        raise refused(403, 40007, "The user is banned from this guild.")
    member = Member(user, world.clock.iso())
    guild.members[user.id] = member
    world.tell("GUILD_MEMBER_ADD", {**member.payload(), "guild_id": str(guild.id)}, guild=guild)
    if notice and guild.system_channel_id in guild.channels:
        messages.system_notice(world, guild.channels[guild.system_channel_id or 0], user, JOIN_NOTICE)
    return member


def remove(world: World, guild: Guild, member: Member) -> None:
    """Somebody leaves, for whatever reason. A bot that leaves sees the guild deleted."""
    user = member.user
    if user.id in guild.voice_states:
        leave(world, guild, user.id)
    guild.members.pop(user.id, None)
    for thread in guild.threads.values():
        thread.thread_members.pop(user.id, None)
    world.tell("GUILD_MEMBER_REMOVE", {"guild_id": str(guild.id), "user": user.payload()}, guild=guild)
    if user.bot:
        gone = Dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild, users=frozenset({user.id}))
        world.announce(gone)


def updated(world: World, guild: Guild, member: Member) -> None:
    world.tell("GUILD_MEMBER_UPDATE", {**member.payload(), "guild_id": str(guild.id)}, guild=guild)


def edit(world: World, guild: Guild, actor: User, target: Member, body: dict[str, Any], reason: str | None) -> Member:
    """Each field takes its own permission; acting on others takes a higher role."""
    own = need_in_guild(world, guild, actor, P(0))
    bits = in_guild(guild, own, world.clock.now())
    form, changes = Form(), []
    if "nick" in body:
        wanted = P.CHANGE_NICKNAME if own is target else P.MANAGE_NICKNAMES
        if not bits & wanted:
            raise missing_permissions()
        need_rank(guild, own, target)
        nick = form.text("nick", body["nick"], most=32) or None
        changes.append(audit.change("nick", target.nick, nick))
    if "roles" in body:
        roles = _new_roles(guild, own, bits, target, [int(one) for one in body["roles"] or []])
    if "communication_disabled_until" in body:
        until = _timeout(world, guild, own, bits, target, body["communication_disabled_until"], form)
        old = iso(target.timeout_until) if target.timeout_until else None
        changes.append(audit.change("communication_disabled_until", old, iso(until) if until else None))
    state = guild.voice_states.get(target.user.id)
    for name, wanted in (("mute", P.MUTE_MEMBERS), ("deaf", P.DEAFEN_MEMBERS)):
        if name in body:
            if not bits & wanted:
                raise missing_permissions()
            if state is None:
                raise refused(400, 40032, "Target user is not connected to voice.")
    form.check()
    if "nick" in body:
        target.nick = body["nick"] or None
    if "roles" in body:
        _set_roles(world, guild, actor, target, roles, reason)  # pyright: ignore[reportPossiblyUnboundVariable]
    if "communication_disabled_until" in body:
        target.timeout_until = until  # pyright: ignore[reportPossiblyUnboundVariable]
    target.mute, target.deaf = bool(body.get("mute", target.mute)), bool(body.get("deaf", target.deaf))
    if "channel_id" in body:
        where = body["channel_id"]
        place(world, guild, actor, target.user.id, None if where is None else int(where))
        action = audit.MEMBER_DISCONNECT if where is None else audit.MEMBER_MOVE
        audit.record(world, guild, actor, action, None, reason=reason, options={"count": "1"})
    elif state is not None and ("mute" in body or "deaf" in body):
        tell_changed(world, state)
    if changes:
        audit.record(world, guild, actor, audit.MEMBER_UPDATE, target.user.id, reason=reason, changes=changes)
    updated(world, guild, target)
    return target


def _new_roles(guild: Guild, own: Member, bits: P, target: Member, wanted: list[int]) -> list[int]:
    if not bits & P.MANAGE_ROLES:
        raise missing_permissions()
    for role_id in set(wanted) ^ set(target.roles):
        role = guild.roles.get(role_id)
        if role is None:
            raise unknown("role")
        need_role_rank(guild, own, role)
        if role.managed:
            raise missing_permissions()
    return [one for one in dict.fromkeys(wanted) if one != guild.id]


def _timeout(world: World, guild: Guild, own: Member, bits: P, target: Member, value: Any, form: Form) -> Any:
    """Administrators and the owner cannot be timed out."""
    if not bits & P.MODERATE_MEMBERS:
        raise missing_permissions()
    need_rank(guild, own, target)
    if own is target or in_guild(guild, target, 0) & P.ADMINISTRATOR:
        raise missing_permissions()
    if value is None:
        return None
    try:
        until = parse_iso(value)
    except (TypeError, ValueError):
        form.add("communication_disabled_until", "DATE_TIME_TYPE_PARSE", f"Could not parse {value}.")
        return None
    if until - world.clock.datetime() > _LONGEST_TIMEOUT + timedelta(seconds=10):
        form.add(
            "communication_disabled_until",
            "COMMUNICATION_DISABLED_UNTIL_TOO_LONG",
            "Cannot be more than 28 days in the future.",
        )
    return until


def set_role(
    world: World, guild: Guild, actor: User, target: Member, role_id: int, *, has: bool, reason: str | None
) -> None:
    own = need_in_guild(world, guild, actor, P.MANAGE_ROLES)
    role = guild.roles.get(role_id)
    if role is None:
        raise unknown("role")
    need_role_rank(guild, own, role)
    if role.managed or role.id == guild.id:
        raise missing_permissions()
    if (role_id in target.roles) == has:
        return
    roles = [*target.roles, role_id] if has else [one for one in target.roles if one != role_id]
    _set_roles(world, guild, actor, target, roles, reason)
    updated(world, guild, target)


def _set_roles(world: World, guild: Guild, actor: User, target: Member, roles: list[int], reason: str | None) -> None:
    added = [guild.roles[one] for one in roles if one not in target.roles]
    removed = [guild.roles[one] for one in target.roles if one not in roles and one in guild.roles]
    target.roles = roles
    changes = [audit.change(key, None, _named(some)) for key, some in (("$add", added), ("$remove", removed)) if some]
    if changes:
        audit.record(world, guild, actor, audit.MEMBER_ROLES, target.user.id, reason=reason, changes=changes)


def _named(roles: list[Role]) -> list[dict[str, Any]]:
    return [{"id": str(role.id), "name": role.name} for role in roles]


def kick(world: World, guild: Guild, actor: User, target: Member, reason: str | None) -> None:
    own = need_in_guild(world, guild, actor, P.KICK_MEMBERS)
    need_rank(guild, own, target)
    remove(world, guild, target)
    audit.record(world, guild, actor, audit.KICK, target.user.id, reason=reason)


def ban(world: World, guild: Guild, actor: User, user: User, *, delete_seconds: int, reason: str | None) -> None:
    """Also of who is not a member. Messages of the last `delete_seconds` (up to 7 days) go."""
    own = need_in_guild(world, guild, actor, P.BAN_MEMBERS)
    target = guild.members.get(user.id)
    if target is not None:
        need_rank(guild, own, target)
    form = Form()
    form.number("delete_message_seconds", delete_seconds, least=0, most=604800)
    form.check()
    guild.bans[user.id] = (user, reason)
    if delete_seconds:
        _purge(world, guild, user, delete_seconds)
    if target is not None:
        remove(world, guild, target)
    world.tell("GUILD_BAN_ADD", {"guild_id": str(guild.id), "user": user.payload()}, guild=guild)
    audit.record(world, guild, actor, audit.BAN, user.id, reason=reason)


def _purge(world: World, guild: Guild, user: User, seconds: int) -> None:
    oldest = world.clock.now() - seconds
    for channel in [*guild.channels.values(), *guild.threads.values()]:
        for message in [one for one in channel.messages.values() if one.author is user]:
            if parse_iso(message.timestamp).timestamp() >= oldest:
                messages.remove(world, message)


def unban(world: World, guild: Guild, actor: User, user_id: int, reason: str | None) -> None:
    need_in_guild(world, guild, actor, P.BAN_MEMBERS)
    banned = guild.bans.pop(user_id, None)
    if banned is None:
        raise unknown("ban")
    world.tell("GUILD_BAN_REMOVE", {"guild_id": str(guild.id), "user": banned[0].payload()}, guild=guild)
    audit.record(world, guild, actor, audit.UNBAN, user_id, reason=reason)
