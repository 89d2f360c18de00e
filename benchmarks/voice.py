"""Live voice: what the framework adds to the wait for an answer, CPU and memory of a session, beside the engines that
people know.

Recogniser, model and voice are fakes that take no time, so what is measured is ours: transport, turn taking, turns,
playout. The peers are LiveKit's `AgentSession` as it comes (`stock_session`) and, where the variable PIPECAT_PYTHON
names an interpreter that has it, Pipecat (`pipecat_peer`). All hear the same microphones (`real_time`), a frame each
20 ms. Ratios of one run; the machine may be busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.voice import Ear
from tests.fixtures_voice import synthesized

from antiphon.voice.transports.transport import RATE
from benchmarks.figures import FOLDER, Figure, percentile
from benchmarks.our_sessions import OurSessions
from benchmarks.real_time import Feeder, Step, before_others, cpu_share, most_held, resident
from benchmarks.stock_session import StockSessions

SESSIONS = 30
SECONDS = 8.0
TURNS = 20
LONG = 20
"""Sessions that talk at once, for what a conversation costs."""
SOAKED = 200
PIPECAT = "PIPECAT_PYTHON"
"""The variable that names an interpreter with Pipecat."""
CHILD_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a session that listens: CPU seconds in a minute, MB of memory, and how many of them a core carries."""

    cpu: float
    memory: float
    held: int


