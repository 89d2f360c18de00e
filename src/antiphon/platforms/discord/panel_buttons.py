"""The buttons below the panels on Discord: filter, page, search. Called by `calling` for their custom ids.

What a panel shows changes for everybody who sees it, so only those who may manage the server choose; that is looked up
in the interaction, where Discord itself says what the member may do.
"""

from __future__ import annotations

from typing import Any

from antiphon.dashboards.panel import PANELS
from antiphon.platforms.discord.panel_embeds import BUTTON, Drawn
from antiphon.platforms.discord.panels import DiscordPanels
from antiphon.platforms.discord.permissions import PERMISSIONS
from antiphon.platforms.discord.reading import Json

_SAY, _UPDATE, _FORM = 4, 7, 9
_PRIVATE = 1 << 6
_MAY = PERMISSIONS["manage_guild"] | PERMISSIONS["administrator"]
_SEARCHED = "words"
_SEARCH_CHARS = 100


class PanelButtons:
    """Answers presses and the search form."""

    def __init__(self, panels: DiscordPanels) -> None:
        self._panels = panels

    async def __call__(self, interaction: Json) -> Json:
        """How to answer."""
        member: dict[str, Any] = interaction.get("member") or {}
        permissions = str(member.get("permissions") or "0")
        if not (permissions.isdigit() and int(permissions) & _MAY):
            return _told("Only those who may manage the server choose what a panel shows.")
        data: dict[str, Any] = interaction.get("data") or {}
        name, action, value = _parts(str(data.get("custom_id") or ""))
        if action == "search" and value == "":
            if interaction.get("type") != 5:
                return _form(name)
            value = _typed(data)
        elif action == "search":
            value = ""
        message = str((interaction.get("message") or {}).get("id") or "")
        drawn = self._panels.press(str(interaction.get("guild_id") or ""), message, action, value)
        return _told("This panel is not kept up any more.") if drawn is None else _updated(drawn)


def _parts(custom_id: str) -> tuple[str, str, str]:
    """The panel, the action and the value of a custom id of ours."""
    name, _, rest = custom_id.removeprefix(f"{BUTTON}:").partition(":")
    action, _, value = rest.partition(":")
    return name, action, value


def _typed(data: Json) -> str:
    for row in data.get("components") or ():
        for one in row.get("components") or ([row["component"]] if "component" in row else ()):
            if one.get("custom_id") == _SEARCHED:
                return str(one.get("value") or "").strip()[:_SEARCH_CHARS]
    return ""


def _form(name: str) -> Json:
    field = {
        "type": 4,
        "custom_id": _SEARCHED,
        "label": "Words to look for",
        "style": 1,
        "required": False,
        "max_length": _SEARCH_CHARS,
    }
    title = f"Search in {name}" if name in PANELS else "Search"
    components = [{"type": 1, "components": [field]}]
    return {
        "type": _FORM,
        "data": {"custom_id": f"{BUTTON}:{name}:search:", "title": title, "components": components},
    }


def _updated(drawn: Drawn) -> Json:
    return {"type": _UPDATE, "data": {"embeds": [drawn.embed], "components": list(drawn.components)}}


def _told(text: str) -> Json:
    return {"type": _SAY, "data": {"content": text, "flags": _PRIVATE}}
