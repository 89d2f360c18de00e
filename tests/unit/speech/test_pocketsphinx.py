"""The default recogniser: what it must hear, and that nobody waits for somebody else's recording."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from benchmarks.utterances import CONDITIONS, errors, utterances

from antiphon.brain.offline.phrases import spoken_phrases
from antiphon.config import Settings
from antiphon.domain.errors import SpeechBusy
from antiphon.domain.speech import LISTENING_RATE, Transcript
from antiphon.speech.chain import Link
from antiphon.speech.engine import Surroundings
from antiphon.speech.engines import surroundings
from antiphon.speech.listening import ListeningChain
from antiphon.speech.stt.pocketsphinx import Config, PocketSphinx

SENTENCES = ("what time is it", "set a timer for five minutes", "tell me a joke", "turn the volume up", "help me")

LONG = (
    "the weather is nice today and people are walking along the river",
    "with their children and their dogs while the sun goes down",
    "and then all of them come home and cook a large dinner for their friends",
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[PocketSphinx]:
    made = PocketSphinx(
        Config(general=False), Surroundings(models=tmp_path, phrases=lambda: [*SENTENCES, *spoken_phrases()[::3]])
    )
    yield made
    await made.aclose()


@pytest.fixture(scope="module")
def spoken() -> list[tuple[str, bytes]]:
    made = utterances(sentences=SENTENCES, voices=("espeak en-us",), conditions=CONDITIONS[:2])
    return [(utterance.text, utterance.pcm) for utterance in made]


@pytest.fixture(scope="module")
def long_speech() -> bytes:
    """One piece of it."""
    (speech,) = utterances(sentences=[" ".join(LONG)], voices=("espeak en-us",), conditions=CONDITIONS[:1])
    assert 10 < speech.seconds < 15
    return speech.pcm


async def test_commands_are_heard(engine: PocketSphinx, spoken: list[tuple[str, bytes]]) -> None:
    """A handful of sentences; `make bench ONLY=speech` measures all voices and conditions."""
    wrong = words = 0
    for text, pcm in spoken:
        heard = await engine.recognize(pcm)
        wrong += errors(text, heard.text)
        words += len(text.split())
        assert [word.text for word in heard.words] == heard.text.split()
    assert wrong / words < 0.2


async def test_interim_transcripts_grow_towards_the_final(
    engine: PocketSphinx, spoken: list[tuple[str, bytes]]
) -> None:
    text, pcm = next(one for one in spoken if one[0].startswith("set a timer"))
    await engine.load()
    async with aclosing(engine.stream()) as stream:

        async def read() -> list[Transcript]:
            heard: list[Transcript] = []
            async for transcript in stream:
                heard.append(transcript)
                if transcript.final:
                    break
            return heard

        reading = asyncio.create_task(read())
        for begin in range(0, len(pcm), 6400):
            stream.push(pcm[begin : begin + 6400])
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        stream.end_utterance()
        async with asyncio.timeout(20):
            *interim, final = await reading
    assert any(transcript.text.startswith("set a") for transcript in interim)
    assert errors(text, final.text) <= 1


async def test_silence_and_hiss_are_nobody(engine: PocketSphinx) -> None:
    for level in (0, 5, 200):
        hiss = np.random.default_rng(1).standard_normal(3 * LISTENING_RATE) * level
        assert (await engine.recognize(hiss.astype("<i2").tobytes())).text == ""


async def test_ten_minutes_are_recognised_and_others_are_heard_meanwhile(
    engine: PocketSphinx, spoken: list[tuple[str, bytes]]
) -> None:
    text, pcm = spoken[0]
    pause = bytes(20 * LISTENING_RATE * 2)
    once = pcm + pause
    long = once * (600 * LISTENING_RATE * 2 // len(once))
    recording = asyncio.create_task(engine.recognize(long))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    heard = await engine.recognize(pcm)
    waited = time.monotonic() - begun
    assert not recording.done(), "the recording was recognised before the other one could be heard"
    assert errors(text, heard.text) <= 1
    whole = await recording
    assert whole.text.count("time is it") > 20
    assert whole.words[-1].end > 560
    assert waited < time.monotonic() - begun - waited


async def test_a_dozen_who_end_at_once_are_all_answered(engine: PocketSphinx, spoken: list[tuple[str, bytes]]) -> None:
    """More work than the engine may be silent for, with one core among others; nobody runs into that time."""
    text, pcm = spoken[0]
    chain = ListeningChain([Link(engine, "pocketsphinx", frozenset({"en"}))], language="en", timeout_seconds=10)
    await engine.load()

    async def one() -> str:
        async with aclosing(chain.stream()) as stream:
            for begin in range(0, len(pcm), 640):
                stream.push(pcm[begin : begin + 640])
            stream.end_utterance()
            async for transcript in stream:
                if transcript.final:
                    return transcript.text
        return ""

    async with asyncio.timeout(60):
        heard = await asyncio.gather(*(one() for _ in range(12)))
    assert all(errors(text, one) <= 1 for one in heard), heard


async def test_when_too_many_end_at_once_the_last_are_refused_and_not_left_waiting(
    tmp_path: Path, spoken: list[tuple[str, bytes]]
) -> None:
    engine = PocketSphinx(
        Config(general=False, waiting_seconds=0.3),
        Surroundings(models=tmp_path, phrases=lambda: SENTENCES),
    )
    refused: list[float] = []
    heard: list[str] = []
    (text, pcm), *_ = spoken

    async def one() -> None:
        # Whose process is not there yet: all of it comes to it at once.
        async with aclosing(engine.stream()) as stream:
            stream.push(pcm)
            stream.end_utterance()
            try:
                async for transcript in stream:
                    if transcript.final:
                        heard.append(transcript.text)
                        return
            except SpeechBusy:
                refused.append(time.monotonic())

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(one() for _ in range(12)))
            assert refused
            assert heard
            assert len(refused) + len(heard) == 12
            assert all(errors(text, one) <= 1 for one in heard)
            assert (await engine.recognize(pcm)).text, "it has time again"
    finally:
        await engine.aclose()


async def test_a_process_that_is_killed_in_the_middle_loses_nothing(
    engine: PocketSphinx, spoken: list[tuple[str, bytes]]
) -> None:
    """The chain gives the next process what was said so far."""
    text, pcm = next(one for one in spoken if one[0].startswith("set a timer"))
    chain = ListeningChain([Link(engine, "pocketsphinx", frozenset({"en"}))], language="en")
    async with aclosing(chain.stream()) as stream:
        stream.push(pcm[: len(pcm) // 4 * 2])

        async def read() -> str:
            async for transcript in stream:
                if transcript.final:
                    return transcript.text
            return ""

        reading = asyncio.create_task(read())
        while not engine.processes:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.02)
        os.kill(engine.processes[0], 9)
        stream.push(pcm[len(pcm) // 4 * 2 :])
        stream.end_utterance()
        async with asyncio.timeout(30):
            assert errors(text, await reading) <= 1


async def test_who_leaves_before_the_final_casts_no_doubt_on_the_process(
    tmp_path: Path, spoken: list[tuple[str, bytes]]
) -> None:
    """It says that it has heard of it: one that hangs does not, and is ended."""
    engine = PocketSphinx(Config(general=False), surroundings(Settings(data_dir=tmp_path), spoken_phrases))
    try:
        await engine.load()
        pid, engine._children[0]._still_seconds = engine.processes, 5.0
        async with aclosing(engine.stream()) as stream:
            reading = asyncio.ensure_future(anext(aiter(stream)))
            stream.push(spoken[0][1])
            stream.end_utterance()
            await asyncio.sleep(0.05)
            reading.cancel()
        async with asyncio.timeout(60):
            while engine._children[0]._doubted:  # noqa: ASYNC110 - what is tested has no event for it
                await asyncio.sleep(0.05)
        assert engine.processes == pid
    finally:
        await engine.aclose()


async def test_who_leaves_in_the_middle_of_long_speech_frees_the_process(
    tmp_path: Path, spoken: list[tuple[str, bytes]], long_speech: bytes
) -> None:
    """What nobody waits for is not finished first: its final never comes, and the next person has theirs."""
    engine = PocketSphinx(Config(), surroundings(Settings(data_dir=tmp_path), spoken_phrases))
    try:
        await engine.load()
        long, short = engine._children[0].line(), engine._children[0].line()
        async with asyncio.timeout(120):
            long.ask({"op": "hear"}, long_speech)
            long.ask({"op": "end"})
            for _ in range(4):  # of three decoders the last one has begun, and tells of each second
                assert "waits" in (await long.receive())[0]
            long.send({"op": "close"})
            short.ask({"op": "hear"}, spoken[0][1])
            short.ask({"op": "end"})
            while "done" not in (header := (await long.receive())[0]):
                assert "waits" in header
            assert "final" not in header
            while "final" not in (header := (await short.receive())[0]):
                assert "waits" in header or "partial" in header
            assert errors(spoken[0][0], header["final"]) <= 1
    finally:
        await engine.aclose()


def test_what_surrounds_an_engine_comes_from_the_settings(tmp_path: Path) -> None:
    around = surroundings(Settings(data_dir=tmp_path))
    assert around.models == tmp_path / "models"
    assert around.language == "en"
