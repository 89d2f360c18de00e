"""Pipecat beside us: what a session that listens costs there, and how many of them a core carries in real time.

Run by `voice` with an interpreter that has Pipecat (see CONTRIBUTING.md), so nothing of ours is imported but
`real_time`, which needs the standard library alone. A session is what Pipecat's examples build: a pipeline of
transport, recogniser, the pair of aggregators with the Silero detection, model, voice and transport, with a runner of
its own. Recogniser, model and voice take no time; silence alone decides that a person is done, which is the cheapest
of its strategies and the one that we measure with. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import AsyncGenerator
from typing import Any

from loguru import logger  # pyright: ignore[reportMissingImports] - of that other environment, as all below
from pipecat.audio.vad.silero import SileroVADAnalyzer  # pyright: ignore[reportMissingImports]
from pipecat.frames.frames import (  # pyright: ignore[reportMissingImports]
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # pyright: ignore[reportMissingImports]
from pipecat.pipeline.worker import PipelineParams, PipelineWorker  # pyright: ignore[reportMissingImports]
from pipecat.processors.aggregators.llm_context import LLMContext  # pyright: ignore[reportMissingImports]
from pipecat.processors.aggregators.llm_response_universal import (  # pyright: ignore[reportMissingImports]
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.llm_service import LLMService  # pyright: ignore[reportMissingImports]
from pipecat.services.stt_service import STTService  # pyright: ignore[reportMissingImports]
from pipecat.services.tts_service import TTSService  # pyright: ignore[reportMissingImports]
from pipecat.transports.base_input import BaseInputTransport  # pyright: ignore[reportMissingImports]
from pipecat.transports.base_output import BaseOutputTransport  # pyright: ignore[reportMissingImports]
from pipecat.transports.base_transport import TransportParams  # pyright: ignore[reportMissingImports]
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy  # pyright: ignore[reportMissingImports]
from pipecat.turns.user_turn_strategies import UserTurnStrategies  # pyright: ignore[reportMissingImports]
from pipecat.workers.runner import WorkerRunner  # pyright: ignore[reportMissingImports]

from benchmarks import real_time

SESSIONS = 30
SECONDS = 6.0
RATE = 16_000
FIRST = 20


class Microphone(BaseInputTransport):
    """Sound in."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.ready = asyncio.Event()
        self._pending: asyncio.Queue[bytes] = asyncio.Queue()
        self._taking: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._taking = self.create_task(self._take())
        self.ready.set()

    def hear(self, pcm: bytes) -> None:
        self._pending.put_nowait(pcm)

    async def cleanup(self) -> None:
        if self._taking is not None:
            await self.cancel_task(self._taking)
        await super().cleanup()

    async def _take(self) -> None:
        while True:
            pcm = await self._pending.get()
            await self.push_audio_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))


class Loudspeaker(BaseOutputTransport):
    """Sound out."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        return True


class Recogniser(STTService):
    """Hears nothing."""

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None


class Brain(LLMService):
    """Is never asked: nobody speaks."""


class Voice(TTSService):
    """Is never asked either."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        yield None


class Detection(SileroVADAnalyzer):
    """Theirs, counted."""

    windows = 0
    """Of all sessions; each is looked at in a thread of its session."""
    _counting = threading.Lock()

    def voice_confidence(self, buffer: bytes) -> float:
        confidence = super().voice_confidence(buffer)
        with self._counting:
            Detection.windows += 1
        return confidence


class Sessions:
    """Sessions of one process."""

    def __init__(self) -> None:
        self._running: list[tuple[WorkerRunner, asyncio.Task[None]]] = []

    async def begin(self) -> Microphone:
        """One more; returns its microphone."""
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        microphone = Microphone(params)
        user, assistant = LLMContextAggregatorPair(
            LLMContext(),
            user_params=LLMUserAggregatorParams(
                vad_analyzer=Detection(),
                user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()]),
            ),
        )
        pipeline = Pipeline([microphone, Recogniser(), user, Brain(), Voice(), Loudspeaker(params), assistant])
        worker = PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        self._running.append((runner, asyncio.create_task(runner.run())))
        async with asyncio.timeout(20):
            await microphone.ready.wait()
        return microphone

    async def aclose(self) -> None:
        """End all of them."""
        await asyncio.gather(*(runner.cancel() for runner, _ in self._running))
        await asyncio.wait({running for _, running in self._running})
        self._running.clear()


async def measure() -> dict[str, float]:
    """CPU seconds of a session-minute of silence, the memory of a session in MB, and how many a core carried."""
    sessions, feeder = Sessions(), real_time.Feeder()
    feeder.ears = [await sessions.begin() for _ in range(2)]
    await asyncio.sleep(1)
    feeder.ears = []
    await sessions.aclose()
    gc.collect()
    before = real_time.resident()
    feeder.ears = [await sessions.begin() for _ in range(SESSIONS)]
    await asyncio.sleep(2)
    gc.collect()
    memory = (real_time.resident() - before) / SESSIONS
    cpu = await real_time.cpu_share(SECONDS) / SESSIONS * 60
    feeder.ears = []
    await sessions.aclose()
    real_time.take_one_core()
    steps = await real_time.climb(feeder, sessions.begin, lambda: Detection.windows, first=FIRST)
    feeder.ears = []
    await sessions.aclose()
    await feeder.aclose()
    return {"cpu": cpu, "memory": memory, "held": real_time.most_held(steps)}


def main() -> None:
    """Measure and say."""
    logger.remove()
    with asyncio.Runner() as runner:
        print(json.dumps(runner.run(measure())), flush=True)


if __name__ == "__main__":
    main()
