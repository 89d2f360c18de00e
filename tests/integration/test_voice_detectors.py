"""Whole spoken sessions with each of the detectors that tell whether a person is done."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from antiphon.domain.health import PartState
from antiphon.domain.speech import EngineState
from antiphon.voice.detectors import SMART_TURN
from tests.fakes.tiny_turns import smart_turn
from tests.fixtures_voice import Speak
from tests.integration.test_voice_turns import ANSWER, SOUND, Talk, talking


async def waited(talk: Talk, speech_of: Speak) -> float:
    """Seconds from the end of a question to the first sound of its answer."""
    end = await talk.ear.say(speech_of(SOUND))
    await talk.until(lambda: talk.ear.first_sound)
    return talk.ear.first_sound[0] - end


async def test_who_is_not_done_is_waited_for_and_who_is_done_is_not(tmp_path: Path, speech_of: Speak) -> None:
    path = smart_turn(tmp_path / "models", logit=-4)
    async with talking(tmp_path, turn_detection="smart_turn", most_endpoint_seconds=1.5) as talk:
        assert await waited(talk, speech_of) > 1.3
        await talk.until(lambda: talk.voices.live.finished)
        assert talk.voices.live.finished[0].text.strip() == ANSWER
        assert (await talk.voices.service.options()).turns.state is EngineState.READY
    path.unlink()
    smart_turn(tmp_path / "models", logit=4)
    async with talking(tmp_path, turn_detection="smart_turn", most_endpoint_seconds=5) as talk:
        assert await waited(talk, speech_of) < 1.0 + 3 * talk.ear.late


async def test_livekits_model_takes_part_in_a_conversation(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, turn_detection="livekit", most_endpoint_seconds=1.5) as talk:
        assert await waited(talk, speech_of) < 2.0 + 3 * talk.ear.late
        await talk.until(lambda: talk.voices.store.turns[talk.key])
        (times,) = talk.voices.store.turns[talk.key].values()
        assert times.endpoint is not None


async def test_without_its_model_silence_decides_and_everybody_is_told(tmp_path: Path, speech_of: Speak) -> None:
    with capture_logs() as logs:
        async with talking(tmp_path, turn_detection="smart_turn", most_endpoint_seconds=5) as talk:
            assert await waited(talk, speech_of) < 1.0 + 3 * talk.ear.late
            turns = (await talk.voices.service.options()).turns
            assert (turns.name, turns.state) == (SMART_TURN, EngineState.NEEDS_MODEL)
            (part,) = [one for one in await talk.voices.service.parts() if one.name == "turns"]
            assert (part.state, part.remedy) == (PartState.OFF, "fetch it: antiphon speech download smart_turn")
    assert [one["wanted"] for one in logs if one["event"] == "voice.turns_by_silence"] == [SMART_TURN]


async def test_three_sessions_share_one_model(tmp_path: Path, speech_of: Speak) -> None:
    smart_turn(tmp_path / "models", logit=4)
    async with talking(tmp_path, says=["one"] * 3, turn_detection=SMART_TURN, most_endpoint_seconds=1.0) as talk:
        others = [await talk.voices.talk(room) for room in ("r2", "r3")]
        ears = [talk.ear, *(ear for _, ear, _ in others)]
        await asyncio.gather(*(ear.say(speech_of(SOUND), then=1.0) for ear in ears))
        assert all(ear.first_sound for ear in ears)
        for _, _, heard in others:
            await heard.aclose()
