"""A process that speaks: what two of its threads share, and voices that there are not."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.domain.errors import InvalidInput
from antiphon.speech.children.speaker import Speaker
from antiphon.speech.engine import Surroundings
from antiphon.speech.tts.espeak import Config, Espeak


class Silent(Speaker):
    """Without a library and the pipe."""

    def __init__(self) -> None:
        self._stopped: set[int] = set()

    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        del number, header


@pytest.fixture
def _by_turns() -> Iterator[None]:
    """Threads take turns at nearly every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_by_turns")
def test_a_stop_that_comes_while_old_ones_are_forgotten_is_kept() -> None:
    speaker, later = Silent(), range(10_000, 12_000)
    done = threading.Event()

    def read() -> None:
        for number in later:
            speaker.taken({"stop": True, "id": number}, b"")
        done.set()

    reading = threading.Thread(target=read)
    reading.start()
    number = 0
    while not done.is_set():
        speaker.forget(number := number + 1)
    reading.join()
    assert all(map(speaker.stopped, later))
    speaker.forget(later[-2])
    assert [number for number in later if speaker.stopped(number)] == [later[-1]]


@pytest.mark.parametrize(
    "voice", ["nope", "\ud800", "en+\udfff", "../../../etc/passwd", "en+../../x", "en\0", "x" * 5_000]
)
async def test_a_voice_that_is_none_is_refused_and_the_process_goes_on(voice: str) -> None:
    engine = Espeak(Config(), Surroundings(models=Path("models")))
    try:
        await engine.load()
        pid = engine._child.pid
        with pytest.raises(InvalidInput, match="there is no voice"):
            _ = [chunk async for chunk in engine.synthesize("One two.", voice=voice)]
        assert [chunk async for chunk in engine.synthesize("One two.")]
        assert engine._child.pid == pid
    finally:
        await engine.aclose()