def measure() -> list[Figure]:
    """All figures of live voice."""
    import uvloop

    with before_others(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        question = await synthesized("what time", Path(folder))
        latencies, late = await _latencies(Path(folder), question)
        idle, memory = await _idle(Path(folder))
        talking, share = await _talking(Path(folder), question)
        stock_cpu, stock_memory = await _stock()
        growth = await _soak(Path(folder), question)
        speech = Path(folder) / "speech.pcm"
        speech.write_bytes(question)
        carried, conversations, theirs = (
            most_held(_on_one_core(load, speech)) for load in ("listening", "talking", "stock")
        )
    stock = Cost(stock_cpu, stock_memory, theirs)
    pipecat = _pipecat()
    peers = [("LiveKit's AgentSession as it comes", stock), *((("Pipecat", pipecat),) if pipecat else ())]

    def beside(kind: str, unit: str, ours: float) -> str:
        """That value of the others, and how many times ours it is."""
        found = [(name, float(getattr(cost, kind))) for name, cost in peers]
        told = [f"{value:.2g} {unit} {name} ({value / max(ours, 1e-9):.1f}x)" for name, value in found]
        return ", ".join([*told, *(() if pipecat else ("Pipecat is not installed",))])

    p50, p95 = statistics.median(latencies), percentile(latencies, 0.95)
    return [
        *(
            Figure(
                f"voice: end of speech to first sound, added {name}",
                value,
                "ms",
                f"<= {bound} ms",
                f"a timer of this run was {own:.3g} ms late",
                passed=value <= bound,
            )
            for name, value, bound, own in (
                ("p50", p50, 10, statistics.median(late)),
                ("p95", p95, 15, percentile(late, 0.95)),
            )
        ),
        Figure(
            "voice: CPU of a session that listens",
            idle,
            "s/min",
            "less than theirs",
            beside("cpu", "s/min", idle),
            passed=all(idle < cost.cpu for _, cost in peers),
        ),
        Figure(f"voice: CPU of a conversation ({share:.0%} spoken by the agent)", talking, "s/min"),
        Figure(
            "voice: sessions that listen on one core, real time kept",
            carried,
            "sessions",
            ">= 60 of 120, their microphones included",
            beside("held", "of", carried),
            passed=carried >= 60 and all(carried >= cost.held for _, cost in peers),
        ),
        Figure(
            "voice: conversations on one core, real time kept",
            conversations,
            "sessions",
            ">= 60 of 120, their microphones included",
            f"{60 / talking:.0f} by CPU alone",
            passed=conversations >= 60,
        ),
        Figure(
            "voice: resident memory of a session",
            memory,
            "MB",
            "<= 0.2 MB",
            beside("memory", "MB", memory),
            passed=memory <= 0.2,
        ),
        Figure(
            f"voice: growth over {SOAKED} sessions begun, talked in and ended",
            growth,
            "MB",
            "<= 4 MB",
            passed=growth <= 4,
        ),
    ]


def _on_one_core(load: str, speech: Path) -> list[Step]:
    """The steps of one load, from a process of its own."""
    said = _said([sys.executable, "-m", "benchmarks.one_core", load, str(speech)])
    return [Step(**step) for step in said]


def _pipecat() -> Cost | None:
    """What Pipecat costs, from the environment that has it; None without one."""
    python = os.environ.get(PIPECAT, "")
    return Cost(**_said([python, "-m", "benchmarks.pipecat_peer"])) if python else None


def _said(command: list[str]) -> Any:
    """The JSON that a program of ours says in its last line."""
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, timeout=CHILD_SECONDS, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.asynccontextmanager
async def _sessions(folder: Path, count: int, *, talking: bytes = b"") -> AsyncIterator[tuple[OurSessions, list[Ear]]]:
    """Sessions that listen, or talk all the time."""
    feeder = Feeder()
    sessions = OurSessions(folder, feeder)
    try:
        for _ in range(count):
            feeder.ears.append(await (sessions.begin_talking(talking) if talking else sessions.begin()))
        yield sessions, feeder.ears
    finally:
        await feeder.aclose()
        await sessions.aclose()


async def _latencies(folder: Path, question: bytes) -> tuple[list[float], list[float]]:
    """Milliseconds from the end of speech, as the detection sees it, to the first frame of the answer; and by how
    many a timer was late meanwhile: what others on the machine, and the machine itself, add to everything."""
    async with _sessions(folder, 1) as (sessions, (ear,)):
        store, feeder = sessions.voices.store, sessions.feeder
        (key,) = store.turns
        await asyncio.sleep(1)
        for number in range(TURNS):
            feeder.speak(ear, question)
            async with asyncio.timeout(20):
                while len(store.turns[key]) <= number:  # noqa: ASYNC110 - a figure, not a product
                    await asyncio.sleep(0.01)
        parts = ("transcript", "endpoint", "first_token", "first_audio")
        turns = list(store.turns[key].values())[2:]  # the first ones load what is loaded late
        waits = [1000 * sum(times.parts[part] or 0 for part in parts) for times in turns]
        return waits, [1000 * late for late in feeder.late]


async def _idle(folder: Path) -> tuple[float, float]:
    """CPU seconds of a session-minute of silence, and the memory of a session in MB."""
    async with _sessions(folder, 2):
        await asyncio.sleep(1)
    gc.collect()
    before = resident()
    async with _sessions(folder, SESSIONS):
        await asyncio.sleep(2)
        gc.collect()
        memory = (resident() - before) / SESSIONS
        return await _cpu(SESSIONS), max(0.0, memory)


async def _stock() -> tuple[float, float]:
    """The same of LiveKit's session as it comes."""
    sessions = StockSessions()
    await sessions.begin()
    await sessions.aclose()
    gc.collect()
    before, feeder = resident(), Feeder()
    feeder.ears = [await sessions.begin() for _ in range(SESSIONS)]
    await asyncio.sleep(2)
    gc.collect()
    memory = (resident() - before) / SESSIONS
    cpu = await _cpu(SESSIONS)
    await feeder.aclose()
    await sessions.aclose()
    return cpu, max(0.0, memory)


async def _talking(folder: Path, question: bytes) -> tuple[float, float]:
    """CPU seconds of a session-minute of conversation, and how much of it the agent speaks."""
    async with _sessions(folder, LONG, talking=question) as (_, ears):
        await asyncio.sleep(4)
        spoken = sum(len(ear.heard) for ear in ears)
        cpu = await _cpu(LONG)
        return cpu, (sum(len(ear.heard) for ear in ears) - spoken) / 2 / RATE / LONG / SECONDS


async def _cpu(sessions: int) -> float:
    return await cpu_share(SECONDS) / sessions * 60


async def _soak(folder: Path, question: bytes) -> float:
    """MB by which the process grew from the end of a warm-up to the end of the last session."""
    feeder = Feeder()
    sessions = OurSessions(folder, feeder)
    before = 0.0
    at_once = 20
    for batch in range(SOAKED // at_once + 2):
        feeder.ears = [await sessions.begin() for _ in range(at_once)]
        await asyncio.sleep(0.3)
        for ear in feeder.ears:
            feeder.speak(ear, question)
        await asyncio.sleep(2.5)
        feeder.ears = []
        await sessions.end_all()
        gc.collect()
        if batch == 1:
            before = resident()
    await feeder.aclose()
    await sessions.aclose()
    return resident() - before
