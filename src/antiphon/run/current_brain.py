"""The brain that answers now: another one takes its place when settings change, and turns under way keep theirs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from antiphon.brain.turn import TurnBrain
from antiphon.config import Settings
from antiphon.domain.turns import TurnEvent, TurnRequest


class CurrentBrain:
    """Implements `domain.ports.Brain` through whichever `TurnBrain` was built last."""

    def __init__(self, build: Callable[[Settings], TurnBrain], settings: Settings) -> None:
        self._build = build
        self._brain = build(settings)
        self._is_used = False

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
        self._brain = brain
