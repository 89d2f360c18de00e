"""Guilds: settings, members, bans, roles, emojis, audit log, automatic moderation.

Source: docs, Guild; Audit Log, "Get Guild Audit Log"; Emoji; Auto Moderation.
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form, Refused, refused, unknown
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rest.call import Call, Route
from antiphon.sim.discord.rules import audit, members, roles
from antiphon.sim.discord.rules.need import need_in_guild
from antiphon.sim.discord.world.guilds import Member


def _get(call: Call) -> dict[str, Any]:
    guild = call.guild()
    payload = guild.payload()
    if call.query.get("with_counts", "").lower() in ("true", "1"):
        online = sum(member.user.presence is not None for member in guild.members.values())
        payload |= {"approximate_member_count": len(guild.members), "approximate_presence_count": online}
    return payload


def _edit(call: Call) -> dict[str, Any]:
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_GUILD)
    form = Form()
    name = form.text("name", call.body.get("name"), least=2, most=100)
    form.check()
    changes = [audit.change("name", guild.name, name)] if name else None
    guild.name = name or guild.name
    for key in ("verification_level", "default_message_notifications", "explicit_content_filter", "description"):
        if key in call.body:
            setattr(guild, key, call.body[key])
    for key in ("system_channel_id", "rules_channel_id", "afk_channel_id"):
        if key in call.body:
            setattr(guild, key, None if call.body[key] is None else int(call.body[key]))
    call.world.tell("GUILD_UPDATE", guild.payload(), guild=guild)
    audit.record(call.world, guild, call.actor, audit.GUILD_UPDATE, guild.id, reason=call.reason, changes=changes)
    return guild.payload()


# Members


def _member(call: Call) -> Member:
    return call.world.member(call.guild(), call.user_id())


def _get_member(call: Call) -> dict[str, Any]:
    return _member(call).payload()


def _list_members(call: Call) -> list[dict[str, Any]]:
    """Takes the privileged intent. Source: docs, Guild, "List Guild Members": up to 1000, by id."""
    guild = call.guild()
    if not call.bot.flags & (1 << 14 | 1 << 15):
        raise refused(403, 50001, "Missing Access")
    limit, after = call.number("limit", 1, least=1, most=1000), int(call.query.get("after", 0))
    ids = sorted(one for one in guild.members if one > after)[:limit]
    return [guild.members[one].payload() for one in ids]


def _search_members(call: Call) -> list[dict[str, Any]]:
    guild = call.guild()
    start, limit = call.query.get("query", "").lower(), call.number("limit", 1, least=1, most=1000)
    found = [
        member
        for member in guild.members.values()
        if member.user.name.lower().startswith(start) or (member.nick or "").lower().startswith(start)
    ]
    return [member.payload() for member in found[:limit]]


def _edit_member(call: Call) -> dict[str, Any]:
    guild = call.guild()
    target = call.world.member(guild, call.user_id())
    return members.edit(call.world, guild, call.actor, target, call.body, call.reason).payload()


def _kick(call: Call) -> None:
    guild = call.guild()
    members.kick(call.world, guild, call.actor, call.world.member(guild, call.user_id()), call.reason)


def _set_role(call: Call, *, has: bool) -> None:
    guild = call.guild()
    target = call.world.member(guild, call.user_id())
    members.set_role(call.world, guild, call.actor, target, call.id("role_id"), has=has, reason=call.reason)


# Bans


def _bans(call: Call) -> list[dict[str, Any]]:
    """Source: docs, Guild, "Get Guild Bans": up to 1000, by user id."""
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.BAN_MEMBERS)
    limit, after = call.number("limit", 1000, least=1, most=1000), int(call.query.get("after", 0))
    before = int(call.query.get("before", 1 << 63))
    ids = sorted(one for one in guild.bans if after < one < before)
    chosen = ids[-limit:] if "before" in call.query else ids[:limit]
    return [{"user": guild.bans[one][0].payload(), "reason": guild.bans[one][1]} for one in chosen]


def _get_ban(call: Call) -> dict[str, Any]:
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.BAN_MEMBERS)
    banned = guild.bans.get(call.user_id())
    if banned is None:
        raise unknown("ban")
    return {"user": banned[0].payload(), "reason": banned[1]}


def _ban(call: Call) -> None:
    # Libraries still send it in the query, as earlier versions of the API had it.
    body = {**call.query, **(call.json if isinstance(call.json, dict) else {})}
    seconds = body.get("delete_message_seconds")
    if seconds is None:
        seconds = int(body.get("delete_message_days") or 0) * 86400
    user = call.world.user(call.user_id())
    members.ban(call.world, call.guild(), call.actor, user, delete_seconds=int(seconds), reason=call.reason)


def _bulk_ban(call: Call) -> dict[str, Any]:
    """Source: docs, Guild, "Bulk Guild Ban": up to 200; 500000 when none could be banned."""
    guild, done, failed = call.guild(), [], []
    need_in_guild(call.world, guild, call.actor, P.BAN_MEMBERS | P.MANAGE_GUILD)
    seconds = int(call.body.get("delete_message_seconds") or 0)
    form = Form()
    ids = form.items("user_ids", call.body.get("user_ids"), most=200)
    form.check()
    for user_id in ids:
        try:
            user = call.world.user(int(user_id))
            members.ban(call.world, guild, call.actor, user, delete_seconds=seconds, reason=call.reason)
            done.append(str(user_id))
        except Refused:
            failed.append(str(user_id))
    if not done:
        raise refused(400, 500000, "Failed to ban users")
    return {"banned_users": done, "failed_users": failed}


def _unban(call: Call) -> None:
    members.unban(call.world, call.guild(), call.actor, call.user_id(), call.reason)


# Roles


def _roles(call: Call) -> list[dict[str, Any]]:
    return [role.payload() for role in call.guild().roles.values()]


def _get_role(call: Call) -> dict[str, Any]:
    return roles.find(call.guild(), call.id("role_id")).payload()


def _create_role(call: Call) -> dict[str, Any]:
    return roles.create(call.world, call.guild(), call.actor, call.json or {}, call.reason).payload()


def _edit_role(call: Call) -> dict[str, Any]:
    guild = call.guild()
    role = roles.find(guild, call.id("role_id"))
    return roles.change(call.world, guild, call.actor, role, call.body, call.reason).payload()


def _move_roles(call: Call) -> list[dict[str, Any]]:
    return [one.payload() for one in roles.move(call.world, call.guild(), call.actor, call.json, call.reason)]


def _delete_role(call: Call) -> None:
    guild = call.guild()
    roles.delete(call.world, guild, call.actor, roles.find(guild, call.id("role_id")), call.reason)


# Audit log


def _audit(call: Call) -> dict[str, Any]:
    """Source: docs, Audit Log, "Get Guild Audit Log": newest first, 1 to 100, by user, action, before, after."""
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.VIEW_AUDIT_LOG)
    limit = call.number("limit", 50, least=1, most=100)
    entries = guild.audit
    for name, key in (("user_id", "user_id"), ("action_type", "action_type"), ("target_id", "target_id")):
        if name in call.query:
            entries = [one for one in entries if str(one.get(key)) == call.query[name]]
    if "before" in call.query:
        entries = [one for one in entries if int(one["id"]) < int(call.query["before"])]
    if "after" in call.query:
        chosen = [one for one in entries if int(one["id"]) > int(call.query["after"])][:limit]
    else:
        chosen = list(reversed(entries[-limit:]))
    people = {one["user_id"] for one in chosen} | {one["target_id"] for one in chosen if one["target_id"]}
    return {
        "audit_log_entries": chosen,
        "users": [call.world.users[int(one)].payload() for one in people if int(one) in call.world.users],
        "application_commands": [],
        "auto_moderation_rules": [],
        "guild_scheduled_events": [],
        "integrations": [],
        "threads": [],
        "webhooks": [],
    }


# Automatic moderation


def _rules(call: Call) -> list[dict[str, Any]]:
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_GUILD)
    return list(guild.automod.values())


def _create_rule(call: Call) -> dict[str, Any]:
    """Source: docs, Auto Moderation, "Trigger Types" (6 keyword rules, one of the others), "Trigger Metadata"."""
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_GUILD)
    form, body = Form(), call.body
    form.text("name", body.get("name"), least=1, most=100, none=False)
    kind = form.choice("trigger_type", body.get("trigger_type"), {1, 3, 4, 5, 6})
    words = form.items(
        "trigger_metadata.keyword_filter", (body.get("trigger_metadata") or {}).get("keyword_filter"), most=1000
    )
    for index, word in enumerate(words):
        form.text(f"trigger_metadata.keyword_filter.{index}", word, least=1, most=60)
    form.check()
    if sum(one["trigger_type"] == kind for one in guild.automod.values()) >= (6 if kind == 1 else 1):
        form.add(
            "", "AUTO_MODERATION_MAX_RULES_OF_TYPE_EXCEEDED", "The maximum number of rules of this type is reached"
        )
        form.check()
    number = call.world.ids.new()
    keys = ("name", "event_type", "trigger_type", "trigger_metadata", "actions")
    rule = {
        "id": str(number),
        "guild_id": str(guild.id),
        "creator_id": str(call.actor.id),
        "trigger_metadata": {},
        "actions": [],
        **{key: body[key] for key in keys if key in body},
        "enabled": bool(body.get("enabled", False)),
        "exempt_roles": body.get("exempt_roles", []),
        "exempt_channels": body.get("exempt_channels", []),
    }
    guild.automod[number] = rule
    call.world.tell("AUTO_MODERATION_RULE_CREATE", rule, guild=guild)
    audit.record(call.world, guild, call.actor, audit.AUTOMOD_CREATE, number, reason=call.reason)
    return rule


def _rule(call: Call) -> dict[str, Any]:
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_GUILD)
    rule = guild.automod.get(call.id("rule_id"))
    if rule is None:
        raise refused(404, 0, "404: Not Found")
    return rule


def _edit_rule(call: Call) -> dict[str, Any]:
    rule = _rule(call)
    keys = ("name", "event_type", "trigger_metadata", "actions", "enabled", "exempt_roles", "exempt_channels")
    rule.update({key: call.body[key] for key in keys if key in call.body})
    call.world.tell("AUTO_MODERATION_RULE_UPDATE", rule, guild=call.guild())
    return rule


def _delete_rule(call: Call) -> None:
    rule, guild = _rule(call), call.guild()
    del guild.automod[int(rule["id"])]
    call.world.tell("AUTO_MODERATION_RULE_DELETE", rule, guild=guild)


# Voice states and what else clients ask for


def _voice_state(call: Call) -> dict[str, Any]:
    state = call.guild().voice_states.get(call.user_id())
    if state is None:
        raise unknown("voice state")
    return state.payload()


def _emojis(call: Call) -> list[dict[str, Any]]:
    return list(call.guild().emojis.values())


def _empty(call: Call) -> list[Any]:
    call.guild()
    return []


_ONE = "/guilds/{guild_id}"

ROUTES = [
    Route("GET", _ONE, _get),
    Route("PATCH", _ONE, _edit),
    Route("GET", _ONE + "/members", _list_members),
    Route("GET", _ONE + "/members/search", _search_members),
    Route("GET", _ONE + "/members/{user_id}", _get_member),
    Route("PATCH", _ONE + "/members/{user_id}", _edit_member),
    Route("DELETE", _ONE + "/members/{user_id}", _kick),
    Route("PUT", _ONE + "/members/{user_id}/roles/{role_id}", lambda call: _set_role(call, has=True)),
    Route("DELETE", _ONE + "/members/{user_id}/roles/{role_id}", lambda call: _set_role(call, has=False)),
    Route("GET", _ONE + "/bans", _bans),
    Route("GET", _ONE + "/bans/{user_id}", _get_ban),
    Route("PUT", _ONE + "/bans/{user_id}", _ban),
    Route("DELETE", _ONE + "/bans/{user_id}", _unban),
    Route("POST", _ONE + "/bulk-ban", _bulk_ban),
    Route("GET", _ONE + "/roles", _roles),
    Route("POST", _ONE + "/roles", _create_role),
    Route("PATCH", _ONE + "/roles", _move_roles),
    Route("GET", _ONE + "/roles/{role_id}", _get_role),
    Route("PATCH", _ONE + "/roles/{role_id}", _edit_role),
    Route("DELETE", _ONE + "/roles/{role_id}", _delete_role),
    Route("GET", _ONE + "/audit-logs", _audit),
    Route("GET", _ONE + "/auto-moderation/rules", _rules),
    Route("POST", _ONE + "/auto-moderation/rules", _create_rule),
    Route("GET", _ONE + "/auto-moderation/rules/{rule_id}", _rule),
    Route("PATCH", _ONE + "/auto-moderation/rules/{rule_id}", _edit_rule),
    Route("DELETE", _ONE + "/auto-moderation/rules/{rule_id}", _delete_rule),
    Route("GET", _ONE + "/voice-states/{user_id}", _voice_state),
    Route("GET", _ONE + "/emojis", _emojis),
    Route("GET", _ONE + "/stickers", _empty),
    Route("GET", _ONE + "/invites", _empty),
    Route("GET", _ONE + "/scheduled-events", _empty),
]
