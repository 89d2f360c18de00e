"""The picture of speech that smart-turn is shown, against the feature extractor of Whisper.

The numbers are what `WhisperFeatureExtractor(chunk_length=8)` of transformers 5.24 gives for the same sound with
`do_normalize`; Pipecat 1.14 gives the same ones.
"""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.voice.log_mel import BANDS, RATE, log_mel


def a_buzz() -> np.ndarray:
    """Eight seconds: silence, then 88 harmonics of 90 Hz that grow louder and softer three times a second."""
    at = np.arange(8 * RATE) / RATE
    sound = np.sum([np.sin(2 * np.pi * 90 * n * at + n * n) / n for n in range(1, 89)], axis=0) * 0.1
    sound *= 1 + 0.8 * np.sin(2 * np.pi * 3 * at)
    sound[:40_000] = 0
    return sound.astype(np.float32)


def test_the_picture_is_that_of_whisper() -> None:
    picture = log_mel(a_buzz())
    assert (picture.shape, picture.dtype) == ((BANDS, 800), np.float32)
    assert [float(found) for found in (picture.mean(), picture.std(), picture.max(), picture.min())] == pytest.approx(
        [0.557107, 0.595013, 1.745853, -0.254147], abs=1e-5
    )
    points = {
        (5, 300): 1.4110,
        (10, 400): 1.1434,
        (22, 500): 1.1163,
        (30, 250): 0.9162,
        (40, 600): 0.9657,
        (60, 790): 0.4823,
        (79, 799): 0.5890,
    }
    assert {point: float(picture[point]) for point in points} == pytest.approx(points, abs=1e-4)


def test_a_tone_is_seen_in_its_band_and_while_it_sounds() -> None:
    at = np.arange(8 * RATE) / RATE
    bands: list[int] = []
    for hertz in (200, 1000, 4000):
        sound = np.where(at >= 4, np.sin(2 * np.pi * hertz * at), 0).astype(np.float32)
        picture = log_mel(sound)
        assert picture[:, :390].max() < picture[:, 410:].max() - 1
        bands.append(int(picture[:, 600].argmax()))
    assert bands == sorted(bands)
    assert bands[1] == round(15 / (15 + np.log(8) / (np.log(6.4) / 27)) * (BANDS + 1)) - 1


def test_silence_is_a_picture_too() -> None:
    assert np.isfinite(log_mel(np.zeros(8 * RATE, np.float32))).all()
