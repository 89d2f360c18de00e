"""Several shards in one process, with the real library: each is read from where it was lost, however many there are."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from antiphon.config import Settings
from antiphon.platforms.discord import hearing
from antiphon.platforms.discord.ids import PLATFORM
from antiphon.sim.discord import DiscordSim
from tests.integration.discord_world import DiscordWorld, discord_world, echo, place_in


async def position(world: DiscordWorld, name: str) -> int:
    kept = await world.antiphon.stores.platforms.cursors(PLATFORM, str(world.sim.control.bot.user.id))
    return int(kept.get(name, 0))


async def test_what_one_shard_misses_is_answered_while_the_other_goes_on(
    sim: DiscordSim, sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shard that is away for longer than this: what others heard says nothing of it.
    monkeypatch.setattr(hearing, "_SETTLED", timedelta(0))
    monkeypatch.setattr(hearing, "_MARGIN", timedelta(0))
    control = sim.control
    places = [place_in(sim, shard) for shard in (0, 1)]
    async with discord_world(sqlite_settings, sim, script=echo, shards=2) as world:
        identified = [tuple(entry["shard"]) for entry in control.log("gateway.identify")]
        assert sorted(identified) == [(0, 2), (1, 2)]
        control.fault("refuse_resume", times=1000)
        control.fault("refuse_identify", times=1000)
        assert control.disconnect(4000, shard=1) == 1
        await asyncio.sleep(0.3)  # the margin, that is none here, is for what is said before the cut is noticed
        missed = world.ada.send(places[1], f"{world.bot} to the second")
        world.ada.send(places[0], f"{world.bot} to the first")
        await world.replied(1, places[0])
        async with asyncio.timeout(15):
            while await position(world, "gateway.0/2") <= missed.id:  # noqa: ASYNC110 - it is a row in the database
                await asyncio.sleep(0.1)
        assert world.replies(places[1]) == []
    assert not [thread for thread in threading.enumerate() if "keep-alive" in thread.name], "nothing is left behind"
    # After an end, and with another number of shards, each server goes on from what was heard of it itself.
    control.clear_faults()
    world.ada.send(places[0], f"{world.bot} again to the first")
    async with discord_world(sqlite_settings, sim, script=echo, shards=3) as world:
        await world.replied(1, places[1])
        await world.replied(2, places[0])
        await world.quiet()
    world.ada.send(places[1], f"{world.bot} again to the second")
    async with discord_world(sqlite_settings, sim, script=echo, shards=1) as world:
        await world.replied(2, places[1])
        await world.quiet()
        assert world.replies(places[0]) == ["You said: to the first", "You said: again to the first"]
        assert world.replies(places[1]) == ["You said: to the second", "You said: again to the second"]
        assert world.refused() == []
