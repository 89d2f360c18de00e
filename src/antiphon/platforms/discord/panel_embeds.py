"""Draws a neutral panel as a Discord message: one embed and its buttons, as the JSON that Discord takes.

Pure, so that two drawings can be compared: what is equal is not sent. Every length is kept inside Discord's limits
(https://discord.com/developers/docs/resources/message#embed-object-embed-limits), rows being cut between lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from antiphon.dashboards.panel import DASH, PANELS, Cell, Chart, Panel, Row, Tone, shown

TITLE, DESCRIPTION, FIELD_NAME, FIELD_VALUE, FOOTER, TOTAL = 256, 4096, 256, 1024, 2048, 6000
LABEL = 80
"""Characters on a button."""
MARKER = "Antiphon panel: "
"""How the footer of each panel begins; by it a panel is found again after a restart."""
BUTTON = "antiphon:panel"
"""How the custom id of each button begins: `antiphon:panel:<panel>:<filter|page|search>:<value>`."""

_COLOURS = {
    Tone.PLAIN: 0x3D4BC9,
    Tone.GOOD: 0x2F7D4F,
    Tone.BUSY: 0x7A57C9,
    Tone.WARNING: 0xC27803,
    Tone.ERROR: 0xC0343A,
    Tone.OFF: 0x6F7480,
}
_SQUARES = {"error": "🟥", "critical": "🟥", "warn": "🟨", "info": "🟩", "debug": "⬛"}
_BARS = "▁▂▃▄▅▆▇█"
_MARKDOWN = re.compile(r"([\\*_~`|>\[\]()#<@:-])")
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A message as it is sent: `embed` and `components` in Discord's own JSON."""

    embed: dict[str, Any]
    components: tuple[dict[str, Any], ...] = ()


def draw(panel: Panel, *, offline_since: datetime | None = None) -> Drawn:
    """The message for a panel. `offline_since` marks it as no longer kept up: grey, and without buttons."""
    title = f"{panel.title} · {panel.status}" if panel.status else panel.title
    tone = panel.tone
    lines = [_note(panel)]
    if offline_since is not None:
        title, tone = f"{panel.title} · offline", Tone.OFF
        lines = [f"Offline since {_stamp(offline_since, 'R')}. What stands here is from before."]
    lines += [_fact(cell) for cell in panel.facts]
    if panel.chart is not None:
        lines.append(_chart(panel.chart))
    footer = _footer(panel)
    fields = [_field(cell) for cell in panel.stats]
    # Labels of people may be as long as they like: what is fixed is counted first, the rows get what is left of it.
    fixed = len(title) + len(footer) + sum(len(field["name"]) + len(field["value"]) for field in fields)
    room = min(DESCRIPTION, TOTAL - min(fixed, TOTAL - DESCRIPTION))
    rows = [_row(row) for row in panel.rows] or ([escaped(panel.empty)] if panel.empty else [])
    embed: dict[str, Any] = {
        "title": cut(title, TITLE),
        "description": fitted([line for line in lines if line], rows, room),
        "color": _COLOURS[tone],
        "footer": {"text": cut(footer, FOOTER)},
    }
    if fields:
        embed["fields"] = fields
    return Drawn(embed, () if offline_since is not None else _components(panel))


def panel_of(footer: str) -> str | None:
    """The name of the panel whose message has this footer; None for any other message."""
    name = footer.removeprefix(MARKER).partition(" ")[0] if footer.startswith(MARKER) else ""
    return name if name in PANELS else None


def escaped(text: str) -> str:
    """A label in which Discord finds no markup and no mention."""
    return _MARKDOWN.sub(r"\\\1", text.replace("\n", " ")).replace("@", "@\u200b")


