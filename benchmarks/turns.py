"""CPU of one turn without the model, beside the bare agent library in the same run, and of a whole offline turn.

The model answers at once with a fixed text of a hundred streamed tokens, so that what is left is ours: context, prompt,
permissions, events. Stores are the in-memory fakes of the tests; the database has a benchmark of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from benchmarks.figures import Figure

TURNS = 150
TOKENS = [f"word{n} " for n in range(100)]


def measure() -> list[Figure]:
    """Milliseconds of CPU per turn, and microseconds per streamed token on top of the bare library."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from tests.fakes.agent import Workbench

    from antiphon.brain.models import ModelChoice

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for token in TOKENS:
            yield token

    @dataclass(frozen=True, slots=True)
    class Canned(ModelChoice):
        name: str = "canned"

        def build(self) -> FunctionModel:
            return FunctionModel(stream_function=stream)

    ours = Workbench(choice=Canned())
    offline = Workbench()
    bare = Agent(FunctionModel(stream_function=stream))

    async def bare_turn() -> None:
        async with bare.run_stream_events("hello there") as events:
            async for _ in events:
                pass

    async def our_turn() -> None:
        await ours.events(ours.request("hello there"))

    async def offline_turn() -> None:
        await offline.events(offline.request("what time is it in Tokyo"))

    library = await _cpu(bare_turn)
    whole = await _cpu(our_turn)
    talk = await _cpu(offline_turn)
    return [
        Figure("turn of 100 tokens, bare agent library: CPU", library, "ms"),
        Figure(
            "turn of 100 tokens without the model: CPU",
            whole,
            "ms",
            "<= 2.5 x the bare library",
            f"pydantic-ai alone {library:.2f} ms",
            passed=whole <= 2.5 * library,
        ),
        Figure("offline turn with a tool, all of it: CPU", talk, "ms"),
    ]


async def _cpu(turn: Callable[[], Awaitable[None]]) -> float:
    for _ in range(20):
        await turn()
    begin = time.process_time()
    for _ in range(TURNS):
        await turn()
    return (time.process_time() - begin) / TURNS * 1000
