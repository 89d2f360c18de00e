"""Our spoken sessions over fakes that take no time: recogniser, model, voice, stores. For `voice` and `one_core`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes.brain import ScriptedBrain
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import Ear, Voices

from antiphon.config import Settings
from antiphon.config.voice import VoiceSettings
from antiphon.domain.turns import Final, TextDelta
from antiphon.run.clock import SystemClock
from benchmarks.real_time import Feeder

ANSWER = "It is noon and the sun is shining all over town."
QUESTIONS = ["what time is it"] * 100_000
PAUSE_SECONDS = 3.2
"""From one question of somebody to the next."""
_GOLDEN = 0.618034
"""Multiples of it fall evenly into the pause, however many there are: people do not speak in step."""


class OurSessions:
    """Sessions of one process. Their microphones are those of the feeder that is given."""

    def __init__(self, folder: Path, feeder: Feeder) -> None:
        settings = Settings(data_dir=folder, voice=VoiceSettings(endpoint_seconds=0, sessions=1000))
        self._brain = ScriptedBrain(lambda _: [*(TextDelta(f"{word} ") for word in ANSWER.split()), Final(ANSWER)])
        self._stt = FakeListener(says=QUESTIONS)
        self.voices = Voices(settings, SystemClock(), self._brain, self._stt, FakeSpeaker())
        self.feeder = feeder
        self._begun = 0
        self._sessions: list[Any] = []
        self._talks: list[asyncio.Task[None]] = []

    async def begin(self) -> Ear:
        """One more that listens; returns its microphone."""
        session, ear, heard = await self.voices.talk(f"room-{self._begun}")
        await heard.aclose()
        self._sessions.append(session)
        self._begun += 1
        return ear

    async def begin_talking(self, speech: bytes) -> Ear:
        """One more in which somebody goes on asking and is answered."""
        ear = await self.begin()

        async def talk(wait: float) -> None:
            await asyncio.sleep(wait)
            while True:
                self.feeder.speak(ear, speech)
                await asyncio.sleep(PAUSE_SECONDS)

        self._talks.append(asyncio.create_task(talk(self._begun * _GOLDEN % 1 * PAUSE_SECONDS)))
        return ear

    async def end_all(self) -> None:
        """End the sessions one by one, as people do, and forget what a database would hold of them."""
        for session in self._sessions:
            await self.voices.service.stop(session.row.key, session.row.person)
        self._sessions.clear()
        self.voices.forget()
        self._brain.requests.clear()
        self._stt.streams.clear()

    async def aclose(self) -> None:
        """End all of them."""
        for talk in self._talks:
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)
        await self.voices.service.aclose()
