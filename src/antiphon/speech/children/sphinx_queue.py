"""Whose utterance is recognised next, whether there is time to ask a second model, and who is told that it is too late.
Used by `children/sphinx` alone.

People wait in the order in which they ended. What is long is done piece by piece, and its next piece goes behind
everybody who came meanwhile. Who would wait longer than is bearable is refused at once, and who does wait longer,
because the machine got slower, is refused then: another engine, or another try, does better than an answer nobody
waits for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RATE = 16_000
Audio = np.ndarray[Any, np.dtype[np.int16]]
_FIRST_PACE, _FIRST_SECOND_PACE = 0.1, 0.4
"""Seconds that one second of speech takes with our model, and with the other one, until it was measured."""
_NEWER = 0.2
"""Share of the newest measurement in a pace."""
_PATIENCE = 1.5
"""Seconds that the others may wait so that the second model can be asked about a piece."""
_TELL_EVERY = 1.0


@dataclass(slots=True)
class Job:
    """An utterance to be recognised, piece by piece: where each begins, in samples, and its sound."""

    id: int
    pieces: deque[tuple[int, Audio]]
    found: list[Any] = field(default_factory=list[Any])
    asked: float = 0.0
    begun: bool = False

    @property
    def next_seconds(self) -> float:
        """How long its next piece lasts."""
        return len(self.pieces[0][1]) / RATE if self.pieces else 0.0


class Queue:
    """The jobs of one process. `longest` is how long one may wait for its turn, in seconds."""

    def __init__(self, longest: float, now: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._now = now
        self._jobs: deque[Job] = deque()
        self._pace, self._second_pace = _FIRST_PACE, _FIRST_SECOND_PACE
        self._told = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def wait(self) -> float:
        """Seconds until one who came now would have their turn: a piece of everybody else, with our model alone."""
        return self._pace * sum(job.next_seconds for job in self._jobs)

    def add(self, job: Job) -> bool:
        """Take it in; False when it would wait for too long."""
        job.asked = self._now()
        if self.wait > self._longest:
            return False
        self._jobs.append(job)
        return True

    def again(self, job: Job) -> None:
        """Its next piece, behind the others."""
        self._jobs.append(job)

    def drop(self, number: int) -> None:
        """Nobody waits for these any more."""
        self._jobs = deque(job for job in self._jobs if job.id != number)

    def next(self) -> Job | None:
        """Whose turn it is."""
        if not self._jobs:
            return None
        job = self._jobs.popleft()
        job.begun = True
        return job

    def late(self) -> Iterator[Job]:
        """Those who have waited for too long; they are taken out."""
        before = self._now() - self._longest
        late = [job for job in self._jobs if not job.begun and job.asked < before]
        for job in late:
            self._jobs.remove(job)
        return iter(late)

    def waiting(self) -> Iterator[Job]:
        """Those who are to be told that it goes on, now and then."""
        now = self._now()
        if now - self._told < _TELL_EVERY:
            return iter(())
        self._told = now
        return iter(tuple(self._jobs))

    def patient(self, piece: Audio) -> bool:
        """Whether there is time to ask the second model about a piece, for all that wait behind it."""
        return not self._jobs or self.wait + self._second_pace * len(piece) / RATE <= _PATIENCE

    def took(self, piece: Audio, seconds: float, *, second: bool = False) -> None:
        """Note how long a model took for a piece."""
        pace = seconds * RATE / max(len(piece), RATE // 2)
        if second:
            self._second_pace += _NEWER * (pace - self._second_pace)
        else:
            self._pace += _NEWER * (pace - self._pace)
