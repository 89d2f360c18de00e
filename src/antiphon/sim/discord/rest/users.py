"""Users, the bot itself, its application, and where the gateway is.

Source: docs, User; Application, "Get Current Application"; OAuth2, "Get Current Bot Application Information"; Gateway,
"Get Gateway Bot".
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form
from antiphon.sim.discord.rest.call import Call, Route
from antiphon.sim.discord.rules.members import remove

GATEWAY = "wss://gateway.discord.gg"


def _me(call: Call) -> dict[str, Any]:
    return call.actor.own_payload()


def _edit_me(call: Call) -> dict[str, Any]:
    form = Form()
    name = form.text("username", call.body.get("username"), least=2, most=32)
    form.check()
    if name:
        call.actor.name = name
    return call.actor.own_payload()


def _user(call: Call) -> dict[str, Any]:
    return call.world.user(call.user_id()).payload()


def _guilds(call: Call) -> list[dict[str, Any]]:
    """Source: docs, User, "Get Current User Guilds": up to 200, by id."""
    limit = call.number("limit", 200, least=1, most=200)
    after, before = int(call.query.get("after", 0)), int(call.query.get("before", 1 << 63))
    own = [one for one in call.world.guilds.values() if call.actor.id in one.members and after < one.id < before]
    return [
        {
            "id": str(guild.id),
            "name": guild.name,
            "icon": guild.icon,
            "banner": None,
            "owner": guild.owner_id == call.actor.id,
            "permissions": str(int(guild.roles[guild.id].permissions)),
            "features": guild.features,
            "approximate_member_count": len(guild.members),
            "approximate_presence_count": 1,
        }
        for guild in sorted(own, key=lambda one: one.id)[:limit]
    ]


def _leave_guild(call: Call) -> None:
    guild = call.guild()
    remove(call.world, guild, guild.members[call.actor.id])


def _direct(call: Call) -> dict[str, Any]:
    form = Form()
    recipient = form.snowflake("recipient_id", call.body.get("recipient_id"))
    if recipient is None:
        form.required("recipient_id")
    form.check()
    channel = call.world.direct(call.actor, call.world.user(recipient or 0))
    return channel.payload(viewer=call.actor.id)


def _application(call: Call) -> dict[str, Any]:
    payload = call.bot.payload()
    payload["approximate_guild_count"] = sum(call.actor.id in one.members for one in call.world.guilds.values())
    return payload


def _edit_application(call: Call) -> dict[str, Any]:
    form = Form()
    description = form.text("description", call.body.get("description"), most=400)
    form.check()
    if description is not None:
        call.bot.description = description
    if "flags" in call.body:
        call.bot.flags = int(call.body["flags"])
    return _application(call)


def _gateway(call: Call) -> dict[str, Any]:
    del call
    return {"url": GATEWAY}


def _gateway_bot(call: Call) -> dict[str, Any]:
    limits, now = call.world.limits, call.world.clock.now()
    starts = [at for at in call.bot.starts if now - at < 86400]
    count = sum(call.actor.id in guild.members for guild in call.world.guilds.values())
    return {
        "url": GATEWAY,
        # Discord recommends about 1000 guilds to a shard.
        "shards": max(1, -(-count // min(1000, limits.shard_guilds))),
        "session_start_limit": {
            "total": limits.session_starts,
            "remaining": max(0, limits.session_starts - len(starts)),
            "reset_after": int((86400 - (now - starts[0])) * 1000) if starts else 0,
            "max_concurrency": limits.max_concurrency,
        },
    }


def _none(call: Call) -> list[Any]:
    del call
    return []


ROUTES = [
    Route("GET", "/users/@me", _me),
    Route("PATCH", "/users/@me", _edit_me),
    Route("GET", "/users/@me/guilds", _guilds),
    Route("DELETE", "/users/@me/guilds/{guild_id}", _leave_guild),
    Route("POST", "/users/@me/channels", _direct),
    Route("GET", "/users/{user_id}", _user),
    Route("GET", "/applications/@me", _application),
    Route("PATCH", "/applications/@me", _edit_application),
    Route("GET", "/oauth2/applications/@me", _application),
    Route("GET", "/applications/{application_id}/emojis", lambda call: {"items": []}),
    Route("GET", "/gateway", _gateway, public=True),
    Route("GET", "/gateway/bot", _gateway_bot),
    Route("GET", "/soundboard-default-sounds", _none),
    Route("GET", "/sticker-packs", lambda call: {"sticker_packs": []}),
]
