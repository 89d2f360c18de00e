"""Trying a Telegram bot's token: who it is, and whether it can read along in groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from antiphon.domain.health import PartState, Trial
from antiphon.run.probes.outside import ask, name_of

_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{10,100}")


async def try_telegram(token: str, api_url: str) -> Trial:
    """Look at a token with getMe. Reads only."""
    if not _TOKEN.fullmatch(token):  # it becomes part of the address
        return Trial(PartState.DEGRADED, "This is not a token.", "copy it whole from @BotFather: digits, a colon, text")
    me = await ask("GET", f"{api_url}/bot{token}/getMe")
    if me.status in (401, 404):
        return Trial(PartState.DEGRADED, "Telegram refuses this token.", "ask @BotFather for a new one: /token")
    found = me.document.get("result")
    if me.status != 200 or not isinstance(found, dict):
        detail = me.why or f"Telegram answered HTTP {me.status}."
        return Trial(PartState.DEGRADED, detail, "check the network, or try again in a moment")
    bot = cast("Mapping[str, object]", found)
    name = name_of(bot.get("username"))
    reads, joins = bot.get("can_read_all_group_messages") is True, bot.get("can_join_groups") is True
    return Trial(
        PartState.OK,
        f"The token is @{name}'s.",
        "" if reads else "to let it read along in groups: @BotFather, /setprivacy, Disable",
        (
            ("Bot", f"@{name}"),
            ("Groups", "may be added" if joins else "may not be added (@BotFather, /setjoingroups)"),
            ("Reads in groups", "everything" if reads else "commands and replies only"),
        ),
        link=f"https://t.me/{name}" if name else "",
    )
