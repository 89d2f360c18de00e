"""The recogniser that is a plugin for LiveKit Agents: what is said before it is loaded, and what is said for long."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, SpeechToText
from antiphon.speech.chain import Link
from antiphon.speech.engine import Surroundings
from antiphon.speech.listening import ListeningChain
from antiphon.speech.stt import livekit
from tests.fakes import livekit_plugin
from tests.fakes.speech import FakeListener

SECOND = b"\1\0" * LISTENING_RATE


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    livekit_plugin.install(monkeypatch)


def listener(**options: Any) -> SpeechToText:
    config = livekit.Config(plugin="fake", options=options)
    return livekit.ENGINE.make(config, Surroundings(models=Path("models")))


async def heard(engine: SpeechToText, seconds: int) -> str:
    """The final of an utterance that is over before anybody listens to the engine."""
    async with aclosing(engine.stream()) as stream:
        for _ in range(seconds):
            stream.push(SECOND)
        stream.end_utterance()
        async for transcript in stream:
            if transcript.final:
                return transcript.text
    return "nothing"


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_is_said_before_the_plugin_is_loaded_is_heard_whole(streaming: bool) -> None:
    engine = listener(streaming=streaming)
    assert await heard(engine, 100) == f"{100 * LISTENING_RATE} samples"
    await engine.aclose()


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_plugin_that_steps_in_late_hears_the_sentence_from_its_beginning(streaming: bool) -> None:
    engine, first = listener(streaming=streaming), FakeListener("first", fails_after=90 * len(SECOND))
    chain = ListeningChain([Link(first, "first"), Link(engine, "livekit:fake")], language="en")
    assert await heard(chain, 100) == f"{100 * LISTENING_RATE} samples"
    await engine.aclose()


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_long_recording_is_heard_whole(streaming: bool) -> None:
    engine = listener(streaming=streaming)
    assert (await engine.recognize(SECOND * 200)).text == f"{200 * LISTENING_RATE} samples"
    await engine.aclose()


async def test_a_plugin_that_breaks_is_a_failure_of_the_engine() -> None:
    engine = listener(breaks=True)
    with pytest.raises(SpeechError, match="The plugin failed"):
        await heard(engine, 1)
    with pytest.raises(SpeechError, match="The plugin failed"):
        await engine.recognize(SECOND)
    await engine.aclose()
