"""The neutral panel: what every renderer is handed. Nothing in it knows HTML or embeds.

A value that nobody has measured yet is None; `shown` writes it as a dash. Times are moments, never "4 s ago": a panel
whose content has not changed is equal to the one before, and whoever draws it lets the reader's clock do the counting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

DASH = "–"  # noqa: RUF001 - a dash is what is meant
PANELS = ("server", "logs", "events", "messages", "voice")
"""Every panel by name, in the order in which they are posted."""


class Tone(StrEnum):
    """How serious something is. A renderer has one colour for each, and never speaks by colour alone."""

    PLAIN = "plain"
    GOOD = "good"
    BUSY = "busy"
    WARNING = "warning"
    ERROR = "error"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure with its label. `share` (0 to 1) draws a bar, `since` lets the reader's clock count from a moment."""

    label: str
    value: str | None = None
    unit: str = ""
    share: float | None = None
    since: datetime | None = None
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a panel.

    `kind` chooses the icon or the word in front, `who` is a person's label, `level` (0 to 10) a meter, and `since` lets
    the reader's clock count.
    """

    text: str
    at: datetime | None = None
    kind: str = ""
    tone: Tone = Tone.PLAIN
    who: str = ""
    detail: str = ""
    badge: str = ""
    level: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Counts by hour, the oldest first, of several series with the same length."""

    series: tuple[tuple[str, tuple[int, ...]], ...]
    ends: datetime
    summary: str


@dataclass(frozen=True, slots=True)
class View:
    """What one reader chose to see. `page` counts from 1; a page beyond the last is the last."""

    filter: str = ""
    page: int = 1
    q: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel as one reader sees it. `filters` are (name, label); rows are the newest first."""

    name: str
    title: str
    tone: Tone = Tone.PLAIN
    status: str = ""
    note: str = ""
    since: datetime | None = None
    stats: tuple[Cell, ...] = ()
    facts: tuple[Cell, ...] = ()
    rows: tuple[Row, ...] = ()
    chart: Chart | None = None
    empty: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    view: View = field(default_factory=View)
    pages: int = 1
    total: int = 0


def shown(value: str | None) -> str:
    """A value as it is written: a dash for what was not measured."""
    return DASH if value is None or value == "" else value


def page_of(rows: list[Row], view: View, size: int) -> tuple[tuple[Row, ...], View, int]:
    """The rows of the wanted page, the view as it could be granted, and the number of pages."""
    pages = max(1, -(-len(rows) // size))
    page = min(max(1, view.page), pages)
    return tuple(rows[(page - 1) * size : page * size]), View(view.filter, page, view.q), pages


def span(seconds: float) -> str:
    """A length of time: 0:02, 12:44, 1:02:03."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def moment(value: object) -> datetime | None:
    """A stored or published ISO time; None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def document(panel: Panel) -> dict[str, Any]:
    """A panel as JSON, for the API and for other services."""
    return {
        "name": panel.name,
        "title": panel.title,
        "tone": panel.tone.value,
        "status": panel.status,
        "note": panel.note,
        "since": _instant(panel.since),
        "stats": [_cell(cell) for cell in panel.stats],
        "facts": [_cell(cell) for cell in panel.facts],
        "rows": [_row(row) for row in panel.rows],
        "chart": _chart(panel.chart),
        "empty": panel.empty,
        "filters": [{"name": name, "label": label} for name, label in panel.filters],
        "filter": panel.view.filter,
        "q": panel.view.q,
        "page": panel.view.page,
        "pages": panel.pages,
        "total": panel.total,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "label": cell.label,
        "value": cell.value,
        "unit": cell.unit,
        "share": None if cell.share is None else round(cell.share, 3),
        "since": _instant(cell.since),
        "tone": cell.tone.value,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "text": row.text,
        "at": _instant(row.at),
        "kind": row.kind,
        "tone": row.tone.value,
        "who": row.who,
        "detail": row.detail,
        "badge": row.badge,
        "level": row.level,
        "since": _instant(row.since),
    }


def _chart(chart: Chart | None) -> dict[str, Any] | None:
    if chart is None:
        return None
    series = [{"label": label, "values": list(values)} for label, values in chart.series]
    return {"series": series, "ends": _instant(chart.ends), "summary": chart.summary}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
