"""Discord with a process for each role: three that may each hold a shard of two, and one that works and delivers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from antiphon.config import Settings
from antiphon.sim.discord import DiscordSim
from antiphon.sim.discord.world.channels import Channel
from tests.fixtures_redis import RedisServer
from tests.integration.discord_world import place_in
from tests.integration.program import Program


@pytest.mark.slow
@pytest.mark.needs("postgresql", "redis")
async def test_two_shards_in_two_processes_and_a_third_that_takes_over_from_one_that_was_killed(
    sim: DiscordSim, tmp_path: Path, postgresql_settings: Settings, redis_server: RedisServer
) -> None:
    shared = {
        "DATABASE_URL": postgresql_settings.database_url.get_secret_value(),
        "REDIS_URL": redis_server.url,
        "DISCORD_TOKEN": sim.token,
        "ANTIPHON_DISCORD__CA_FILE": str(sim.ca_file),
        "ANTIPHON_DISCORD__LOOPBACK": str(sim.port),
        "ANTIPHON_DISCORD__LEASE_SECONDS": "3",
        "ANTIPHON_DISCORD__SHARDS": "2",
        "ANTIPHON_DISCORD__SHARDS_PER_PROCESS": "1",
    }
    control, ada = sim.control, sim.control.user("ada")
    mention = f"<@{control.bot.user.id}>"
    places = [place_in(sim, shard) for shard in (0, 1)]

    def holders() -> list[int]:
        return [int(entry["shard"][0]) for entry in control.log("gateway.identify")]

    async def answered(place: Channel, *answers: str) -> None:
        await control.wait_for(lambda: len(control.replies(place)) >= len(answers), 40)
        for message, answer in zip(control.replies(place), answers, strict=True):
            assert answer in message.content

    programs = [Program(tmp_path, "discord", name, **shared) for name in ("first", "second", "third")]
    worker = Program(tmp_path, "worker", **shared)
    first, second, third = programs
    try:
        await asyncio.to_thread(first.start)
        await control.wait_for(lambda: len(holders()) == 1, 30)
        await asyncio.gather(asyncio.to_thread(second.start), asyncio.to_thread(worker.start))
        await control.wait_for(lambda: len(holders()) == 2, 30)
        await asyncio.to_thread(third.start)
        ada.send(places[0], f"{mention} what is 6 * 7?")
        ada.send(places[1], f"{mention} what is 7 * 8?")
        await answered(places[0], "42")
        await answered(places[1], "56")
        assert holders() == [0, 1], "each process holds one shard, and the third stands by"
        second.kill()
        ada.send(places[1], f"{mention} what is 8 * 8?")
        ada.send(places[0], f"{mention} what is 9 * 9?")
        quiet = control.create_channel("never spoken in", guild=places[1].guild)
        ada.send(quiet, f"{mention} what is 2 + 3?")
        await answered(places[0], "42", "81")
        await answered(places[1], "56", "64")
        await answered(quiet, "5")
        assert holders() == [0, 1, 1], "the third took over, and the first was not disturbed"
    finally:
        for program in (*programs, worker):
            program.close()
