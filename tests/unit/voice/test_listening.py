"""The recogniser hears what belongs to an utterance, whether its sound comes in time or all at once."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.config.speech import SpeechSettings
from antiphon.domain.speech import LISTENING_RATE, RecognitionStream, SpeechToText
from antiphon.speech.chain import Link
from antiphon.speech.listening import ListeningChain
from antiphon.voice.engine_ends import WINDOW
from antiphon.voice.listening import BEFORE_FRAMES, Listening
from antiphon.voice.transports.transport import FRAME_SAMPLES
from tests.fakes.speech import FakeListener, FakeRecognition
from tests.fakes.virtual_time import run_virtually

BEGINS, ENDS, ALL = 100, 180, 200
"""Frames: where the detection notices a beginning, where it notices the end, and how many come."""


class _Recording(FakeRecognition):
    """Keeps what each utterance was given, as the numbers of frames."""

    def __init__(self, engine: FakeListener) -> None:
        super().__init__(engine)
        self.utterances: list[list[int]] = [[]]

    def push(self, pcm: bytes) -> None:
        super().push(pcm)
        step = FRAME_SAMPLES * 2
        self.utterances[-1] += [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), step)]

    def end_utterance(self) -> None:
        super().end_utterance()
        self.utterances.append([])


class _Engine(FakeListener):
    def stream(self, *, language: str = "", hints: object = ()) -> RecognitionStream:  # type: ignore[override]
        self.recording = _Recording(self)
        return self.recording


def _frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * FRAME_SAMPLES


@pytest.mark.parametrize("at_once", [1, 7, 50, ALL], ids=lambda count: f"{count} frames at once")
async def test_beginnings_and_ends_stay_where_they_are_when_sound_comes_in_bursts(at_once: int) -> None:
    engine = _Engine()
    listening = Listening(engine, language="en", failed=lambda code, words: None)
    heard = looked = 0
    while looked * WINDOW < (ALL - 2) * FRAME_SAMPLES:
        while heard < ALL and (heard * FRAME_SAMPLES < (looked + 1) * WINDOW or heard % at_once):
            listening.hear(_frame(heard))
            heard += 1
        listening.looked(WINDOW)
        looked += 1
        seen = looked * WINDOW // FRAME_SAMPLES
        if seen - BEGINS in (0, 1):
            listening.started()
        if seen - ENDS in (0, 1):
            listening.stopped()
    (said, rest) = engine.recording.utterances
    assert rest == []
    assert said == list(range(said[0], said[-1] + 1)), "nothing is missing in between"
    assert BEGINS - BEFORE_FRAMES <= said[0] <= BEGINS - BEFORE_FRAMES + 1
    assert ENDS - 1 <= said[-1] <= ENDS
    await listening.aclose()


async def test_what_nobody_looks_at_is_not_kept_for_ever() -> None:
    listening = Listening(FakeListener(), language="en", failed=lambda code, words: None)
    for number in range(60 * LISTENING_RATE // FRAME_SAMPLES):
        listening.hear(_frame(number))
    assert len(listening._ahead) * FRAME_SAMPLES <= 15 * LISTENING_RATE
    await listening.aclose()


async def test_a_language_that_nothing_understands_is_told_in_words() -> None:
    told: list[tuple[str, str]] = []
    chain = ListeningChain([Link(FakeListener(), "fake", frozenset({"en"}))], language="en")
    listening = Listening(chain, language="de", failed=lambda code, words: told.append((code, words)))
    listening.started()
    async with asyncio.timeout(5):
        while not told:  # noqa: ASYNC110 - what is tested has no event for it
            await asyncio.sleep(0.01)
    assert told[0][0] == "invalid"
    assert "understands de" in told[0][1]
    await listening.aclose()


def test_an_engine_that_hangs_is_followed_by_the_next_one_while_the_person_waits() -> None:
    """With the times of the default settings: the chain's patience ends before that of the session."""
    told: list[str] = []

    async def check() -> str:
        links: list[Link[SpeechToText]] = [
            Link(FakeListener(hangs=True), "first"),
            Link(FakeListener(says=["hello"]), "second"),
        ]
        chain = ListeningChain(links, language="en", timeout_seconds=SpeechSettings().timeout_seconds)
        listening = Listening(chain, language="", failed=lambda code, words: told.append(code))
        listening.started()
        listening.stopped()
        async for transcript in listening.transcripts():
            if transcript.final:
                break
        await listening.aclose()
        return transcript.text

    assert run_virtually(check()) == "hello"
    assert told == []
