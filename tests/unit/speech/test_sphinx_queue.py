"""Whose utterance the default recogniser hears next, and who is refused."""

from __future__ import annotations

from collections import deque

import numpy as np

from antiphon.speech.children.sphinx_queue import RATE, Job, Queue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def job(number: int, *seconds: float) -> Job:
    """One with pieces of so many seconds."""
    return Job(number, deque((0, np.zeros(int(length * RATE), np.int16)) for length in seconds))


def queue(longest: float = 10.0, *, pace: float = 0.1) -> tuple[Queue, Clock]:
    """One whose machine takes `pace` seconds for a second of speech."""
    clock = Clock()
    made = Queue(longest, clock)
    for _ in range(50):
        made.took(np.zeros(RATE, np.int16), pace)
        made.took(np.zeros(RATE, np.int16), 4 * pace, second=True)
    return made, clock


def test_a_long_recording_lets_the_others_go_before_its_next_piece() -> None:
    line, _ = queue()
    for one in (job(1, 15, 15, 15), job(2, 2), job(3, 2)):
        assert line.add(one)
    turns: list[int] = []
    while (one := line.next()) is not None:
        turns.append(one.id)
        one.pieces.popleft()
        if one.pieces:
            line.again(one)
        if len(turns) == 2:
            assert line.add(job(4, 2))
    assert turns == [1, 2, 3, 1, 4, 1]


def test_who_would_wait_for_too_long_is_refused_at_once() -> None:
    line, _ = queue(10, pace=0.5)
    taken = [line.add(job(number, 4)) for number in range(10)]
    assert taken == [True] * 6 + [False] * 4  # two seconds of work each: the seventh would wait for twelve
    assert len(line) == 6


def test_a_machine_that_got_slower_refuses_those_it_took_in() -> None:
    line, clock = queue(10)
    begun, waits, new = job(1, 15, 15), job(2, 2), job(3, 2)
    line.add(begun)
    line.add(waits)
    assert line.next() is begun
    clock.now += 11
    begun.pieces.popleft()
    line.again(begun)
    line.add(new)
    assert list(line.late()) == [waits], "what was begun is brought to its end, and who came later has time"
    assert [one.id for one in (line.next(), line.next()) if one] == [1, 3]
    assert line.next() is None


def test_whoever_goes_away_frees_their_place() -> None:
    line, _ = queue(1, pace=0.5)
    assert line.add(job(1, 4))
    assert not line.add(job(2, 4))
    line.drop(1)
    assert line.wait == 0
    assert line.add(job(2, 4))


def test_the_second_model_is_asked_while_nobody_waits_for_long_behind_it() -> None:
    line, _ = queue()
    piece = np.zeros(3 * RATE, np.int16)
    assert line.patient(np.zeros(15 * RATE, np.int16)), "nobody waits at all"
    line.add(job(1, 2))
    assert line.patient(piece)
    for number in range(2, 9):
        line.add(job(number, 2))
    assert not line.patient(piece)


def test_those_who_wait_are_told_each_second_that_it_goes_on() -> None:
    line, clock = queue()
    line.add(job(1, 2))
    line.add(job(2, 2))
    assert [one.id for one in line.waiting()] == [1, 2]
    clock.now += 0.5
    assert not list(line.waiting())
    line.next()
    clock.now += 0.6
    assert [one.id for one in line.waiting()] == [2]
