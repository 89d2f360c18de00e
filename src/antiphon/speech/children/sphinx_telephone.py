"""Speech of which a telephone took the high and the low frequencies, as the acoustic model would have heard all of it.
Used by `children/sphinx_model` alone.

The model of pocketsphinx was made with the band from 130 to 6800 Hz; a telephone leaves 300 to 3400, and the rest looks
like silence to it. But the model knows what speech looks like: for each of its 42 phones, 128 Gaussians over the
cepstrum. They tell which cepstrum is likely where only the middle of the spectrum is heard; that is what is decoded.
Nothing is learned from anybody's voice, and no line is compared with any other: the mean over the utterance, which the
line shifts, is taken away first, as the model does it.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, cast

import numpy as np

RATE = 16_000
_FFT, _WINDOW, _HOP = 512, 410, 160
_FILTERS, _CEPSTRA, _LIFTER = 25, 13, 22
_LOWEST, _HIGHEST = 130.0, 6800.0
"""The band of the model in Hz, as its feat.params has it, with the filters, cepstra and lifter above."""
_LINE = 300.0, 3450.0
"""The band of a telephone in Hz: filters that lie in it are heard."""
_UNSURE = 0.3
"""Variance of a filter's logarithm that no phone explains."""
_FLOOR = 1e-4

Array = np.ndarray[Any, np.dtype[np.float64]]


class Telephone:
    """What the model in `folder` makes of speech from a telephone."""

    def __init__(self, folder: Path) -> None:
        edges = _edges()
        self._heard = np.flatnonzero((edges[:-2] >= _LINE[0]) & (edges[2:] <= _LINE[1]))
        self._filters = _filters(edges)[self._heard]
        quefrency = np.arange(_CEPSTRA)
        waves = np.sqrt(2 / _FILTERS) * np.cos(np.pi * np.outer(quefrency, np.arange(_FILTERS) + 0.5) / _FILTERS)
        waves[0] = np.sqrt(1 / _FILTERS)
        self._lift = 1 + _LIFTER / 2 * np.sin(quefrency * np.pi / _LIFTER)
        means, spreads = _phones(folder, self._lift)
        seen = waves.T[self._heard]
        self._means = means
        self._seen_means = means @ seen.T
        spread_seen = seen @ spreads @ seen.T + _UNSURE * np.eye(len(seen))
        self._inverse = cast("Array", np.linalg.inv(spread_seen))
        self._volume = np.linalg.slogdet(spread_seen)[1]
        self._gain: Array = spreads @ seen.T @ self._inverse

    def cepstra(self, audio: np.ndarray[Any, np.dtype[np.int16]]) -> bytes:
        """The likely cepstra of an utterance (16 kHz), 100 a second, as `Decoder.process_cep` takes them."""
        heard = np.log(_powers(audio) @ self._filters.T + _FLOOR)
        heard -= heard.mean(axis=0)
        apart = heard[None] - self._seen_means[:, None]  # phone, frame, filter
        doubt: Array = ((apart @ self._inverse) * apart).sum(axis=2) + self._volume[:, None]
        likely = np.exp(-0.5 * (doubt - doubt.min(axis=0)))
        likely /= likely.sum(axis=0)
        guesses: Array = self._means[:, None] + apart @ self._gain.transpose(0, 2, 1)
        found = np.einsum("pf,pfc->fc", likely, guesses) * self._lift
        return found.astype("<f4").tobytes()


def _powers(audio: np.ndarray[Any, np.dtype[np.int16]]) -> Array:
    """The power spectrum of each frame, as the front end of pocketsphinx has it."""
    sound = audio.astype(np.float64)
    sound[1:] -= 0.97 * audio[:-1]
    sound = np.append(sound, np.zeros(_WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP][: (len(sound) - _WINDOW) // _HOP]
    return np.abs(np.fft.rfft(frames * np.hamming(_WINDOW), _FFT)) ** 2


def _edges() -> Array:
    """Where the filters begin, peak and end, in Hz: filter n at n, n + 1 and n + 2."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    mels: Array = np.linspace(low, high, _FILTERS + 2)
    step = RATE / _FFT
    return np.floor(700 * (10 ** (mels / 2595) - 1) / step + 0.5) * step


def _filters(edges: Array) -> Array:
    """How much of each line of the spectrum goes into each filter; triangles of the same area."""
    hertz = np.arange(_FFT // 2 + 1) * RATE / _FFT
    begin, peak, end = (edges[at : at + _FILTERS, None] for at in range(3))
    rising, falling = (hertz - begin) / (peak - begin), (end - hertz) / (end - peak)
    return np.clip(np.minimum(rising, falling), 0, None) * 2 / (end - begin)


def _phones(folder: Path, lift: Array) -> tuple[Array, Array]:
    """Mean and covariance of the cepstrum of each phone, and of its mean over speech nothing."""
    means, variances = (_gaussians(folder / name) for name in ("means", "variances"))
    means, variances = means / lift, variances / lift**2
    middle = means.mean(axis=1)
    apart = means - middle[:, None]
    spreads = apart.transpose(0, 2, 1) @ apart / means.shape[1]
    spreads += variances.mean(axis=1)[:, None] * np.eye(_CEPSTRA)
    return middle - middle.mean(axis=0), spreads


def _gaussians(path: Path) -> Array:
    """The static part of each codebook's Gaussians: codebook, Gaussian, cepstrum. A file of the Sphinx 3 format."""
    content = path.read_bytes()
    at = content.index(b"endhdr\n") + 7
    mark, books, streams, size = struct.unpack_from("<4I", content, at)
    lengths = struct.unpack_from(f"<{streams}I", content, at + 16)
    if mark != 0x11223344 or lengths[0] != _CEPSTRA:
        raise ValueError(f"{path.name} is not of the model this was written for")
    values = np.frombuffer(content, "<f4", books * size * sum(lengths), at + 20 + 4 * streams)
    return values.reshape(books, -1)[:, : size * _CEPSTRA].reshape(books, size, _CEPSTRA).astype(np.float64)
