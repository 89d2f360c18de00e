"""What a person says before the room carries their microphone: people speak as soon as they have pressed the button.

Their page sends that as data: what it kept until it was connected, then `caught_up`, and what comes then, until it is
told `hearing`. Then the track of the microphone takes over. The same moment comes later by the track than as data, so
the change is made while the person is silent, or a word would be heard twice in part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from antiphon.voice.transports.transport import RATE

QUIET = 500
"""The loudest sample of a silence, of 32,767."""
QUIET_SAMPLES = RATE // 8
"""Of silence as data; then the track, which is a little behind, is silent in the same pause."""
GAP_SECONDS = 0.3
"""When nothing comes as data for so long, nothing does any more: the page has stopped, or it is another client."""
MOST_SECONDS = 12.0
"""In a noise that never ends the track takes over all the same."""


class EarlySound:
    """Pieces of PCM: 16 kHz, mono, 16 bits. `over` once the track has taken over, for good."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._quiet = 0
        self._caught_up = False
        self._first: float | None = None
        self._held: list[bytes] = []
        self.over = False

    def came(self, pcm: bytes) -> None:
        """A piece came as data; it is to be heard."""
        self._last = self._clock()
        self._held.clear()  # the same came as data, or will
        levels = _levels(pcm)
        loud = np.flatnonzero(levels > QUIET)
        self._quiet = len(levels) - 1 - int(loud[-1]) if len(loud) else self._quiet + len(levels)

    def caught_up(self) -> None:
        """What was kept has all come: from now on data is not behind the track."""
        self._caught_up = True

    def carried(self, pcm: bytes) -> Sequence[bytes]:
        """A piece came by the track. Returns what of the track is to be heard now."""
        now = self._clock()
        if self._first is None:
            self._first = now
        if self._last is None:
            self._held.append(pcm)
            self.over = now - self._first >= GAP_SECONDS
            return self._held if self.over else ()
        silent = self._quiet >= QUIET_SAMPLES and int(_levels(pcm).max(initial=0)) <= QUIET
        self.over = (silent and self._caught_up) or now - self._last > GAP_SECONDS or now - self._first > MOST_SECONDS
        return (pcm,) if self.over else ()


def _levels(pcm: bytes) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.abs(np.frombuffer(pcm, "<i2").astype(np.int32))