def cut(text: str, most: int) -> str:
    """At most so many characters, in Discord's counting (UTF-16 units), without half a character at the end."""
    if _length(text) <= most:
        return text
    while _length(text) > most - 1:
        text = text[: len(text) - max(1, (_length(text) - most + 1) // 2)]
    return text.rstrip("\\") + _CUT


def fitted(lines: list[str], rows: list[str], most: int) -> str:
    """Lines and then as many rows as fit; the last line says how many did not."""
    text = cut("\n".join(lines), most - 40)
    for number, row in enumerate(rows):
        left = len(rows) - number
        ending = f"\n{_CUT} {left} more" if left > 1 else ""
        candidate = f"{text}\n{row}" if text else row
        if _length(candidate) + _length(ending) > most:
            if number == 0:
                return cut(candidate, most)
            return f"{text}\n{_CUT} {left} more"
        text = candidate
    return text


def _length(text: str) -> int:
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def _note(panel: Panel) -> str:
    note = escaped(panel.note)
    if panel.since is not None and panel.name == "voice":
        note = f"{note} · since {_stamp(panel.since, 'R')}" if note else f"since {_stamp(panel.since, 'R')}"
    return note


def _fact(cell: Cell) -> str:
    value = shown(cell.value)
    if cell.since is not None:
        value = f"{value}, since {_stamp(cell.since, 'R')}"
    return f"**{escaped(cell.label)}** {value if value.startswith(DASH) else _plain(value)}"


def _plain(value: str) -> str:
    """A value that may end in a stamp of ours, which must stay as it is."""
    text, stamp, rest = value.partition(", since <t:")
    return escaped(text) + stamp + rest


def _field(cell: Cell) -> dict[str, Any]:
    value = escaped(shown(cell.value)) + (f" {escaped(cell.unit)}" if cell.value and cell.unit else "")
    return {"name": cut(escaped(cell.label), FIELD_NAME), "value": cut(value, FIELD_VALUE), "inline": True}


def _row(row: Row) -> str:
    """One line: a square with a word for log lines, a speaker for people, the time in the reader's own zone."""
    text, detail = escaped(row.text), escaped(row.detail)
    if row.kind in _SQUARES:
        at = f" {_stamp(row.at, 'T')}" if row.at else ""
        return f"{_SQUARES[row.kind]}{at} **{row.kind}** {detail} {text}"
    if row.kind in ("person", "agent"):
        mark = "🔊" if row.badge else "🔈"
        badge = f" {escaped(row.badge)}" if row.badge else ""
        since = f" · {_stamp(row.since, 'R')}" if row.since else ""
        return f"{mark} **{text}**{badge} · {detail}{since}"
    at = f"{_stamp(row.at, 't')} " if row.at else ""
    return f"{at}{text}{f' ({detail})' if detail else ''}"


def _chart(chart: Chart) -> str:
    most = max(1, *(max(values) for _, values in chart.series))
    width = max(len(label) for label, _ in chart.series)
    bars = [f"{label:<{width}} {''.join(_bar(value, most) for value in values)}" for label, values in chart.series]
    return "```\n" + "\n".join(bars) + f"\n```\n{escaped(chart.summary)}"


def _bar(value: int, most: int) -> str:
    return _BARS[-(-value * (len(_BARS) - 1) // most)] if value else _BARS[0]


def _footer(panel: Panel) -> str:
    parts = [f"{MARKER}{panel.name}"]
    if panel.pages > 1:
        parts.append(f"page {panel.view.page} of {panel.pages}")
    if panel.view.q:
        parts.append(f"with “{cut(panel.view.q, 60)}”")
    return " · ".join(parts)


def _components(panel: Panel) -> tuple[dict[str, Any], ...]:
    """A row of filters, and a row for pages and search, where there is something to choose."""
    rows: list[dict[str, Any]] = []
    if panel.filters:
        buttons = [
            _button(panel, "filter", name, label, style=1 if name == panel.view.filter else 2)
            for name, label in panel.filters[:5]
        ]
        rows.append({"type": 1, "components": buttons})
    turning: list[dict[str, Any]] = []
    if panel.pages > 1:
        page = panel.view.page
        turning.append(_button(panel, "page", str(page - 1), "◀ Newer", disabled=page <= 1))
        turning.append(_button(panel, "page", str(page + 1), "Older ▶", disabled=page >= panel.pages))
    if panel.name in ("logs", "events"):
        turning.append(_button(panel, "search", "", "Search again" if panel.view.q else "Search"))
        if panel.view.q:
            turning.append(_button(panel, "search", "end", "Show all"))
    if turning:
        rows.append({"type": 1, "components": turning})
    return tuple(rows)


def _button(
    panel: Panel, action: str, value: str, label: str, *, style: int = 2, disabled: bool = False
) -> dict[str, Any]:
    return {
        "type": 2,
        "style": style,
        "label": cut(label, LABEL),
        "custom_id": f"{BUTTON}:{panel.name}:{action}:{value}",
        "disabled": disabled,
    }


def _stamp(at: datetime, style: str) -> str:
    """A moment that the reader's own client writes, and keeps up to date where it is relative."""
    return f"<t:{int(at.timestamp())}:{style}>"
