"""Discord with a process for each role: two that could hold the connection, one that works and delivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from antiphon.config import Settings
from antiphon.sim.discord import DiscordSim
from tests.fixtures_redis import RedisServer
from tests.integration.discord_world import roomy
from tests.integration.program import Program


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[DiscordSim]:
    async with DiscordSim(limits=roomy()) as started:
        yield started


@pytest.mark.slow
@pytest.mark.needs("postgresql", "redis")
async def test_whoever_stands_by_takes_over_from_one_that_was_killed(
    sim: DiscordSim, tmp_path: Path, postgresql_settings: Settings, redis_server: RedisServer
) -> None:
    shared = {
        "DATABASE_URL": postgresql_settings.database_url.get_secret_value(),
        "REDIS_URL": redis_server.url,
        "DISCORD_TOKEN": sim.token,
        "ANTIPHON_DISCORD__CA_FILE": str(sim.ca_file),
        "ANTIPHON_DISCORD__LOOPBACK": str(sim.port),
        "ANTIPHON_DISCORD__LEASE_SECONDS": "2",
    }
    ada, mention = sim.control.user("ada"), f"<@{sim.control.bot.user.id}>"
    first = Program(tmp_path, "discord", "first", **shared)
    second = Program(tmp_path, "discord", "second", **shared)
    worker = Program(tmp_path, "worker", **shared)
    try:
        await asyncio.to_thread(first.start)
        await sim.control.wait_for(lambda: sim.control.connected, 30)
        await asyncio.gather(asyncio.to_thread(second.start), asyncio.to_thread(worker.start))
        ada.send("general", f"{mention} what is 6 * 7?")
        [answer] = await sim.control.wait_for(lambda: sim.control.replies("general"), 40)
        assert "42" in answer.content
        assert len(sim.control.log("gateway.identify")) == 1, "the second stands by"
        first.kill()
        ada.send("general", f"{mention} what is 7 * 8?")
        await sim.control.wait_for(lambda: len(sim.control.replies("general")) == 2, 40)
        assert "56" in sim.control.replies("general")[1].content
        assert len(sim.control.log("gateway.identify")) == 2
    finally:
        for program in (first, second, worker):
            program.close()
