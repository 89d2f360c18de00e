"""Speech for tests: what is asked for is spoken by the default voice, once per run, at the wire's rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon.config import Settings
from antiphon.speech.engines import open_speech
from antiphon.speech.resampling import Resampler
from antiphon.voice.transports.transport import RATE

Speak = Callable[[str], bytes]


@pytest.fixture(scope="session")
def speech_of(tmp_path_factory: pytest.TempPathFactory) -> Speak:
    """Gives the sound of a text."""
    folder = tmp_path_factory.mktemp("speech")
    known: dict[str, bytes] = {}

    def speak(text: str) -> bytes:
        if text not in known:
            with ThreadPoolExecutor(1) as thread:  # the test's own loop is running
                known[text] = thread.submit(asyncio.run, synthesized(text, folder)).result(60)
        return known[text]

    return speak


async def synthesized(text: str, folder: Path) -> bytes:
    """The sound of a text, spoken by the default voice."""
    speech = open_speech(Settings(data_dir=folder))
    sound = b""
    try:
        await speech.tts.load()
        resampler = Resampler(speech.tts.sample_rate, RATE)
        async for chunk in speech.tts.synthesize(text):
            sound += resampler.process(chunk.pcm)
        return sound + resampler.flush()
    finally:
        await speech.aclose()
