"""The figures of a run: how they are judged, printed and written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
REPORT = FOLDER / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `floor` is the machine's own limit or the bound in words, `peer` what it is compared with."""

    name: str
    value: float
    unit: str
    floor: str = ""
    peer: str = ""
    passed: bool | None = None
    """None: there is no bound, the figure is for information."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | value | bound | beside | |", "|---|---:|---|---|---|"]
    marks = {True: "pass", False: "**MISSED**", None: ""}
    for figure in figures:
        value = f"{figure.value:,.3g}" if figure.value < 100 else f"{figure.value:,.0f}"
        cells = (figure.name, f"{value} {figure.unit}", figure.floor, figure.peer, marks[figure.passed])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(figures: Sequence[Figure], command: str) -> None:
    """Write results.json, and RESULTS.md with command, machine and date. A partial run replaces only its figures."""
    rows = {row["name"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    for figure in figures:
        row = asdict(figure)
        row["pass"] = row.pop("passed")
        rows[figure.name] = row
    RESULTS.write_text(json.dumps(list(rows.values()), indent=2) + "\n")
    everything = [
        Figure(row["name"], row["value"], row["unit"], row["floor"], row["peer"], row["pass"]) for row in rows.values()
    ]
    REPORT.write_text(
        "# Measured\n\n"
        f"Command: `{command}`. Machine: {os.cpu_count()} cores, {platform.machine()}, {_processor()}, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}. "
        f"Date: {datetime.now(UTC):%Y-%m-%d}.\n\n"
        "Wall times depend on what else the machine does; the bounds are set beside the disk's own fsync, measured in "
        "the same run and folder, or are CPU times of our own processes.\n\n"
        f"{table(everything)}\n"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
