"""Roles of a guild.

Source: docs, Guild ("Create Guild Role", "Modify Guild Role", "Modify Guild Role Positions", "Delete Guild Role");
Permissions, "Permission Hierarchy": only roles below one's own, only permissions one holds; 250 roles (30005).
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form, missing_permissions, refused, unknown
from antiphon.sim.discord.permissions import P, in_guild
from antiphon.sim.discord.rules import audit
from antiphon.sim.discord.rules.need import need_in_guild, need_role_rank
from antiphon.sim.discord.world.guilds import Guild, Role
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World


def find(guild: Guild, role_id: int) -> Role:
    role = guild.roles.get(role_id)
    if role is None:
        raise unknown("role")
    return role


def create(world: World, guild: Guild, actor: User, body: dict[str, Any], reason: str | None) -> Role:
    """A new role stands just above @everyone."""
    need_in_guild(world, guild, actor, P.MANAGE_ROLES)
    if len(guild.roles) >= 250:
        raise refused(400, 30005, "Maximum number of guild roles reached (250)")
    for other in guild.roles.values():
        if other.position >= 1:
            other.position += 1
    role = Role(world.ids.new(), "new role", int(guild.roles[guild.id].permissions), 1)
    _apply(world, guild, actor, role, body)
    guild.roles[role.id] = role
    _tell(world, guild, "GUILD_ROLE_CREATE", role)
    changes = [audit.change("name", None, role.name), audit.change("permissions", None, str(role.permissions))]
    audit.record(world, guild, actor, audit.ROLE_CREATE, role.id, reason=reason, changes=changes)
    return role


def change(world: World, guild: Guild, actor: User, role: Role, body: dict[str, Any], reason: str | None) -> Role:
    own = need_in_guild(world, guild, actor, P.MANAGE_ROLES)
    need_role_rank(guild, own, role)
    _apply(world, guild, actor, role, body)
    _tell(world, guild, "GUILD_ROLE_UPDATE", role)
    audit.record(world, guild, actor, audit.ROLE_UPDATE, role.id, reason=reason)
    return role


def _apply(world: World, guild: Guild, actor: User, role: Role, body: dict[str, Any]) -> None:
    form = Form()
    name = form.text("name", body.get("name"), least=1, most=100)
    colours = body.get("colors") or {}
    colour = form.number("color", body.get("color", colours.get("primary_color")), least=0, most=0xFFFFFF)
    form.check()
    if body.get("permissions") is not None:
        wanted = int(body["permissions"])
        held = in_guild(guild, guild.members[actor.id], world.clock.now())
        if actor.id != guild.owner_id and (wanted ^ role.permissions) & wanted & ~int(held):
            raise missing_permissions()
        role.permissions = wanted
    role.name = name or role.name
    role.color = role.color if colour is None else colour
    role.hoist = bool(body.get("hoist", role.hoist))
    role.mentionable = bool(body.get("mentionable", role.mentionable))


def move(world: World, guild: Guild, actor: User, positions: list[dict[str, Any]], reason: str | None) -> list[Role]:
    own = need_in_guild(world, guild, actor, P.MANAGE_ROLES)
    moved = [(find(guild, int(one["id"])), int(one["position"])) for one in positions]
    for role, position in moved:
        need_role_rank(guild, own, role)
        if actor.id != guild.owner_id and position >= guild.top_position(own):
            raise missing_permissions()
    for role, position in moved:
        role.position = position
        _tell(world, guild, "GUILD_ROLE_UPDATE", role)
        audit.record(world, guild, actor, audit.ROLE_UPDATE, role.id, reason=reason)
    return list(guild.roles.values())


def delete(world: World, guild: Guild, actor: User, role: Role, reason: str | None) -> None:
    own = need_in_guild(world, guild, actor, P.MANAGE_ROLES)
    need_role_rank(guild, own, role)
    if role.managed or role.id == guild.id:
        raise refused(400, 50028, "Invalid role")
    del guild.roles[role.id]
    for member in guild.members.values():
        if role.id in member.roles:
            member.roles.remove(role.id)
    for channel in guild.channels.values():
        channel.overwrites.pop(role.id, None)
    world.tell("GUILD_ROLE_DELETE", {"guild_id": str(guild.id), "role_id": str(role.id)}, guild=guild)
    changes = [audit.change("name", role.name, None)]
    audit.record(world, guild, actor, audit.ROLE_DELETE, role.id, reason=reason, changes=changes)


def _tell(world: World, guild: Guild, event: str, role: Role) -> None:
    world.tell(event, {"guild_id": str(guild.id), "role": role.payload()}, guild=guild)
