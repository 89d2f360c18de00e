"""Questions every rule asks: may this user do that here, to this one?

Source: docs, Permissions, "Permission Hierarchy"; Opcodes and Status Codes (50001, 50013).
"""

from __future__ import annotations

from antiphon.sim.discord.errors import missing_access, missing_permissions
from antiphon.sim.discord.permissions import P, in_guild, outranks
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.guilds import Guild, Member, Role
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World


def need(world: World, channel: Channel, actor: User, wanted: P) -> P:
    """The actor's permissions in the channel. Raises when it cannot see it, or lacks one of `wanted`."""
    bits = world.permissions(channel, actor)
    if not bits & P.VIEW_CHANNEL:
        raise missing_access()
    if wanted & ~bits:
        raise missing_permissions()
    return bits


def need_in_guild(world: World, guild: Guild, actor: User, wanted: P) -> Member:
    member = guild.members.get(actor.id)
    if member is None:
        raise missing_access()
    if wanted & ~in_guild(guild, member, world.clock.now()):
        raise missing_permissions()
    return member


def need_rank(guild: Guild, actor: Member, target: Member) -> None:
    if actor is not target and not outranks(guild, actor, target):
        raise missing_permissions()


def need_role_rank(guild: Guild, actor: Member, role: Role) -> None:
    """Only roles below one's own highest may be granted, changed or removed."""
    if actor.user.id != guild.owner_id and role.position >= guild.top_position(actor):
        raise missing_permissions()
