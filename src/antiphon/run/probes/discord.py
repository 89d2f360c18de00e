"""Trying a Discord bot's token: who it is, what it may read, what it may do where it is, and how to invite it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from antiphon.domain.health import PartState, Trial
from antiphon.run.probes.outside import ask, name_of

INTENTS = {
    "Server Members": (1 << 14, 1 << 15),
    "Message Content": (1 << 18, 1 << 19),
    "Presence": (1 << 12, 1 << 13),
}
"""Privileged intents: the application flag of a verified bot, and that of one in fewer than 100 servers."""
NEEDED_INTENTS = ("Server Members", "Message Content")

PERMISSIONS = {
    "Kick Members": 1 << 1,
    "Ban Members": 1 << 2,
    "Manage Channels": 1 << 4,
    "Manage Server": 1 << 5,
    "Add Reactions": 1 << 6,
    "View Audit Log": 1 << 7,
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Manage Messages": 1 << 13,
    "Embed Links": 1 << 14,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Connect": 1 << 20,
    "Speak": 1 << 21,
    "Mute Members": 1 << 22,
    "Deafen Members": 1 << 23,
    "Move Members": 1 << 24,
    "Use Voice Activity": 1 << 25,
    "Manage Roles": 1 << 28,
    "Manage Events": 1 << 33,
    "Manage Threads": 1 << 34,
    "Create Public Threads": 1 << 35,
    "Send Messages in Threads": 1 << 38,
    "Moderate Members": 1 << 40,
    "Send Polls": 1 << 49,
}
"""What the agent uses: talking, voice, moderation, events and polls. No Administrator."""
PERMISSION_INTEGER = sum(PERMISSIONS.values())
_ADMINISTRATOR = 1 << 3
_SHOWN = 5


async def try_discord(token: str, api_url: str) -> Trial:
    """Look at a token. Reads only; nothing is posted and no connection stays open."""
    headers = {"Authorization": f"Bot {token}", "User-Agent": "DiscordBot (https://example.org/antiphon, 1)"}
    me = await ask("GET", f"{api_url}/users/@me", headers=headers)
    if me.status == 401:
        return Trial(PartState.DEGRADED, "Discord refuses this token.", "reset it in the developer portal, page Bot")
    if me.status != 200 or "id" not in me.document:
        return _no_answer(me.status, me.why)
    app = await ask("GET", f"{api_url}/applications/@me", headers=headers)
    guilds = await ask("GET", f"{api_url}/users/@me/guilds", headers=headers)
    bot = name_of(me.document.get("username"))
    client = name_of(app.document.get("id") or me.document["id"])
    missing = _missing_intents(app.document) if app.status == 200 else []
    servers = [one for one in cast("list[object]", guilds.document.get("items", [])) if isinstance(one, dict)]
    facts = [("Bot", bot), ("Application", client), ("Servers", str(len(servers)))]
    facts.append(("Intents", f"missing: {', '.join(missing)}" if missing else "all that are needed"))
    facts += [_server(cast("Mapping[str, object]", one)) for one in servers[:_SHOWN]]
    facts.append(("Permissions asked for", str(PERMISSION_INTEGER)))
    remedy = ""
    if missing:
        remedy = f"switch {' and '.join(missing)} on: developer portal, page Bot, Privileged Gateway Intents"
    elif not servers:
        remedy = "invite the bot with the link"
    return Trial(
        PartState.DEGRADED if missing else PartState.OK,
        f"The token is {bot}'s." + (" Without these intents it cannot read along." if missing else ""),
        remedy,
        tuple(facts),
        link=invite(client),
    )


def invite(client: str) -> str:
    """The address under which an administrator of a server lets the bot in."""
    return (
        "https://discord.com/oauth2/authorize"
        f"?client_id={client}&scope=bot+applications.commands&permissions={PERMISSION_INTEGER}"
    )


def _missing_intents(application: Mapping[str, object]) -> list[str]:
    flags = application.get("flags", 0)
    held = flags if isinstance(flags, int) else 0
    return [name for name in NEEDED_INTENTS if not held & (INTENTS[name][0] | INTENTS[name][1])]


def _server(guild: Mapping[str, object]) -> tuple[str, str]:
    text = str(guild.get("permissions", "0"))
    held = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    lacking = [] if held & _ADMINISTRATOR else [name for name, bit in PERMISSIONS.items() if not held & bit]
    words = "may do everything it needs" if not lacking else f"lacks {', '.join(lacking)}"
    return name_of(guild.get("name")) or "a server", words


def _no_answer(status: int, why: str) -> Trial:
    if status == 429:
        return Trial(PartState.DEGRADED, "Discord asks us to wait.", "try again in a minute")
    return Trial(
        PartState.DEGRADED, why or f"Discord answered HTTP {status}.", "check the network, or try again in a moment"
    )
