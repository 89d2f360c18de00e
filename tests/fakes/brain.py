"""A brain that follows a script, one step per turn event, and can be held at a gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from antiphon.domain.turns import TurnEvent, TurnRequest

Step = TurnEvent | Exception | asyncio.Event | Callable[[TurnRequest], Awaitable[TurnEvent | None]]


class ScriptedBrain:
    """Implements `domain.turns.Brain`. `script(request)` gives the steps of a turn.

    An exception is raised, an event is waited for, a function is awaited (and its event, if any, yielded).
    """

    def __init__(self, script: Callable[[TurnRequest], list[Step]]) -> None:
        self._script = script
        self.requests: list[TurnRequest] = []
        self.closed = 0

    async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Follow the script."""
        self.requests.append(request)
        try:
            for step in self._script(request):
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif callable(step):
                    event = await step(request)
                    if event is not None:
                        yield event
                else:
                    yield step
        finally:
            self.closed += 1
