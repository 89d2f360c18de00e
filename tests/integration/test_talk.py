"""`antiphon talk`: the whole program, with an ear where microphone and loudspeaker would be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from antiphon.config import Settings
from antiphon.domain.errors import Unavailable
from antiphon.run.talk import talk
from antiphon.run.wiring import open_antiphon
from antiphon.voice.service import VoiceSessions
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import Ear
from tests.fixtures_voice import Speak


async def test_somebody_talks_on_the_terminal(sqlite_settings: Settings, tmp_path: Path, speech_of: Speak) -> None:
    shown: list[str] = []
    async with open_antiphon(sqlite_settings, stop=asyncio.Event()) as antiphon:
        service: VoiceSessions = antiphon.voice
        service._make_speech = lambda: (FakeListener(says=["what time is it"]), FakeSpeaker())
        person = (await antiphon.stores.users.ensure_owner()).person
        ear = Ear()
        running = asyncio.create_task(
            talk(antiphon, person, room="terminal", language="en", show=shown.append, transport=lambda: ear)
        )
        async with asyncio.timeout(30):
            while not any(line.startswith("Antiphon: ") for line in shown):
                await (ear.silence(0.1) if not shown or len(shown) > 1 else ear.say(speech_of("what time"), then=0.5))
        running.cancel()
        await asyncio.wait({running})
        assert service.talking == 0
        assert shown[1] == "terminal: what time is it"
        assert ear.closed.is_set()


async def test_without_a_device_nothing_is_begun(sqlite_settings: Settings) -> None:
    class Deaf(Ear):
        async def open(self) -> None:
            raise Unavailable("The microphone or the loudspeaker cannot be opened: there is no device")

    async with open_antiphon(sqlite_settings, stop=asyncio.Event()) as antiphon:
        loaded: list[str] = []
        antiphon.voice._make_speech = lambda: pytest.fail("the engines were loaded")
        antiphon.brain.warm_up = lambda: pytest.fail("the brain was loaded")  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match="no device"):
            await talk(antiphon, 1, room="terminal", language="", show=loaded.append, transport=Deaf)
        assert (loaded, antiphon.voice.talking) == ([], 0)
