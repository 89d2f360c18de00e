"""Raw audio as callers of the services have it, made into what engines take: 16 kHz, 16 bit, mono.

Files are read by `codec`.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES
from antiphon.speech.resampling import Resampler

Samples = Literal["pcm", "mulaw", "alaw"]
LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
MOST_CHANNELS = 8


class Incoming:
    """One stream of raw samples. `width` is bytes per sample of "pcm"."""

    def __init__(self, rate: int, *, channels: int = 1, width: int = SAMPLE_BYTES, samples: Samples = "pcm") -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise InvalidInput(f"A sample rate of {rate} is not taken; use {LOWEST_RATE} to {HIGHEST_RATE}.")
        if not 1 <= channels <= MOST_CHANNELS:
            raise InvalidInput(f"{channels} channels are not taken; use 1 to {MOST_CHANNELS}.")
        if samples == "pcm" and width not in (1, 2, 3, 4):
            raise InvalidInput(f"Samples of {width} bytes are not taken; use 2.")
        self._channels = channels
        self._width = width if samples == "pcm" else 1
        self._rest = b""
        self._resampler = Resampler(rate, LISTENING_RATE) if rate != LISTENING_RATE else None
        self._samples: Samples = samples
        self._numpy = None if samples == "pcm" and width == SAMPLE_BYTES and channels == 1 else _library("numpy")

    def process(self, data: bytes) -> bytes:
        """The next piece. A frame that is cut in two waits for its other half."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if over := len(data) % (self._width * self._channels):
            self._rest, data = data[-over:], data[:-over]
        if self._numpy is not None:
            data = self._mono(data)
        return self._resampler.process(data) if self._resampler is not None else data

    def flush(self) -> bytes:
        """What the change of the rate still holds back. Nothing may follow."""
        return self._resampler.flush() if self._resampler is not None else b""

    def _mono(self, data: bytes) -> bytes:
        np = self._numpy
        assert np is not None  # noqa: S101 - the constructor's own word
        octets = np.frombuffer(data, np.uint8)
        if self._samples != "pcm":
            values = _mulaw(np, octets) if self._samples == "mulaw" else _alaw(np, octets)
        elif self._width == 1:
            values = (octets.astype(np.int16) - 128) << 8
        else:  # the two most significant bytes of each sample
            values = octets.reshape(-1, self._width)[:, -2:].copy().view("<i2").ravel()
        if self._channels > 1:
            values = values.reshape(-1, self._channels).mean(axis=1)
        return values.astype("<i2").tobytes()


def _mulaw(np: Any, octets: Any) -> Any:
    value = ~octets
    size = (((value & 0x0F).astype(np.int32) << 3) + 0x84) << ((value & 0x70) >> 4)
    return np.where(value & 0x80, 0x84 - size, size - 0x84)


def _alaw(np: Any, octets: Any) -> Any:
    value = octets ^ 0x55
    segment = ((value & 0x70) >> 4).astype(np.int32)
    size = ((value & 0x0F).astype(np.int32) << 4) + np.where(segment > 0, 0x108, 8)
    size = size << np.maximum(segment - 1, 0)
    return np.where(value & 0x80, size, -size)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SpeechError(
            f"This kind of audio needs the package {name}; .venv/bin/pip install 'antiphon[speech]'."
        ) from error
