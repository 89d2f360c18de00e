"""Spoken sessions that come and go, one after another and many at once: nothing of them is left."""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path
from typing import Any

from antiphon.bus.memory import KEEP_EVENTS, KEEP_FOR
from antiphon.config import Settings
from antiphon.config.voice import VoiceSettings
from antiphon.domain.turns import Final, TextDelta
from tests.fakes.brain import ScriptedBrain
from tests.fakes.clock import FakeClock
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import Ear, Voices
from tests.fixtures_voice import Speak
from tests.leftovers import Held

AT_ONCE = 20
ANSWER = "It is noon."
OURS = ("antiphon", "livekit")
MOST_BLOCKS = 100
"""Of Python's memory that a session may leave, on average; one that is alive holds thousands."""


class House:
    """Voices in which many people talk at once."""

    def __init__(self, folder: Path, sound: bytes) -> None:
        self._sound = sound
        self._clock = FakeClock()
        self._brain = ScriptedBrain(lambda _: [TextDelta(ANSWER), Final(ANSWER)])
        self._stt, self._tts = FakeListener(), FakeSpeaker()
        settings = Settings(data_dir=folder, voice=VoiceSettings(endpoint_seconds=0))
        self.voices = Voices(settings, self._clock, self._brain, self._stt, self._tts)

    async def talk(self) -> list[weakref.ref[Any]]:
        """Everybody begins a session, asks, hears the beginning of an answer, and ends the session."""
        talks = [await self.voices.talk(f"room {number}") for number in range(AT_ONCE)]
        await asyncio.gather(*(self._ask(ear) for _, ear, _ in talks))
        assert len(self.voices.live.begun) >= AT_ONCE
        for session, _, heard in talks:
            await self.voices.service.stop(session.row.key, session.row.person)
            await heard.aclose()
        await self._forget()
        return [weakref.ref(session) for session, _, _ in talks]

    async def _ask(self, ear: Ear) -> None:
        await ear.say(self._sound, then=0.3)
        async with asyncio.timeout(30):
            while not ear.first_sound:
                await ear.silence(0.1)

    async def _forget(self) -> None:
        """What a database would hold, what the fakes note for tests, and the events that can be resumed from."""
        self.voices.forget()
        for noted in (self._stt.streams, self._stt.languages, self._tts.spoken, self._tts.voices_used):
            noted.clear()
        self._brain.requests.clear()
        self._clock.move(seconds=KEEP_FOR.total_seconds() + 1)
        for _ in range(KEEP_EVENTS):
            await self.voices.bus.publish("elsewhere", "passed", {})


async def test_sessions_that_were_talked_in_leave_nothing_and_memory_is_flat(tmp_path: Path, speech_of: Speak) -> None:
    house = House(tmp_path, speech_of("yes"))
    await house.talk()  # loads what is loaded once
    before = Held.now(*OURS)
    sessions = [*await house.talk(), *await house.talk()]
    after = Held.now(*OURS)
    assert [session() for session in sessions if session() is not None] == []
    assert after.beyond(before) == {}
    assert (after.blocks - before.blocks) / len(sessions) < MOST_BLOCKS
    await house.voices.service.aclose()
