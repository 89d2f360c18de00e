"""Changing the sample rate of a stream of audio with soxr: exact, and a ten-thousandth of the time the audio lasts.

Used by the chain of engines that speak, and by whatever has another rate than its transport.
"""

from __future__ import annotations

from antiphon.domain.errors import SpeechError


class Resampler:
    """Takes pieces at one rate and gives pieces at another. Holds a few milliseconds back until `flush`."""

    def __init__(self, rate: int, wanted: int) -> None:
        try:
            import numpy as np
            import soxr  # pyright: ignore[reportMissingTypeStubs]
        except ImportError as error:
            raise SpeechError(
                "Another sample rate needs the package soxr; .venv/bin/pip install 'antiphon[speech]'."
            ) from error
        self._numpy = np
        self._stream = soxr.ResampleStream(rate, wanted, 1, dtype="int16", quality="HQ")
        self._odd = b""

    def process(self, pcm: bytes) -> bytes:
        """The next piece. A sample that is cut in two waits for its other half."""
        pcm = self._odd + pcm
        whole = len(pcm) & ~1
        self._odd = pcm[whole:]
        return self._stream.resample_chunk(self._numpy.frombuffer(pcm[:whole], "<i2")).tobytes()

    def flush(self) -> bytes:
        """What is still held back. Nothing may follow."""
        return self._stream.resample_chunk(self._numpy.zeros(0, "<i2"), last=True).tobytes()
