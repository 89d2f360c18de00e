"""The panel Logs: the last lines this process wrote, newest first, with severities, a filter and a search.

The lines come from the ring the logging chain fills (`telemetry.recent`), so they hold neither secrets nor, by default,
personal text. Lines of before a restart are kept with the panel's state.
"""

from __future__ import annotations

from datetime import datetime

from antiphon.dashboards.fields import Payload, objects, text
from antiphon.dashboards.panel import Panel, Row, Tone, View, moment, page_of
from antiphon.telemetry.recent import LogLine, Recent

KEPT = 200
"""Lines that outlive a restart."""
PER_PAGE = 14
FILTERS = (("", "All"), ("warning", "Warnings"), ("error", "Errors"))
_LEVELS = ("debug", "info", "warning", "error", "critical")
_TONES = {"debug": Tone.OFF, "warning": Tone.WARNING, "error": Tone.ERROR, "critical": Tone.ERROR}
_QUIET = "antiphon.dashboards", "antiphon.platforms.discord.panels"
"""Lines of the panels themselves are not shown in a panel: each update would cause the next."""
_LINE_CHARS = 300


class LogsPanel:
    """What the ring holds, and before it what was kept of the last run."""

    def __init__(self, lines: Recent[LogLine]) -> None:
        self._lines = lines
        self._earlier: list[LogLine] = []

    @property
    def last(self) -> int:
        """The number of the newest line, for telling whether something was written since."""
        return self._lines.last

    def panel(self, view: View, *, size: int = PER_PAGE) -> Panel:
        """The lines of a severity or worse that hold the words of `view.q`."""
        view = view if view.filter in dict(FILTERS) else View("", view.page, view.q)
        levels = _LEVELS[_LEVELS.index(view.filter) :] if view.filter else _LEVELS
        words = view.q.strip().lower()
        rows: list[Row] = []
        errors = warnings = 0
        for line in self._newest_first():
            errors += line.level in ("error", "critical")
            warnings += line.level == "warning"
            if line.level in levels:
                row = _row(line)
                if not words or words in f"{row.text} {row.detail}".lower():
                    rows.append(row)
        shown, view, pages = page_of(rows, view, size)
        return Panel(
            name="logs",
            title="Logs",
            tone=Tone.ERROR if errors else Tone.WARNING if warnings else Tone.GOOD,
            status=_count(errors, "error") if errors else _count(warnings, "warning") if warnings else "no trouble",
            rows=shown,
            filters=FILTERS,
            view=view,
            pages=pages,
            total=len(rows),
            empty="No line fits." if words or view.filter else "No line yet.",
        )

    def _newest_first(self) -> list[LogLine]:
        ring = [line for _, line in self._lines.after(0) if not line.logger.startswith(_QUIET)]
        return [*reversed(ring), *self._earlier]

    def dump(self) -> dict[str, object]:
        """The last lines, newest first."""
        return {
            "lines": [
                {"at": line.at, "level": line.level, "logger": line.logger, "event": line.event, "keys": _keys(line)}
                for line in self._newest_first()[:KEPT]
            ]
        }

    def load(self, stored: Payload) -> None:
        """Take back what was kept."""
        self._earlier = [
            LogLine(
                text(row, "at"),
                text(row, "level"),
                text(row, "logger"),
                text(row, "event"),
                {"": text(row, "keys", _LINE_CHARS)},
            )
            for row in objects(stored, "lines", most=KEPT)
            if moment(row.get("at")) is not None
        ]


def _keys(line: LogLine) -> str:
    """The keys of a line in one text. Lines of before a restart have them like that already."""
    if "" in line.keys:
        return str(line.keys[""])
    return " ".join(f"{key}={value}" for key, value in line.keys.items())[:_LINE_CHARS]


def _row(line: LogLine) -> Row:
    return Row(
        text=f"{line.event} {_keys(line)}".strip()[:_LINE_CHARS],
        at=_at(line.at),
        kind="warn" if line.level == "warning" else line.level,
        tone=_TONES.get(line.level, Tone.PLAIN),
        detail=line.logger.removeprefix("antiphon."),
    )


def _at(at: str) -> datetime | None:
    return moment(at.replace("Z", "+00:00"))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
