"""The product on Discord as a process that can be killed: its worker and its gateway, with a brain that repeats.

`tests.chaos.forking` runs it. Settings come from the environment as for the product. Every twenty-fifth answer grows
slowly, so that drafts are shown.
"""

from __future__ import annotations

import asyncio
import signal

from antiphon.config import load_settings
from antiphon.domain.turns import Final, TextDelta, TurnRequest
from antiphon.platforms.discord import gateway
from antiphon.run.wiring import open_antiphon
from antiphon.telemetry.logs import configure_logging
from tests.fakes.brain import ScriptedBrain, Step


async def _pause(_: TurnRequest) -> None:
    await asyncio.sleep(0.5)


def repeat(request: TurnRequest) -> list[Step]:
    """The answer says which message it is for."""
    number = int(request.text.split()[-1])
    answer = Final(f"Answer {number}")
    if number % 25:
        return [answer]
    return [TextDelta("Thinking"), _pause, TextDelta(f" about {number}"), _pause, TextDelta("."), _pause, answer]


async def main() -> None:
    settings = load_settings()
    configure_logging(settings.log)
    gateway.IDENTIFY_SECONDS = 0.1
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_antiphon(settings, stop=stop) as antiphon:
        antiphon.metered.turn = ScriptedBrain(repeat).turn  # type: ignore[method-assign]
        async with asyncio.TaskGroup() as group:
            group.create_task(antiphon.connect_discord(stop))
            group.create_task(antiphon.work(stop))
