"""How much of what was sent into a room its person has heard, as their page tells.

A room carries sound without marks: nothing in it says which sample of ours a page is playing. So both sides look for
the same thing. A *run* is sound without a long pause, and its beginning is announced to the page (`sound {run}`). The
page counts from the first loud sample that it plays then, and says how far it is (`played {run, samples}`); which
sample of the run was the first loud one, we know. A page that is told `clear` plays nothing more until the next run.

A client that never said `hello` reports nothing: it is taken to hear everything `on_the_way` seconds after it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from antiphon.voice.transports.transport import RATE

LOUD = 328
"""A sample beyond it is loud: a hundredth of full scale. The page uses the same."""
PAUSE_SECONDS = 0.3
"""After so long without sound a new run begins. The page, which may hear a pause shortened, looks for 60 ms."""


@dataclass(slots=True)
class _Piece:
    """Sound that was sent without a gap: where it begins in what the room carries since the run began, and in what was
    written of the run."""

    carried: int
    written: int


@dataclass(slots=True)
class _Run:
    start: int
    """What had been played before it."""
    began: float
    pieces: list[_Piece] = field(default_factory=lambda: [_Piece(0, 0)])
    written: int = 0
    loud_from: int | None = None
    """Where its first loud sample is carried."""
    heard: int = 0
    open: bool = True

    def add(self, pcm: bytes) -> None:
        """Note sound that follows what was added before, or the gap that the last piece begins after."""
        if self.loud_from is None:
            loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > LOUD)
            if len(loud):
                self.loud_from = self.pieces[-1].carried + self.written - self.pieces[-1].written + int(loud[0])
        self.written += len(pcm) // 2

    def written_at(self, carried: int) -> int:
        """How much of what was written is over at a place of what is carried."""
        ends = [*(piece.written for piece in self.pieces[1:]), self.written]
        for piece, end in zip(reversed(self.pieces), reversed(ends), strict=True):
            if carried >= piece.carried:
                return min(end, piece.written + carried - piece.carried)
        return 0


class RoomHeard:
    """Counts samples at 16 kHz. `clock` gives seconds."""

    def __init__(self, *, on_the_way: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_the_way = on_the_way
        self._clock = clock
        self._run: _Run | None = None
        self._sent_by = 0.0  # when all that was written has left
        self._reports = False
        self.run = 0
        """The number of the last run."""

    def hello(self) -> None:
        """There is a page, and it will report. One that came in the middle counts from the next sound."""
        self._reports = True
        self.clear()

    def write(self, pcm: bytes) -> bool:
        """Note sound that is being sent, of 16 bits. Returns whether it begins a run, which is to be announced."""
        now = self._clock()
        gap = now - self._sent_by
        run = self._run
        begins = run is None or not run.open or gap > PAUSE_SECONDS
        if run is None or begins:
            start = 0 if run is None else run.start + run.written if run.open else self.played
            run = self._run = _Run(start, now)
            self.run += 1
        elif gap > 0:
            run.pieces.append(_Piece(round((now - run.began) * RATE), run.written))
        run.heard = self.played - run.start  # of a silence at its beginning, which is passed by the clock
        run.add(pcm)
        self._sent_by = max(self._sent_by, now) + len(pcm) / 2 / RATE
        return begins

    def clear(self) -> None:
        """What has not been heard yet never will be; the page may still say that it heard a little more."""
        if self._run is not None and self._run.open:
            self._run.heard = self.played - self._run.start
            self._run.open = False
        self._sent_by = 0.0

    def report(self, run: object, samples: object) -> None:
        """The page has played so many samples of a run since its first loud one. What makes no sense is ignored."""
        here = self._run
        if not self._reports or here is None or here.loud_from is None or run != self.run:
            return
        if isinstance(samples, int) and not isinstance(samples, bool) and samples >= 0:
            here.heard = max(here.heard, here.written_at(here.loud_from + samples))

    @property
    def played(self) -> int:
        """Samples heard of all that was written. Never goes back."""
        run = self._run
        if run is None:
            return 0
        if run.open and (not self._reports or run.loud_from is None):  # nobody could tell
            ahead = max(0.0, self._sent_by + self._on_the_way - self._clock())
            return run.start + max(run.heard, run.written - round(ahead * RATE))
        return run.start + run.heard
