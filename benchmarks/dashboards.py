"""The panels under a storm: a thousand events a second for a minute of virtual time, in 200 servers.

What counts is the number of edits that leave for Discord, beside one edit for each event, and the CPU an event costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from tests.fakes.virtual_time import LoopClock, run_virtually

from antiphon.dashboards.board import Board
from antiphon.dashboards.panel import PANELS
from antiphon.domain.events import DISCORD_GATEWAY, DISCORD_MESSAGE, BusEvent
from antiphon.platforms.discord.panel_embeds import Drawn
from antiphon.platforms.discord.panels import DiscordPanels, PanelPlace
from antiphon.telemetry.recent import LogLine, Recent
from benchmarks.figures import Figure

EVENTS_PER_SECOND = 1000
SECONDS = 60
SERVERS = 200
INTERVAL, PER_SECOND = 6.0, 5.0
CPU_BOUND = 30.0
"""Microseconds per event: 3 % of a core under the storm."""


class _Port:
    """Counts what would be sent, by channel and time."""

    def __init__(self, servers: int) -> None:
        self._places = [PanelPlace(str(number), "log", logs=number == 0) for number in range(servers)]
        self.edits: list[tuple[float, str]] = []
        self._last = 0

    async def places(self) -> Sequence[PanelPlace]:
        return self._places

    async def channel(self, place: PanelPlace) -> str:
        return place.server

    async def own_panels(self, channel: str) -> Sequence[tuple[str, str]]:
        return ()

    async def post(self, channel: str, drawn: Drawn) -> str:
        self._last += 1
        return str(self._last)

    async def edit(self, channel: str, message: str, drawn: Drawn) -> None:
        self.edits.append((asyncio.get_running_loop().time(), channel))

    async def delete(self, channel: str, message: str) -> None: ...


class _Store:
    async def load(self) -> Mapping[str, Mapping[str, object]]:
        return {}

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None: ...


async def _storm(servers: int) -> tuple[list[tuple[float, str]], float]:
    """The edits of the storm, and CPU seconds of hearing and drawing."""
    lines: Recent[LogLine] = Recent()
    board, port = Board(LoopClock(), lines), _Port(servers)
    panels = DiscordPanels(board, port, _Store(), LoopClock(), interval=INTERVAL, per_second=PER_SECOND)
    running = asyncio.create_task(panels.run())
    await asyncio.sleep(1)
    cpu = time.process_time()
    for number in range(EVENTS_PER_SECOND * SECONDS):
        server = str(number % servers)
        gateway: dict[str, object] = {"event": "MESSAGE_CREATE", "server": server, "name": "ada", "place": "#quay"}
        board.hear(BusEvent(DISCORD_GATEWAY, number, "gateway", gateway, LoopClock().now()))
        message: dict[str, object] = {"server": server, "direction": "in", "kind": "message"}
        board.hear(BusEvent(DISCORD_MESSAGE, number, "message", message, LoopClock().now()))
        if number % 100 == 0:
            lines.add(LogLine(LoopClock().now().isoformat(), "info", "antiphon.bench", "storm", {"n": number}))
            await asyncio.sleep(0.1)
    cpu = time.process_time() - cpu
    edits = list(port.edits)
    running.cancel()
    await asyncio.wait({running})
    return edits, cpu


def _busiest(edits: Sequence[tuple[float, str]], seconds: float) -> int:
    """The most edits of one channel within so many seconds."""
    most = 0
    for start, channel in edits:
        most = max(most, sum(1 for at, other in edits if other == channel and start <= at < start + seconds))
    return most


def measure() -> list[Figure]:
    """One server, then 200 that share the budget."""
    one, _ = run_virtually(_storm(1))
    many, cpu = run_virtually(_storm(SERVERS))
    events = EVENTS_PER_SECOND * SECONDS
    per_minute = len(PANELS) * SECONDS / INTERVAL
    busiest = _busiest(one, 5.0)
    budget = PER_SECOND * SECONDS + max(len(PANELS), PER_SECOND)
    per_event = cpu / events * 1e6
    return [
        Figure(
            f"panels of one server under {EVENTS_PER_SECOND} events/s: edits per minute",
            len(one),
            "edits",
            f"<= {per_minute:.0f}, one per panel in {INTERVAL:.0f} s",
            f"{events} events",
            passed=0 < len(one) <= per_minute,
        ),
        Figure(
            "panels under the storm: most edits of one channel in 5 s",
            busiest,
            "edits",
            "<= 5, Discord's bucket",
            passed=busiest <= 5,
        ),
        Figure(
            f"panels of {SERVERS} servers under the storm: edits per minute",
            len(many),
            "edits",
            f"<= {budget:.0f}, the budget of all",
            f"{events} events",
            passed=0 < len(many) <= budget,
        ),
        Figure(
            f"panels of {SERVERS} servers under the storm: CPU per event, drawing included",
            per_event,
            "µs",
            f"<= {CPU_BOUND:.0f} µs",
            passed=per_event <= CPU_BOUND,
        ),
    ]
