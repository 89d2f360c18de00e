"""Live voice: what the framework adds to the wait for an answer, CPU and memory of a session, beside LiveKit's own.

Recogniser, model and voice are fakes that take no time, so what is measured is ours: transport, turn taking, turns,
playout. The peer is LiveKit's `AgentSession` as it comes (its voice activity detection with a thread per session, its
own wrapper around a recogniser that does not stream), fed by the same feeder in the same process. Every session's
microphone sends a frame each 20 ms. Ratios of one run; the machine may be busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.fakes.brain import ScriptedBrain
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import Ear, Voices
from tests.fixtures_voice import synthesized

from antiphon.config import Settings
from antiphon.config.voice import VoiceSettings
from antiphon.domain.turns import Final, TextDelta
from antiphon.run.clock import SystemClock
from antiphon.voice.transports.transport import FRAME_BYTES, SILENCE
from benchmarks.figures import Figure, percentile

SESSIONS = 30
SECONDS = 10.0
TURNS = 24
LONG = 20
"""Sessions that talk at once, for what a conversation costs."""
SOAKED = 200
ANSWER = "It is noon and the sun is shining all over town."
WORDS = ["what time is it"] * 10_000


def measure() -> list[Figure]:
    """All figures of live voice."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        question = await synthesized("what time", Path(folder))
        latencies, late = await _latencies(Path(folder), question)
        idle, memory = await _idle(Path(folder))
        talking, share = await _talking(Path(folder), question)
        stock, stock_memory = await _stock()
        growth = await _soak(Path(folder), question)
    p50, p95 = statistics.median(latencies), percentile(latencies, 0.95)
    per_core = 60 / talking
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
            "",
            f"{stock:.2g} s/min LiveKit's AgentSession as it comes ({stock / idle:.1f}x)",
            passed=idle < stock,
        ),
        Figure(f"voice: CPU of a conversation ({share:.0%} spoken by the agent)", talking, "s/min"),
        Figure("voice: conversations on one core", per_core, "sessions", ">= 60", passed=per_core >= 60),
        Figure(
            "voice: resident memory of a session",
            memory,
            "MB",
            "<= 0.2 MB",
            f"{stock_memory:.2g} MB LiveKit's",
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


def _voices(folder: Path) -> Voices:
    settings = Settings(data_dir=folder, voice=VoiceSettings(endpoint_seconds=0, sessions=1000))
    brain = ScriptedBrain(lambda _: [*(TextDelta(f"{word} ") for word in ANSWER.split()), Final(ANSWER)])
    return Voices(settings, SystemClock(), brain, FakeListener(says=WORDS), FakeSpeaker())


class Feeder:
    """Everybody's microphone: a frame for each ear every 20 ms, speech where some was put in, else silence."""

    def __init__(self) -> None:
        self.ears: list[Any] = []
        self.late: list[float] = []
        self._sounds: dict[int, bytes] = {}
        self._task = asyncio.create_task(self._run())

    def speak(self, ear: Any, sound: bytes) -> None:
        self._sounds[id(ear)] = sound

    async def _run(self) -> None:
        began, number = time.perf_counter(), 0
        while True:
            number += 1
            if (wait := began + number * 0.02 - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self.late.append(time.perf_counter() - began - number * 0.02)
            for ear in self.ears:
                sound = self._sounds.get(id(ear), b"")
                if sound:
                    self._sounds[id(ear)] = sound[FRAME_BYTES:]
                ear.hear(sound[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0") if sound else SILENCE)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


@contextlib.asynccontextmanager
async def _sessions(folder: Path, count: int) -> AsyncIterator[tuple[Voices, Feeder, list[Ear]]]:
    voices, feeder = _voices(folder), Feeder()
    try:
        for number in range(count):
            _, ear, heard = await voices.talk(f"room-{number}")
            await heard.aclose()
            feeder.ears.append(ear)
        yield voices, feeder, feeder.ears
    finally:
        await feeder.aclose()
        await voices.service.aclose()


async def _latencies(folder: Path, question: bytes) -> tuple[list[float], list[float]]:
    """Milliseconds from the end of speech, as the detection sees it, to the first frame of the answer; and by how
    many a timer was late meanwhile: what others on the machine, and the machine itself, add to everything."""
    async with _sessions(folder, 1) as (voices, feeder, (ear,)):
        (key,) = voices.store.turns
        await asyncio.sleep(1)
        for number in range(TURNS):
            feeder.speak(ear, question)
            async with asyncio.timeout(20):
                while len(voices.store.turns[key]) <= number:  # noqa: ASYNC110 - a figure, not a product
                    await asyncio.sleep(0.01)
        parts = ("transcript", "endpoint", "first_token", "first_audio")
        turns = list(voices.store.turns[key].values())[2:]  # the first ones load what is loaded late
        waits = [1000 * sum(times.parts[part] or 0 for part in parts) for times in turns]
        return waits, [1000 * late for late in feeder.late]


async def _idle(folder: Path) -> tuple[float, float]:
    """CPU seconds of a session-minute of silence, and the memory of a session in MB."""
    async with _sessions(folder, 2):
        await asyncio.sleep(1)
    gc.collect()
    before = _resident()
    async with _sessions(folder, SESSIONS):
        await asyncio.sleep(2)
        gc.collect()
        memory = (_resident() - before) / SESSIONS
        return await _cpu(SESSIONS), max(0.0, memory)


async def _talking(folder: Path, question: bytes) -> tuple[float, float]:
    """CPU seconds of a session-minute of conversation, and how much of it the agent speaks."""
    async with _sessions(folder, LONG) as (_, feeder, ears):

        async def talk(number: int, ear: Ear) -> None:
            await asyncio.sleep(number * 0.17)
            while True:
                feeder.speak(ear, question)
                await asyncio.sleep(3.2)

        talks = [asyncio.create_task(talk(number, ear)) for number, ear in enumerate(ears)]
        await asyncio.sleep(4)
        spoken = sum(len(ear.heard) for ear in ears)
        cpu = await _cpu(LONG)
        share = (sum(len(ear.heard) for ear in ears) - spoken) / 2 / 16_000 / LONG / SECONDS
        for task in talks:
            task.cancel()
        await asyncio.wait(talks)
        return cpu, share


async def _cpu(sessions: int) -> float:
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(SECONDS)
    return (time.process_time() - cpu) / (time.perf_counter() - began) / sessions * 60


async def _soak(folder: Path, question: bytes) -> float:
    """MB by which the process grew from the end of a warm-up to the end of the last session."""
    voices, feeder = _voices(folder), Feeder()
    resident = 0.0
    at_once = 20
    for batch in range(SOAKED // at_once + 2):
        talks = [await voices.talk(f"room-{number}") for number in range(at_once)]
        feeder.ears = [ear for _, ear, _ in talks]
        await asyncio.sleep(0.3)
        for ear in feeder.ears:
            feeder.speak(ear, question)
        await asyncio.sleep(2.5)
        feeder.ears = []
        for session, _, heard in talks:
            await heard.aclose()
            await voices.service.stop(session.row.key, session.row.person)
        for kept in (voices.store.sessions, voices.store.kept, voices.store.turns):  # what a database would hold
            kept.clear()
        voices.live.begun.clear()
        voices.live.finished.clear()
        voices.live.log.clear()
        gc.collect()
        if batch == 1:
            resident = _resident()
    await feeder.aclose()
    await voices.service.aclose()
    return _resident() - resident


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


# --- the peer ---------------------------------------------------------------------------------------------------------


async def _stock() -> tuple[float, float]:
    """CPU seconds of a session-minute of silence of LiveKit's session as it comes, and its memory in MB."""
    from livekit import rtc
    from livekit.agents import Agent, AgentSession, llm, stt, tts
    from livekit.agents.voice import io

    class Ears(stt.STT):
        async def _recognize_impl(self, buffer: Any, *, language: Any = None, conn_options: Any) -> Any:
            raise NotImplementedError

    class Mouth(tts.TTS):
        def synthesize(self, text: str, *, conn_options: Any = None) -> Any:
            raise NotImplementedError

    class Brain(llm.LLM):
        def chat(self, **_: Any) -> Any:
            raise NotImplementedError

    class Microphone(io.AudioInput):
        def __init__(self) -> None:
            super().__init__(label="bench")
            self._frames: asyncio.Queue[bytes] = asyncio.Queue()

        def hear(self, pcm: bytes) -> None:
            self._frames.put_nowait(pcm)

        async def __anext__(self) -> rtc.AudioFrame:
            return rtc.AudioFrame(await self._frames.get(), 16_000, 1, 320)

    async def begin() -> tuple[Any, Microphone]:
        session: Any = AgentSession(
            stt=Ears(capabilities=stt.STTCapabilities(streaming=False, interim_results=False)),
            llm=Brain(),
            tts=Mouth(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24_000, num_channels=1),
            turn_handling={"turn_detection": "vad"},
        )
        microphone = Microphone()
        session.input.audio = microphone
        await session.start(Agent(instructions="Be brief."), record=False)
        return session, microphone

    warm, _ = await begin()
    await warm.aclose()
    gc.collect()
    before, feeder = _resident(), Feeder()
    sessions = [await begin() for _ in range(SESSIONS)]
    feeder.ears = [microphone for _, microphone in sessions]
    await asyncio.sleep(2)
    gc.collect()
    memory = (_resident() - before) / SESSIONS
    cpu = await _cpu(SESSIONS)
    await feeder.aclose()
    await asyncio.gather(*(session.aclose() for session, _ in sessions))
    return cpu, max(0.0, memory)
