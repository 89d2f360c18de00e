"""Where utterances begin and end in a stream of audio, for callers who do not say it themselves.

Silence between utterances is held back from the engine, so that a microphone left open costs next to nothing. The
voice detector is the one spoken sessions use, silero, where `livekit-agents` is installed; else loudness decides.
"""

from __future__ import annotations

import array
import math
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES

WINDOW = 512
"""Samples the detector looks at together: 32 ms."""
_WINDOW_BYTES = WINDOW * SAMPLE_BYTES
_WINDOW_SECONDS = WINDOW / LISTENING_RATE
_BEGINS, _GOES_ON = 0.5, 0.35
_BEFORE = 15
"""Windows kept from before an utterance, half a second: the detector is late for soft beginnings."""
_FIRST = 310
"""Windows kept while nothing was said yet, ten seconds: a caller who cut one word out gets it recognised, however
soft it is."""


class Detector(Protocol):
    """Says how likely it is that somebody speaks in a window."""

    def predict(self, pcm: Any) -> float:
        """0 to 1."""
        ...


class Utterances:
    """Cuts one stream. `feed` yields what to hand to the engine: audio, and None where an utterance ends."""

    def __init__(self, *, pause: float, longest: float, detector: Detector | None = None) -> None:
        self._pause = max(1, round(pause / _WINDOW_SECONDS))
        self._longest = max(2, int(longest / _WINDOW_SECONDS))
        self._detector = detector or _detector()
        self._rest = b""
        self._held: deque[bytes] = deque()
        self._windows = 0
        """Windows of the utterance under way; 0 between utterances."""
        self._quiet = 0
        self._heard = False
        self._position = 0
        self.begins = 0.0
        """Seconds into the stream at which the audio of the latest utterance begins."""

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._windows > 0

    @property
    def position(self) -> float:
        """Seconds of the stream that were looked at."""
        return self._position * _WINDOW_SECONDS

    def feed(self, pcm: bytes) -> Iterator[bytes | None]:
        """Look at more audio (16 kHz)."""
        pcm = self._rest + pcm if self._rest else pcm
        whole = len(pcm) - len(pcm) % _WINDOW_BYTES
        self._rest = pcm[whole:]
        for at in range(0, whole, _WINDOW_BYTES):
            yield from self._look(pcm[at : at + _WINDOW_BYTES])

    def finish(self) -> Iterator[bytes | None]:
        """The stream ends: so does the utterance under way, or what came before anybody was heard."""
        if self._rest and (self._windows or not self._heard):
            self._held.append(self._rest)
        if self._windows or (self._held and not self._heard):
            if not self._windows:
                self.begins = max(0.0, self.position - len(self._held) * _WINDOW_SECONDS)
            yield from self._held
            yield None
        self._held.clear()
        self._rest = b""
        self._windows = 0

    def _look(self, window: bytes) -> Iterator[bytes | None]:
        self._position += 1
        likely = self._detector.predict(window)
        if self._windows:
            yield window
            self._windows += 1
            self._quiet = 0 if likely >= _GOES_ON else self._quiet + 1
            if self._quiet >= self._pause or self._windows >= self._longest:
                self._windows = self._quiet = 0
                yield None
            return
        self._held.append(window)
        if likely >= _BEGINS:
            while len(self._held) > _BEFORE:
                self._held.popleft()
            self.begins = (self._position - len(self._held)) * _WINDOW_SECONDS
            self._heard = True
            self._windows = len(self._held)
            yield from self._held
            self._held.clear()
        elif len(self._held) > (_BEFORE if self._heard else _FIRST):
            self._held.popleft()


def _detector() -> Detector:
    try:
        return _Silero()
    except ImportError:
        return Loudness()


class _Silero:
    def __init__(self) -> None:
        import numpy as np
        from livekit.local_inference import VAD

        self._numpy = np
        self._vad = VAD()

    def predict(self, pcm: bytes) -> float:
        return self._vad.predict(self._numpy.frombuffer(pcm, "<i2"))


class Loudness:
    """Whether a window is clearly louder than the quietest of the last seconds. Fails in noise; needs nothing."""

    def __init__(self) -> None:
        self._floor = 200.0

    def predict(self, pcm: bytes) -> float:
        """1 when it is loud, else 0."""
        samples = array.array("h", pcm)
        loudness = math.sqrt(sum(value * value for value in samples) / len(samples))
        self._floor = min(max(loudness, 10.0), self._floor * 1.01)
        return 1.0 if loudness > 3 * self._floor and loudness > 150 else 0.0
