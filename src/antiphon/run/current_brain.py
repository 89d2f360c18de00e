"""The brain that answers now: another one takes its place when settings change, and turns under way keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from antiphon.brain.experts.health import ExpertHealth
from antiphon.brain.turn import TurnBrain
from antiphon.config import Settings
from antiphon.domain.turns import TurnEvent, TurnRequest


class CurrentBrain:
    """Implements `domain.turns.Brain` through whichever `TurnBrain` was built last."""

    def __init__(self, build: Callable[[Settings], TurnBrain], settings: Settings) -> None:
        self._build = build
        self._brain = build(settings)
        self._is_used = False
        self._earlier: list[TurnBrain] = []
        self._replaced = asyncio.Event()

    @property
    def health(self) -> ExpertHealth:
        """How the experts of the brain that answers now are."""
        return self._brain.health

    async def watch(self, stop: asyncio.Event) -> None:
        """Check the experts of whichever brain answers, until `stop` is set."""
        while not stop.is_set():
            self._replaced = ended = asyncio.Event()
            watching = asyncio.create_task(self._brain.health.watch(ended))
            ends = {asyncio.create_task(stop.wait()), asyncio.create_task(ended.wait())}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.set()
                for end in ends:
                    end.cancel()
                await asyncio.wait({watching, *ends})

    async def close(self) -> None:
        """Close every brain there was: turns of an earlier one may have gone on until now."""
        for brain in (*self._earlier, self._brain):
            await brain.close()

    async def warm_up(self) -> None:
        """Load what the first turn needs."""
        self._is_used = True
        await self._brain.warm_up()

    def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Run one turn; see `TurnBrain.turn`."""
        return self._brain.turn(request)

    async def replace(self, settings: Settings) -> None:
        """Answer by these settings from the next turn on. The new brain is loaded first, so nobody waits for it; in a
        process that runs no turns it is not loaded at all.

        Raises `ConfigError`, and the old one goes on, when it cannot be built.
        """
        brain = self._build(settings)
        if self._is_used:
            await brain.warm_up()
        self._earlier.append(self._brain)
        self._brain = brain
        self._replaced.set()
