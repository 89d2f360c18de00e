"""An engine's own process dies, hangs, prints, does not start: nobody waits for ever, and nothing is left running."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.domain.errors import SpeechError
from antiphon.speech.child import Child, ChildGone, Frame
from antiphon.speech.child_voice import speak


@pytest.fixture(autouse=True)
def _finds_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]))


def child(start: str = "", **options: Any) -> Child:
    async def set_up() -> Frame:
        return {"start": start}, b""

    return Child("test", "tests.fakes.speech_child", set_up=set_up, **options)


async def ask(one: Child, header: Mapping[str, Any], payload: bytes = b"") -> Frame:
    await one.start()
    line = one.line()
    try:
        line.ask(header, payload)
        async with asyncio.timeout(10):
            return await line.receive()
    finally:
        line.close()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_frames_go_there_and_back() -> None:
    one = child()
    header, _ = await ask(one, {"say": "grüße"}, bytes(100_000))
    assert (header["said"], header["size"]) == ("grüße", 100_000)
    pid = one.pid
    assert pid is not None
    await one.aclose()
    await one.aclose()
    assert not runs(pid)
    with pytest.raises(SpeechError):
        await one.start()


async def test_what_a_library_prints_is_not_mistaken_for_frames() -> None:
    one = child()
    await ask(one, {"do": "print"})
    header, _ = await ask(one, {"say": "still there"})
    assert header["said"] == "still there"
    await one.aclose()


async def test_modules_of_the_working_directory_are_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    one = child()
    header, _ = await ask(one, {"say": "hello"})
    assert header["said"] == "hello"
    await one.aclose()


async def test_a_process_that_dies_tells_everybody_and_is_replaced() -> None:
    one = child()
    await one.start()
    waiting = one.line()
    waiting.ask({"do": "nothing"})
    await waiting.receive()
    with pytest.raises(ChildGone):
        await ask(one, {"do": "die"})
    with pytest.raises(ChildGone):
        await waiting.receive()
    header, _ = await ask(one, {"say": "again"})
    assert header["said"] == "again"
    await one.aclose()


async def test_a_process_that_hangs_is_ended() -> None:
    one = child(still_seconds=0.3)
    with pytest.raises(ChildGone):
        await ask(one, {"do": "hang"})
    header, _ = await ask(one, {"say": "again"})
    assert header["said"] == "again"
    await one.aclose()


async def test_a_process_that_hangs_is_ended_though_those_who_waited_have_left() -> None:
    """Sessions lose their patience sooner than the process does; each of them would else meet the same one again."""
    one = child(still_seconds=0.3)
    await one.start()
    hanging = one.pid
    line = one.line()
    line.ask({"do": "hang"})
    line.close()
    async with asyncio.timeout(10):
        while one.pid == hanging:  # noqa: ASYNC110 - what is tested has no event for it
            await asyncio.sleep(0.02)
    header, _ = await ask(one, {"say": "again"})
    assert header["said"] == "again"
    await one.aclose()


async def test_who_leaves_a_process_that_has_died_casts_no_doubt_on_the_next_one() -> None:
    one = child(still_seconds=0.3)
    await one.start()
    line = one.line()
    line.ask({"do": "nothing"})
    line.ask({"do": "die"})
    await line.receive()
    with pytest.raises(ChildGone):
        await line.receive()
    await one.start()
    pid = one.pid
    line.close()
    await asyncio.sleep(0.9)
    assert one.pid == pid
    await one.aclose()


async def test_a_process_that_answers_though_nobody_waits_any_more_goes_on() -> None:
    one = child(still_seconds=0.3)
    await one.start()
    pid = one.pid
    line = one.line()
    line.ask({"say": "hello"})
    line.close()
    await asyncio.sleep(0.9)
    assert one.pid == pid
    await one.aclose()


async def test_a_listener_who_says_nothing_is_no_hanging_process() -> None:
    one = child(still_seconds=0.1)
    await one.start()
    pid = one.pid
    line = one.line()
    await asyncio.sleep(0.4)
    assert one.pid == pid
    line.close()
    await one.aclose()


async def test_rubbish_ends_the_process_and_not_us() -> None:
    one = child()
    with pytest.raises(ChildGone):
        await ask(one, {"do": "rubbish"})
    await one.aclose()


async def test_a_process_that_cannot_start_says_why() -> None:
    one = child("fail")
    with pytest.raises(SpeechError, match="there is no model"):
        await one.start()
    await one.aclose()


async def test_a_process_that_does_not_get_ready_is_given_up() -> None:
    one = child("hang", ready_seconds=0.5)
    with pytest.raises(SpeechError, match="does not start"):
        await one.start()
    await one.aclose()


async def test_a_process_that_dies_again_and_again_is_left_alone() -> None:
    one = child()
    for _ in range(5):
        with pytest.raises(ChildGone):
            await ask(one, {"do": "die"})
    with pytest.raises(SpeechError, match="left alone"):
        await one.start()
    await one.aclose()


async def test_a_process_that_nobody_uses_ends_and_comes_back() -> None:
    one = child(idle_seconds=0.1)
    await one.start()
    pid = one.pid
    assert pid is not None
    async with asyncio.timeout(5):
        while runs(pid):  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.02)
    header, _ = await ask(one, {"say": "again"})
    assert header["said"] == "again"
    await one.aclose()


async def test_twenty_at_once_start_one_process() -> None:
    one = child()
    answers = await asyncio.gather(*(ask(one, {"say": str(number)}) for number in range(20)))
    assert [header["said"] for header, _ in answers] == [str(number) for number in range(20)]
    await one.aclose()


async def test_speaking_goes_on_at_the_word_at_which_the_process_died(monkeypatch: pytest.MonkeyPatch) -> None:
    one = child()
    text = "one two die three. Four five."
    heard: list[str] = []
    async for chunk in speak(one, text, {}):
        heard += [text[word.start : word.end] for word in chunk.words]
        monkeypatch.setenv("NEVER", "1")  # the process that replaces it lives
    assert heard == ["one", "two", "two", "die", "three.", "Four", "five."]
    await one.aclose()
