"""smart-turn: the model in its thread, and one session's ears to it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.turn import _StreamingTurnDetector, _StreamingTurnDetectorStream

from antiphon.config import Settings
from antiphon.voice import smart_turn
from antiphon.voice.log_mel import log_mel
from antiphon.voice.smart_turn import MOST_BYTES, SmartTurn, SmartTurnDetector, model_file
from antiphon.voice.transports.transport import FRAME_BYTES, FRAME_SAMPLES, RATE
from tests.fakes.tiny_turns import smart_turn as tiny
from tests.fixtures_voice import Speak


class ToldModel:
    """Stands for the model: answers when it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answers: asyncio.Queue[float | Exception] = asyncio.Queue()

    async def probability(self, pcm: bytes) -> float:
        self.asked.append(pcm)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


def stream_of(model: Any) -> smart_turn.SmartTurnStream:
    return SmartTurnDetector(model).stream()


def frame(value: int = 0) -> rtc.AudioFrame:
    return rtc.AudioFrame(np.full(FRAME_SAMPLES, value, "<i2").tobytes(), RATE, 1, FRAME_SAMPLES)


@pytest.fixture
async def model(tmp_path: Path) -> AsyncIterator[SmartTurn]:
    found = SmartTurn(tiny(tmp_path, gain=1.0))
    await found.load()
    yield found
    found.close()


async def test_the_model_sees_the_last_eight_seconds_after_silence(model: SmartTurn) -> None:
    noise = (np.random.default_rng(1).standard_normal(10 * RATE) * 3000).astype("<i2")
    for seconds in (2, 10):
        heard = noise[: seconds * RATE][-8 * RATE :] / np.float32(32768)
        sound = np.concatenate([np.zeros(8 * RATE - len(heard), np.float32), heard])
        expected = 1 / (1 + math.exp(-float(log_mel(sound).mean())))
        found = await model.probability(noise[: seconds * RATE].tobytes())
        assert found == pytest.approx(expected, abs=1e-4)
    assert 0 < await model.probability(b"") < 1


async def test_it_has_the_shape_that_the_engine_asks_for() -> None:
    detector = SmartTurnDetector(ToldModel())  # type: ignore[arg-type]
    assert isinstance(detector, _StreamingTurnDetector)
    assert isinstance(detector.stream(), _StreamingTurnDetectorStream)
    stream = detector.stream()
    assert [await stream.supports_language(tag) for tag in (None, "en", "de-CH", "la")] == [True, True, True, False]
    assert await stream.unlikely_threshold(None) == smart_turn.DONE
    assert await stream.backchannel_threshold(None) is None


async def test_it_is_asked_about_this_turn_alone_and_keeps_no_more_than_it_needs() -> None:
    model = ToldModel()
    stream = stream_of(model)
    for _ in range(2000):
        stream.push_audio(frame(1))
    assert len(stream._sound) <= 2 * MOST_BYTES
    model.answers.put_nowait(0.9)
    event = await stream.predict()
    assert event.end_of_turn_probability == 0.9
    assert event.inference_duration is not None
    assert len(model.asked[0]) == MOST_BYTES
    stream.flush()
    stream.push_audio(frame(2))
    model.answers.put_nowait(0.1)
    assert (await stream.predict()).end_of_turn_probability == 0.1
    assert model.asked[1] == np.full(FRAME_SAMPLES, 2, "<i2").tobytes()
    assert len(model.asked[1]) == FRAME_BYTES
    await stream.aclose()


async def test_who_speaks_on_is_not_done_and_the_answer_is_not_waited_for() -> None:
    model = ToldModel()
    stream = stream_of(model)
    first = stream.predict()
    await asyncio.sleep(0)
    stream.cancel_inference()
    assert (await first).end_of_turn_probability == 0.0
    second = stream.predict()
    third = stream.predict()
    model.answers.put_nowait(0.7)
    assert (await second).end_of_turn_probability == 0.0
    assert (await third).end_of_turn_probability == 0.7
    await stream.aclose()
    await stream.aclose()
    assert (await stream.predict()).end_of_turn_probability == 1.0, "nobody waits for one that is closed"
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "voice-smart-turn"]


async def test_a_model_that_fails_lets_silence_decide() -> None:
    model = ToldModel()
    stream = stream_of(model)
    model.answers.put_nowait(ValueError("bad picture"))
    assert (await stream.predict()).end_of_turn_probability == 1.0
    await stream.aclose()


async def test_closing_the_model_ends_its_thread_and_what_waits_for_it(tmp_path: Path) -> None:
    import threading

    found = SmartTurn(tiny(tmp_path))
    await found.load()
    assert [one for one in threading.enumerate() if one.name.startswith("smart-turn")]
    found.close()
    stream = stream_of(found)
    assert (await stream.predict()).end_of_turn_probability == 1.0
    async with asyncio.timeout(2):
        while any(one.name.startswith("smart-turn") for one in threading.enumerate()):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


def test_the_newest_model_is_taken(tmp_path: Path) -> None:
    assert model_file(tmp_path) is None
    older = tiny(tmp_path)
    newer = older.with_name("smart-turn-v3.2-cpu.onnx")
    older.rename(older.with_name("smart-turn-v3.1-cpu.onnx"))
    newer.write_bytes(b"")
    (tmp_path / "smart_turn" / "other.onnx").write_bytes(b"")
    assert model_file(tmp_path) == newer


@pytest.mark.extra("speech download smart_turn", "onnxruntime")
async def test_the_real_model_tells_a_whole_sentence_from_half_of_one(speech_of: Speak) -> None:
    path = model_file(Settings().models_path)
    if path is None:
        pytest.skip("no model is there (antiphon speech download smart_turn)")
    found = SmartTurn(path)
    await found.load()
    silence = bytes(RATE * 2 // 5)
    whole = [await found.probability(speech_of(text) + silence) for text in ("Tell me a joke.", "Good morning.")]
    half = [
        await found.probability(speech_of(text) + silence)
        for text in ("And then I went to the", "I would like to know,")
    ]
    found.close()
    assert min(whole) > smart_turn.DONE > max(half)
