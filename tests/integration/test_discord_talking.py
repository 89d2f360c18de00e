"""Talking on Discord, with the real library on the simulated server: what reaches the agent, how it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config import Settings
from antiphon.sim.discord import DiscordSim
from tests.integration.discord_world import DiscordWorld, discord_world


@pytest.fixture
async def sim() -> AsyncIterator[DiscordSim]:
    async with DiscordSim() as running:
        yield running


@pytest.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(sqlite_settings, sim) as running:
        yield running


async def test_a_mention_is_answered_by_a_reply(world: DiscordWorld) -> None:
    asked = world.ada.send("general", f"{world.bot} what is 6 * 7?")
    [reply] = await world.replied()
    assert "42" in reply.content
    assert reply.reference is not None
    assert str(reply.reference["message_id"]) == str(asked.id)
    await world.quiet()
    assert len(world.replies()) == 1
    assert world.refused() == []
