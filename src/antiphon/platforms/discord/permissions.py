"""Discord's permissions: their names, and who has which. Pure arithmetic over what the API says.

The rules are Discord's: https://discord.com/developers/docs/topics/permissions. Everything fails closed: what is not
understood grants nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

PERMISSIONS = {
    name: 1 << bit
    for name, bit in {
        "create_instant_invite": 0,
        "kick_members": 1,
        "ban_members": 2,
        "administrator": 3,
        "manage_channels": 4,
        "manage_guild": 5,
        "add_reactions": 6,
        "view_audit_log": 7,
        "priority_speaker": 8,
        "stream": 9,
        "view_channel": 10,
        "send_messages": 11,
        "manage_messages": 13,
        "embed_links": 14,
        "attach_files": 15,
        "read_message_history": 16,
        "mention_everyone": 17,
        "connect": 20,
        "speak": 21,
        "mute_members": 22,
        "deafen_members": 23,
        "move_members": 24,
        "use_vad": 25,
        "change_nickname": 26,
        "manage_nicknames": 27,
        "manage_roles": 28,
        "manage_webhooks": 29,
        "manage_guild_expressions": 30,
        "use_application_commands": 31,
        "manage_events": 33,
        "manage_threads": 34,
        "create_public_threads": 35,
        "create_private_threads": 36,
        "send_messages_in_threads": 38,
        "moderate_members": 40,
        "send_polls": 49,
    }.items()
}
"""Discord's names for what may be done, and their bits."""
SERVER_OWNER = "server_owner"
"""Our word for what no role can give."""
ALL = (1 << 63) - 1
_IN_TIMEOUT = PERMISSIONS["view_channel"] | PERMISSIONS["read_message_history"]


def of_member(guild: Json, member: Json, now: datetime) -> int:
    """What a member may do in a server, before the rules of single channels."""
    if _user_id(member) == str(guild.get("owner_id")):
        return ALL
    roles = {str(role["id"]): role for role in guild.get("roles") or ()}
    own = [str(guild["id"]), *(str(role) for role in member.get("roles") or ())]
    held = 0
    for role in own:
        if role in roles:
            held |= _bits(roles[role].get("permissions"))
    if held & PERMISSIONS["administrator"]:
        return ALL
    return held & _IN_TIMEOUT if _in_timeout(member, now) else held


def in_channel(guild: Json, member: Json, channel: Json, now: datetime) -> int:
    """What a member may do in a channel: everyone's rule there, then those of the roles together, then their own."""
    held = of_member(guild, member, now)
    if held == ALL:
        return held
    rules = {str(rule["id"]): rule for rule in channel.get("permission_overwrites") or ()}

    def applied(before: int, wanted: Sequence[str]) -> int:
        found = [rules[id] for id in wanted if id in rules]
        denied = allowed = 0
        for rule in found:
            denied |= _bits(rule.get("deny"))
            allowed |= _bits(rule.get("allow"))
        return before & ~denied | allowed

    held = applied(held, [str(guild["id"])])
    held = applied(held, [str(role) for role in member.get("roles") or ()])
    held = applied(held, [_user_id(member)])
    if not held & PERMISSIONS["view_channel"]:
        return 0
    return held & _IN_TIMEOUT if _in_timeout(member, now) else held


def outranks(guild: Json, actor: Json, target: Json) -> bool:
    """Whether one member stands above another, as moderation needs it. Nobody stands above the server's owner."""
    owner = str(guild.get("owner_id"))
    if _user_id(target) == owner or _user_id(actor) == _user_id(target):
        return False
    return _user_id(actor) == owner or _rank(guild, actor) > _rank(guild, target)


def above_role(guild: Json, actor: Json, role: str) -> bool:
    """Whether a member stands above a role, as giving or changing it needs."""
    if _user_id(actor) == str(guild.get("owner_id")):
        return True
    found = next((one for one in guild.get("roles") or () if str(one["id"]) == role), None)
    return found is not None and _rank(guild, actor) > int(found.get("position") or 0)


def _rank(guild: Json, member: Json) -> int:
    own = {str(role) for role in member.get("roles") or ()}
    positions = [int(role.get("position") or 0) for role in guild.get("roles") or () if str(role["id"]) in own]
    return max(positions, default=0)


def _in_timeout(member: Json, now: datetime) -> bool:
    until = member.get("communication_disabled_until")
    if not until:
        return False
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        return True
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) > now


def _user_id(member: Json) -> str:
    return str((member.get("user") or {}).get("id", ""))


def _bits(value: object) -> int:
    text = str(value if value is not None else 0)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 25 else 0
