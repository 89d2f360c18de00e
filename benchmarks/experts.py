"""Real clients against a fake OpenAI-compatible server in a process of its own: what we add to the bare client library,
what a decision of the router takes, and what it costs when an expert fails.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure

TURNS = 40
CONVERSATIONS = 500
KINDS = ("fine", "slow", "refuse", "cut", "cut_call")
EXAMPLES = {
    "code": ["fix this python error", "write a function that sorts a list", "explain this stack trace"],
    "moderation": ["kick that spammer", "ban the user for hate speech", "mute bob for ten minutes"],
    "search": ["latest news about space", "what is the capital of peru", "price of bitcoin"],
    "summary": ["summarise this channel", "what did I miss", "give me the key points"],
    "poems": ["write a poem about spring", "a haiku about rain", "compose a song"],
    "talk": ["hello there", "tell me a joke", "how are you today"],
}


def measure() -> list[Figure]:
    """CPU per turn and token beside the bare client, microseconds per decision, delay of a failover, 500 talks."""
    root = Path(__file__).parents[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.upstreams"], stdout=subprocess.PIPE, text=True, cwd=root
    )
    try:
        assert server.stdout is not None
        return asyncio.run(_measure(int(server.stdout.readline())))
    finally:
        server.kill()
        server.wait()


async def _measure(port: int) -> list[Figure]:
    from openai import AsyncOpenAI
    from tests.fakes.agent import Workbench
    from tests.fakes.tools import Poke
    from tests.fakes.upstreams import LONG, answer_to

    from antiphon.brain.experts.registry import Experts
    from antiphon.brain.experts.router import Router
    from antiphon.config.settings import Settings

    def expert(behaviour: str, **more: Any) -> dict[str, Any]:
        name = behaviour.replace("_", "-")
        url = f"http://127.0.0.1:{port}/{behaviour}/v1"
        return {"name": name, "model": "openai:fake", "base_url": url, "first_token_seconds": 30, **more}

    def bench(*experts: dict[str, Any]) -> Workbench:
        routing = {"health_seconds": 0, "breaker_failures": 100}
        limits = {"context_messages": 0, "turn_seconds": 600}
        settings = Settings.model_validate({"experts": experts, "routing": routing, "limits": limits})
        return Workbench((Poke(),), None, settings)

    there = bench(expert("fine"), expert("long"), *(expert(kind, fallback=["fine"]) for kind in KINDS[1:]))
    await there.brain.warm_up()

    async def ours(behaviour: str) -> None:
        await there.events(there.request(f"@{behaviour} rivers"))

    async def bare(behaviour: str) -> None:
        client = clients[behaviour]
        messages: Any = [{"role": "user", "content": "rivers"}]
        async for _ in await client.chat.completions.create(model="fake", messages=messages, stream=True):
            pass

    clients = {
        name: AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/{name}/v1", api_key="k") for name in ("fine", "long")
    }
    short_tokens = len(answer_to("rivers").split(" "))
    short_bare, short_ours = await _cpu(bare, "fine"), await _cpu(ours, "fine")
    long_bare, long_ours = await _cpu(bare, "long"), await _cpu(ours, "long")
    token_bare = (long_bare - short_bare) / (LONG - short_tokens) * 1000
    token_ours = (long_ours - short_ours) / (LONG - short_tokens) * 1000

    settings = Settings.model_validate(
        {"experts": [{"name": name, "model": "ollama:x", "examples": texts} for name, texts in EXAMPLES.items()]}
    )
    router = Router(Experts.of(settings), settings.routing, lambda _: False)
    began = time.process_time()
    for number in range(2000):
        await router.route(f"please explain the error number {number} in my python program", f"web:{number}")
    decision = (time.process_time() - began) / 2000 * 1e6

    direct, refused = [], []
    for _ in range(TURNS):
        direct.append(await _wall(ours, "fine"))
        refused.append(await _wall(ours, "refuse"))
    results: Counter[str] = Counter()
    places = asyncio.Semaphore(16)

    async def converse(number: int) -> None:
        kind = KINDS[number % len(KINDS)].replace("_", "-")
        question = f"@{kind} number {number}" + (", and poke Bob" if kind == "cut-call" or number % 2 else "")
        async with places:
            end = (await there.events(there.request(question)))[-1]
        results[f"{kind} {'whole' if getattr(end, 'text', '') == answer_to(question) else 'failed'}"] += 1

    began = time.process_time()
    await asyncio.gather(*(converse(number) for number in range(CONVERSATIONS)))
    cpu = time.process_time() - began
    failed = sum(count for name, count in results.items() if name.endswith("failed"))
    await there.brain.close()
    for client in clients.values():
        await client.close()
    return [
        Figure("experts: turn of a short answer, bare client: CPU", short_bare, "ms"),
        Figure("experts: the same as a whole turn: CPU", short_ours, "ms", "", f"bare client {short_bare:.2f} ms"),
        Figure("experts: streamed token, bare client: CPU", token_bare, "µs"),
        Figure("experts: streamed token in a turn: CPU", token_ours, "µs", "", f"bare client {token_bare:.0f} µs"),
        Figure("router: one decision among 6 experts: CPU", decision, "µs", "<= 1000 µs", passed=decision <= 1000),
        Figure(
            "failover: delay added by an expert that refuses, p50",
            (median(refused) - median(direct)) * 1000,
            "ms",
            "",
            f"without it {median(direct) * 1000:.1f} ms",
        ),
        Figure(
            f"experts: {CONVERSATIONS} conversations over failing servers: failed",
            failed,
            "",
            "0",
            ", ".join(f"{name} {count}" for name, count in sorted(results.items())),
            passed=failed == 0,
        ),
        Figure("experts: CPU per conversation among them", cpu / CONVERSATIONS * 1000, "ms"),
    ]


async def _cpu(turn: Callable[[str], Awaitable[None]], behaviour: str) -> float:
    """Milliseconds of CPU per turn of this process."""
    for _ in range(3):
        await turn(behaviour)
    begin = time.process_time()
    for _ in range(TURNS):
        await turn(behaviour)
    return (time.process_time() - begin) / TURNS * 1000


async def _wall(turn: Callable[[str], Awaitable[None]], behaviour: str) -> float:
    began = time.perf_counter()
    await turn(behaviour)
    return time.perf_counter() - began
