"""smart-turn: a small open model that hears by the tone whether somebody is done, or only thinks about the next word.

One model for the whole process, run in one thread: it takes 40 to 80 ms of a core each time. It is asked while the
silence is still being measured (after 0.2 s), so that its answer is usually there before it is needed. Whatever goes
wrong with it, silence alone decides.

`detectors` makes it. The two classes at the end have the shape that LiveKit's engine expects of a detector.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from livekit import rtc
    from livekit.agents.voice.turn import TurnDetectionEvent

log = structlog.stdlib.get_logger(__name__)

RATE = 16_000
SECONDS = 8
"""What it listens to: so much sound, up to the present; what is missing is silence before it."""
MOST_BYTES = SECONDS * RATE * 2
DONE = 0.5
"""From this probability on the person is taken to be done."""
LATE_SECONDS = 0.5
"""How long after the silence its answer is waited for; then silence decides."""
_LANGUAGES = "ar bn da de en es fi fr hi id it ja ko mr nb nl nn no pl pt ru tr uk vi zh"
LANGUAGES = frozenset(_LANGUAGES.split())
"""Those it was trained with. In others, silence decides."""
FOLDER = "smart_turn"
_FILES = "smart-turn-v3*.onnx"


def model_file(models: Path) -> Path | None:
    """The newest model in the models folder."""
    return max((models / FOLDER).glob(_FILES), default=None)


class SmartTurn:
    """The model. `load` before the first `probability`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session: Any = None
        self._input = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")

    async def load(self) -> None:
        """Read the model. Raises what the library raises about a file that is none."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    def _load(self) -> None:
        import onnxruntime

        from antiphon.voice import log_mel  # late, as the library: numpy takes its time

        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session: Any = onnxruntime.InferenceSession(
            str(self._path), sess_options=options, providers=["CPUExecutionProvider"]
        )
        (given,) = session.get_inputs()
        self._input, self._picture = given.name, log_mel.log_mel
        self._session = session
        self._run(b"")  # what is made at the first run is made now

    async def probability(self, pcm: bytes) -> float:
        """How likely it is that somebody who said this, with a short silence after it, is done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, pcm)

    def _run(self, pcm: bytes) -> float:
        import numpy as np

        sound = np.zeros(SECONDS * RATE, np.float32)
        heard = np.frombuffer(pcm[-MOST_BYTES:], "<i2")
        if len(heard):
            sound[-len(heard) :] = heard / np.float32(32768)
        (found, *_) = self._session.run(None, {self._input: self._picture(sound)[None]})
        return float(found.ravel()[0])

    def close(self) -> None:
        """Let the thread go; what waits for it is not done."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class SmartTurnDetector:
    """One session's detector, as the engine takes it."""

    model = "smart-turn-v3"
    provider = "antiphon"

    def __init__(self, model: SmartTurn) -> None:
        self._model = model

    def stream(self, *, conn_options: object = None) -> SmartTurnStream:
        """The part that listens."""
        return SmartTurnStream(self._model)


class SmartTurnStream:
    """Keeps the last seconds of what a person said since their turn began, and asks the model about them."""

    model = SmartTurnDetector.model
    provider = SmartTurnDetector.provider
    is_fallback = False
    prediction_timeout = LATE_SECONDS

    def __init__(self, model: SmartTurn) -> None:
        self._model = model
        self._sound = bytearray()
        self._asked: asyncio.Future[TurnDetectionEvent] | None = None
        self._work: asyncio.Task[None] | None = None
        self._warned = False
        self._closed = False

    async def unlikely_threshold(self, language: Any) -> float | None:
        """Below this the person is not done."""
        return DONE

    async def backchannel_threshold(self, language: Any) -> float | None:
        """It does not tell when to say mhm."""
        return None

    async def supports_language(self, language: Any) -> bool:
        """Whether to ask it at all."""
        return language is None or str(language).partition("-")[0].casefold() in LANGUAGES

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        """A piece of what the person's side sent, silence too."""
        if self._closed:
            return
        self._sound += frame.data.cast("B")
        if len(self._sound) > 2 * MOST_BYTES:
            del self._sound[:-MOST_BYTES]

    def predict(self) -> asyncio.Future[TurnDetectionEvent]:
        """Is the person done? The answer to an earlier question is not wanted any more."""
        self.cancel_inference()
        asked: asyncio.Future[TurnDetectionEvent] = asyncio.get_running_loop().create_future()
        if self._closed:
            asked.set_result(_event(1.0))
            return asked
        self._asked = asked
        self._work = asyncio.create_task(self._ask(asked, bytes(self._sound[-MOST_BYTES:])), name="voice-smart-turn")
        return asked

    async def _ask(self, asked: asyncio.Future[TurnDetectionEvent], sound: bytes) -> None:
        began = time.monotonic()
        try:
            probability = await self._model.probability(sound)
        except Exception as error:
            probability = 1.0
            if not self._warned:
                self._warned = True
                log.warning("voice.smart_turn_failed", error=type(error).__name__, instead="silence decides")
        if not asked.done():
            asked.set_result(_event(probability, time.monotonic() - began))

    def cancel_inference(self, *, timed_out: bool = False) -> None:
        """The answer is not wanted: the person speaks again, or it took too long."""
        if timed_out:
            log.info("voice.smart_turn_late", seconds=LATE_SECONDS)
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(_event(0.0))

    def flush(self, reason: str | None = None) -> None:
        """A turn is over: what was said in it is of no use for the next."""
        self.cancel_inference()
        self._sound.clear()

    def end_input(self) -> None:
        """Nothing more comes."""
        self.flush()
        self._closed = True

    async def aclose(self) -> None:
        """Free everything. Twice is once."""
        work = self._work
        self.end_input()
        if work is not None:
            await asyncio.wait({work})


def _event(probability: float, seconds: float | None = None) -> TurnDetectionEvent:
    from livekit.agents.voice.turn import TurnDetectionEvent

    return TurnDetectionEvent(
        type="eot_prediction",
        end_of_turn_probability=probability,
        last_speaking_time=time.time(),
        inference_duration=seconds,
    )
