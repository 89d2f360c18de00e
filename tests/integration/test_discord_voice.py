"""Voice on Discord: coming in and leaving with the real library, who speaks, and recorded messages as words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from antiphon.config import Settings
from antiphon.platforms.discord import voice
from antiphon.sim.discord import DiscordSim
from tests.integration.discord_world import DiscordWorld, discord_world, echo


@pytest_asyncio.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(sqlite_settings, sim, script=echo) as started:
        yield started


def told(world: DiscordWorld) -> list[dict[str, Any]]:
    return [event.payload for event in world.events if event.topic == "discord.voice"]


async def test_join_and_leave_with_the_map_of_who_speaks(world: DiscordWorld) -> None:
    control, ada, ben = world.sim.control, world.ada, world.sim.control.user("ben")
    refused = await control.answered(ada.slash("join", "general", {}))
    assert "in no voice channel" in refused.content
    ada.join_voice("Lounge")
    joined = await control.answered(ada.slash("join", "general", {}), 20)
    assert "I am in" in joined.content
    await world.until(lambda: told(world) and told(world)[-1]["state"] == "connected")
    assert told(world)[0]["state"] == "connecting"
    ben.join_voice("Lounge")
    ada.speak()
    await world.until(lambda: _speaker(world, ada.id).get("speaking"))
    speaker = _speaker(world, ada.id)
    assert isinstance(speaker["ssrc"], int)
    assert speaker["name"] == "Ada"
    ada.speak(False)
    await world.until(lambda: not _speaker(world, ada.id).get("speaking"))
    assert _speaker(world, ada.id)["speaking_ms"] > 0
    assert _speaker(world, ben.id)
    ben.leave_voice()
    await world.until(lambda: not _speaker(world, ben.id))
    stranger = await control.answered(ben.slash("leave", "general", {}))
    assert "Only who is in the voice channel" in stranger.content
    status = await control.answered(ada.slash("status", "general", {}))
    assert "voice here: connected" in status.content
    left = await control.answered(ada.slash("leave", "general", {}), 10)
    assert left.content == "I left."
    await world.until(lambda: told(world)[-1]["state"] == "idle")
    ada.send("general", "!join")
    assert "I am in" in (await world.replied(1, seconds=20))[0].content
    ada.send("general", "!leave")
    assert (await world.replied(2, seconds=20))[1].content == "I left."
    await world.until(lambda: told(world)[-1]["state"] == "idle")


async def test_a_cut_while_it_comes_in_is_told_or_survived_and_the_next_try_works(
    world: DiscordWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "JOIN_SECONDS", 2.0)
    control, ada = world.sim.control, world.ada
    ada.join_voice("Lounge")
    control.fault("close_on_op", op=4, code=4000)
    said = await control.answered(ada.slash("join", "general", {}), 30)
    assert "I am in" in said.content or "please try again" in said.content
    if "please try again" in said.content:
        assert "I am in" in (await control.answered(ada.slash("join", "general", {}), 30)).content
    ada.send("general", f"{world.bot} still here?")
    assert (await world.replied(1))[0].content == "You said: still here?"


def _speaker(world: DiscordWorld, user: int) -> dict[str, Any]:
    last = told(world)[-1]["speakers"]
    return next((one for one in last if one["user"] == str(user)), {})


async def test_a_voice_message_is_heard_once_and_answered(sim: DiscordSim, sqlite_settings: Settings) -> None:
    from antiphon.speech.codec import encode

    async with discord_world(sqlite_settings, sim, script=echo) as world:
        speech = world.antiphon.speech
        pcm = bytearray()
        await speech.tts.load()
        async for chunk in speech.tts.synthesize("what time is it"):
            pcm += chunk.pcm
        audio = await encode(bytes(pcm), rate=speech.tts.sample_rate)
        direct = world.ada.dm()
        world.ada.voice_message(direct, audio, seconds=2.0)
        [reply] = await world.replied(1, direct, seconds=60)
        assert reply.content.startswith("You said: ")
        words = reply.content.removeprefix("You said: ").lower()
        assert "time" in words
        [said, _] = await world.antiphon.stores.threads.recent(f"discord:{direct.id}", before=None, limit=5)
        assert said.text.lower() == words, "the words are kept as the message's"
        assert await world.antiphon.stores.platforms.audio_of(said.id) == []
        world.ada.voice_message(direct, b"OggS" + bytes(200), seconds=1.0)
        assert "could not listen" in (await world.replied(2, direct, seconds=30))[1].content
