"""Chains of engines: an engine that fails, hangs or does not know the language does not lose what was said."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import RecognitionStream, SpeechChunk, SpeechToText, Transcript
from antiphon.speech.chain import Link
from antiphon.speech.engines import Speech
from antiphon.speech.listening import ListeningChain
from antiphon.speech.speaking import SpeakingChain
from tests.fakes.speech import FakeListener, FakeSpeaker, seconds
from tests.fakes.virtual_time import run_virtually

PIECE = b"\1\0" * 320


def listening(*engines: FakeListener, english_only: int = -1) -> ListeningChain:
    links: list[Link[SpeechToText]] = [
        Link(engine, engine.name, frozenset({"en"}) if number == english_only else frozenset())
        for number, engine in enumerate(engines)
    ]
    return ListeningChain(links, language="en", timeout_seconds=5, resting_seconds=30)


def speaking(*engines: FakeSpeaker) -> SpeakingChain:
    return SpeakingChain([Link(e, e.name) for e in engines], language="en", timeout_seconds=5, resting_seconds=30)


async def finals(stream: RecognitionStream, count: int) -> list[str]:
    found: list[str] = []
    async for transcript in stream:
        if transcript.final:
            found.append(transcript.text)
            if len(found) == count:
                break
    return found


def test_the_first_engine_recognises_while_it_works() -> None:
    async def run() -> Transcript:
        first, second = FakeListener("first"), FakeListener("second")
        heard = await listening(first, second).recognize(PIECE)
        assert not second.languages
        return heard

    assert run_virtually(run()).text == "heard 640 bytes"


def test_the_next_engine_hears_what_was_pushed_before_the_failure() -> None:
    async def run() -> list[str]:
        first, second = FakeListener("first", fails_after=3 * len(PIECE)), FakeListener("second")
        async with aclosing(listening(first, second).stream()) as stream:
            task = asyncio.create_task(finals(stream, 1))
            for _ in range(10):
                stream.push(PIECE)
                await asyncio.sleep(0.02)
            stream.end_utterance()
            found = await task
        assert first.streams[0].closed
        assert second.streams[0].closed
        return found

    assert run_virtually(run()) == ["heard 6400 bytes"]


def test_what_has_its_final_is_not_heard_again() -> None:
    async def run() -> list[str]:
        first, second = FakeListener("first", fails_after=5 * len(PIECE)), FakeListener("second")
        async with aclosing(listening(first, second).stream()) as stream:
            task = asyncio.create_task(finals(stream, 2))
            stream.push(PIECE)
            stream.end_utterance()
            await asyncio.sleep(1)
            for _ in range(6):
                stream.push(PIECE)
            stream.end_utterance()
            return await task

    assert run_virtually(run()) == ["heard 640 bytes", "heard 3840 bytes"]


def test_an_engine_that_hangs_is_given_up_in_time() -> None:
    async def run() -> tuple[list[str], float]:
        first, second = FakeListener("first", hangs=True), FakeListener("second")
        async with aclosing(listening(first, second).stream()) as stream:
            task = asyncio.create_task(finals(stream, 1))
            stream.push(PIECE)
            stream.end_utterance()
            return await task, asyncio.get_running_loop().time()

    assert run_virtually(run()) == (["heard 640 bytes"], 5.0)


def test_an_engine_that_says_it_is_at_work_is_no_hanging_one() -> None:
    """Its time begins anew with each sign; five seconds after the last one it is given up all the same."""

    async def run(*, hangs: bool) -> tuple[list[str], float, int]:
        first, second = FakeListener("first", hangs=hangs), FakeListener("second")
        first.behind = 20
        async with aclosing(listening(first, second).stream()) as stream:
            heard: list[Transcript] = []
            stream.push(PIECE)
            stream.end_utterance()
            async for transcript in stream:
                heard.append(transcript)
                if transcript.final:
                    break
            texts = [transcript.text for transcript in heard if transcript.final or not transcript.text]
            return texts, asyncio.get_running_loop().time(), len(second.streams)

    assert run_virtually(run(hangs=False)) == (["heard 640 bytes"], 20.0, 0)
    assert run_virtually(run(hangs=True)) == (["heard 640 bytes"], 25.0, 1)


def test_a_busy_engine_is_helped_out_and_asked_again_with_the_next_sentence() -> None:
    async def run() -> list[list[str]]:
        first, second = FakeListener("first"), FakeListener("second")
        first.busy = True
        chain = listening(first, second)
        async with aclosing(chain.stream()) as stream:
            stream.push(PIECE)
            stream.end_utterance()
            assert await finals(stream, 1) == ["heard 640 bytes"]
        await chain.recognize(PIECE)
        first.busy = False
        await chain.recognize(PIECE)
        return [first.languages, second.languages]

    assert run_virtually(run()) == [["en"] * 3, ["en"] * 2]


def test_when_everybody_is_busy_the_caller_is_told_so_at_once() -> None:
    async def run() -> float:
        first, second = FakeListener("first"), FakeListener("second")
        first.busy = second.busy = True
        chain = listening(first, second)
        with pytest.raises(SpeechBusy, match=r"first is busy\.; second is busy\."):
            await chain.recognize(PIECE)
        async with aclosing(chain.stream()) as stream:
            stream.push(PIECE)
            stream.end_utterance()
            with pytest.raises(SpeechBusy):
                await finals(stream, 1)
        second.busy, second.fails_after = False, 0
        with pytest.raises(SpeechError) as caught:
            await chain.recognize(PIECE)
        assert not isinstance(caught.value, SpeechBusy), "one of them broke"
        return asyncio.get_running_loop().time()

    assert run_virtually(run()) == 0


def test_a_person_who_is_silent_is_no_hanging_engine() -> None:
    async def run() -> int:
        first, second = FakeListener("first"), FakeListener("second")
        async with aclosing(listening(first, second).stream()) as stream:
            task = asyncio.create_task(finals(stream, 1))
            stream.push(PIECE)
            await asyncio.sleep(3600)
            stream.end_utterance()
            await task
        return len(second.streams)

    assert run_virtually(run()) == 0


def test_when_all_fail_the_error_names_each() -> None:
    async def run() -> str:
        chain = listening(FakeListener("first", fails_after=0), FakeListener("second", fails_after=0))
        with pytest.raises(SpeechError) as caught:
            await chain.recognize(PIECE)
        async with aclosing(chain.stream()) as stream:
            stream.push(PIECE)
            with pytest.raises(SpeechError):
                await finals(stream, 1)
        return caught.value.message

    assert run_virtually(run()) == "first broke.; second broke."


def test_an_engine_that_failed_rests_and_comes_back() -> None:
    async def run() -> list[str]:
        first, second = FakeListener("first", fails_after=0), FakeListener("second")
        chain = listening(first, second)
        await chain.recognize(PIECE)
        first.fails_after = None
        first.languages.clear()
        await chain.recognize(PIECE)
        rested = list(first.languages)
        await asyncio.sleep(31)
        await chain.recognize(PIECE)
        return [*rested, *first.languages]

    assert run_virtually(run()) == ["en"]


def test_an_engine_is_not_asked_for_a_language_it_does_not_know() -> None:
    async def run() -> tuple[list[str], list[str], str]:
        first, second = FakeListener("first"), FakeListener("second")
        await listening(first, second, english_only=0).recognize(PIECE, language="de-DE")
        with pytest.raises(InvalidInput) as caught:
            await listening(FakeListener("alone"), english_only=0).recognize(PIECE, language="de")
        return first.languages, second.languages, caught.value.message

    first, second, message = run_virtually(run())
    assert (first, second) == ([], ["de-DE"])
    assert "understands de" in message


def test_closing_a_stream_ends_its_iteration_and_nothing_is_left_behind() -> None:
    async def run() -> int:
        engine = FakeListener("first")
        stream = listening(engine).stream()
        task = asyncio.create_task(finals(stream, 5))
        stream.push(PIECE)
        await asyncio.sleep(1)
        await stream.aclose()
        assert await task == []
        assert engine.streams[0].closed
        return len(asyncio.all_tasks())

    assert run_virtually(run()) == 1


def test_a_speaker_that_fails_is_followed_at_the_word_it_was_at() -> None:
    async def run() -> tuple[list[str], list[str], list[str]]:
        text = "One two three four five."
        first, second = FakeSpeaker("first", fails_after=3), FakeSpeaker("second")
        chain = speaking(first, second)
        words = [word async for chunk in chain.synthesize(text) for word in chunk.words]
        assert [text[w.start : w.end] for w in words] == ["One", "two", "three", "three", "four", "five."]
        assert [round(w.at, 3) for w in words] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
        return first.spoken, second.spoken, second.voices_used

    assert run_virtually(run()) == (["One", "two", "three"], ["three", "four", "five."], [""])


def test_without_word_times_the_sentence_is_spoken_again() -> None:
    async def run() -> list[str]:
        first = FakeSpeaker("first", fails_after=4, knows_words=False)
        second = FakeSpeaker("second", knows_words=False)
        _ = [chunk async for chunk in speaking(first, second).synthesize("I am here. Now I go on. And on.")]
        return second.spoken

    assert run_virtually(run())[-5:] == ["I", "go", "on.", "And", "on."]


def test_the_sample_rate_stays_that_of_the_first_engine() -> None:
    async def run() -> tuple[float, int]:
        chain = speaking(FakeSpeaker("first", rate=16_000, fails_after=2), FakeSpeaker("second", rate=24_000))
        await chain.load()
        chunks: list[SpeechChunk] = [chunk async for chunk in chain.synthesize("one two three four")]
        return seconds(chunks, 16_000), chain.sample_rate

    length, rate = run_virtually(run())
    assert rate == 16_000
    assert length == pytest.approx(0.5, abs=0.01)


def test_only_engines_that_know_the_language_count_as_ready_for_it() -> None:
    class Broken(FakeListener):
        async def load(self) -> None:
            raise SpeechError("The model is missing; antiphon speech download fetches it.")

    async def run() -> int:
        english = FakeListener("english")
        chain = listening(Broken("broken"), english, english_only=1)
        voice = speaking(FakeSpeaker("voice", rate=24_000))
        await Speech(chain, voice).load("en-GB")
        assert voice.sample_rate == 24_000
        with pytest.raises(SpeechError, match="antiphon speech download"):
            await chain.load("de")
        return english.loaded

    assert run_virtually(run()) == 1


def test_a_speaker_that_hangs_is_followed_in_time() -> None:
    async def run() -> tuple[list[str], float, int]:
        first, second = FakeSpeaker("first", fails_after=1, hangs=True), FakeSpeaker("second")
        _ = [chunk async for chunk in speaking(first, second).synthesize("one two")]
        return second.spoken, asyncio.get_running_loop().time(), first.running

    assert run_virtually(run()) == (["one", "two"], 5.0, 0)


def test_a_voice_that_an_engine_does_not_know_is_no_reason_to_leave_it_alone() -> None:
    """One caller's mistake takes nobody else's engine away."""

    async def run() -> tuple[str, list[str], list[str]]:
        first, second = FakeSpeaker("first", refuses=("anna",)), FakeSpeaker("second")
        with pytest.raises(InvalidInput) as caught:
            _ = [chunk async for chunk in speaking(first).synthesize("one", voice="anna")]
        chain = speaking(first, second)
        _ = [chunk async for chunk in chain.synthesize("two", voice="anna")]
        _ = [chunk async for chunk in chain.synthesize("three")]
        return caught.value.message, first.spoken, second.spoken

    message, first, second = run_virtually(run())
    assert "no voice anna" in message
    assert (first, second) == (["three"], ["two"])


def test_a_chosen_voice_is_that_of_the_first_engine_alone() -> None:
    async def run() -> tuple[list[str], list[str]]:
        first, second = FakeSpeaker("first", fails_after=0), FakeSpeaker("second")
        _ = [chunk async for chunk in speaking(first, second).synthesize("hello", voice="anna")]
        return first.voices_used, second.voices_used

    assert run_virtually(run()) == (["anna"], [""])
