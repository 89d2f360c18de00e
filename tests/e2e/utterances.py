"""Spoken questions for the browser tests: sound files that Chromium plays as its microphone, spoken by espeak-ng."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soxr

from antiphon.config import Settings
from antiphon.speech.engines import make_tts, surroundings

RATE = 48_000
LOUDEST = 0.5


def spoken(text: str, *, voice: str = "") -> np.ndarray:
    """A sentence as sound at `RATE`, mono, 16 bit. In a thread: Playwright keeps an event loop in this one."""

    async def speak() -> tuple[bytes, int]:
        settings = Settings()
        engine = make_tts(settings, "espeak", surroundings(settings))
        try:
            pcm = b"".join([chunk.pcm async for chunk in engine.synthesize(text, voice=voice)])
            return pcm, engine.sample_rate
        finally:
            await engine.aclose()

    with ThreadPoolExecutor(1) as thread:
        pcm, rate = thread.submit(lambda: asyncio.run(speak())).result(30)
    sound = soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768, rate, RATE)
    return sound * (LOUDEST / np.abs(sound).max())


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(RATE * seconds), np.float32)


def write(path: Path, pieces: Sequence[np.ndarray]) -> Path:
    """Pieces one after the other as a WAV file. Chromium plays it again and again."""
    samples = (np.concatenate(pieces) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path
