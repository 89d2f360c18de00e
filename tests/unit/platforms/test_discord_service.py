"""What keeps the connection and its parts going: none is lost silently, and none goes on alone."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import aiohttp
import pytest

from antiphon.config.discord import DiscordSettings
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.budget import RateBudget
from antiphon.platforms.discord.dispatch import Dispatch
from antiphon.platforms.discord.errors import DiscordAway
from antiphon.platforms.discord.service import DiscordService
from tests.fakes.virtual_time import run_virtually


class Part:
    """Stands for every part of a connection. `run` fails the first time."""

    def __init__(self) -> None:
        self.runs = 0

    async def begin(self, me: str, shards: object, count: int) -> None:
        return None

    async def close(self) -> None:
        return None

    async def register(self, application: str) -> None:
        return None

    def connect(self, client: object) -> None:
        return None

    async def run(self) -> None:
        self.runs += 1
        if self.runs == 1:
            raise RuntimeError("not foreseen")
        await asyncio.Event().wait()


def test_a_part_that_fails_runs_again() -> None:
    async def main() -> None:
        failing, other = Part(), cast("Any", Part())
        other.runs = 1  # it goes on from the beginning
        dispatch = Dispatch(
            inbound=other, events=other, calling=other, voice=other, panels=cast("Any", failing), places=other
        )
        await dispatch.begin("7", "8")
        await asyncio.sleep(1.0)
        assert failing.runs == 1
        await asyncio.sleep(10.0)
        assert failing.runs == 2
        await dispatch.close()

    run_virtually(main())


def test_a_service_that_is_cancelled_leaves_no_connection_behind() -> None:
    class Silent:
        """Answers nothing, and holds nothing."""

        async def me(self) -> None:
            await asyncio.Event().wait()

        async def release(self, owner: str) -> None:
            return None

    async def main() -> None:
        nobody = cast("Any", Silent())
        service = DiscordService(
            DiscordSettings(), api=nobody, leases=nobody, bus=nobody, dispatch=nobody, owner="test"
        )
        before = asyncio.all_tasks()
        running = asyncio.create_task(service.run(asyncio.Event()))
        await asyncio.sleep(1.0)
        running.cancel()
        await asyncio.wait({running})
        assert asyncio.all_tasks() - before == set()

    run_virtually(main())


async def test_requests_after_the_end_are_put_off_and_not_lost() -> None:
    api = rest.DiscordRest(
        "token", "https://discord.com/api/v10", connector=aiohttp.TCPConnector(), budget=RateBudget()
    )
    await api.aclose()
    with pytest.raises(DiscordAway):
        await api.call(rest.ME)
    with pytest.raises(DiscordAway):
        await api.download("https://cdn.discordapp.com/attachments/1/2/voice.ogg", 1000)
