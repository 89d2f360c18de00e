"""The picture of speech that models of Whisper's family look at: how loud each of 80 bands of pitch is, every 10 ms.

`smart_turn` hears through it. Bands are spaced as the ear hears (Slaney's scale: even up to 1 kHz, then by ratio), and
loudness is logarithmic. numpy alone: it costs about 5 ms for 8 seconds of speech, in a thread.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
WINDOW = 400
HOP = 160
BANDS = 80
_LINEAR_HERTZ = 200 / 3
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _LINEAR_HERTZ
_LOG_STEP = np.log(6.4) / 27
_SILENCE_POWER = 1e-10
_RANGE = 8.0
"""Powers of ten between the loudest and the softest that is told apart."""

Floats = NDArray[np.float32]


def log_mel(sound: Floats) -> Floats:
    """The picture of a sound of 16 kHz: one row for each band, one column for each 10 ms."""
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.pad(sound, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(sound) // HOP]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=1)) ** 2
    loudness = np.log10(np.maximum(power @ _bands(), _SILENCE_POWER)).T
    loudness = np.maximum(loudness, loudness.max() - _RANGE)
    return np.ascontiguousarray((loudness + 4) / 4, dtype=np.float32)


@functools.cache
def _hann() -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@functools.cache
def _bands() -> Floats:
    """How much each frequency of a window counts for each band: triangles of equal area."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    frequencies = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HERTZ) / _LOG_STEP)  # of frequencies above the break


def _hertz(mel: NDArray[Any]) -> NDArray[Any]:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HERTZ, _BREAK_HERTZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
