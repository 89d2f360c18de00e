"""espeak-ng's own process: what two of its threads share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from antiphon.speech.children.espeak import Speaker


class Silent(Speaker):
    """Without the library and the pipe."""

    def __init__(self) -> None:
        self._stopped: set[int] = set()

    @property
    def stopped(self) -> set[int]:
        return self._stopped

    def forget(self, number: int) -> None:
        self._forget(number)


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
    assert speaker.stopped == set(later)
    speaker.forget(later[-2])
    assert speaker.stopped == {later[-1]}
