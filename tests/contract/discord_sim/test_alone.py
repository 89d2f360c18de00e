"""`antiphon sim discord` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import discord

from antiphon.sim.discord import connector


async def test_it_says_how_to_reach_it_serves_and_ends(tmp_path: Path) -> None:
    ca = tmp_path / "made" / "ca.pem"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", "sim", "discord", "--ca-out", str(ca), "--token", "one.two.three"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            reach = json.loads(await process.stdout.readline())
        assert reach.keys() == {"url", "ca", "control", "token"}
        assert (reach["ca"], reach["token"]) == (str(ca), "one.two.three")
        port = int(reach["url"].rsplit(":", 1)[1])
        async with discord.Client(intents=discord.Intents.none(), connector=connector(port, ca)) as client:
            await client.login(reach["token"])
            assert client.application_id is not None
        async with aiohttp.ClientSession() as http, http.get(f"{reach['control']}/world") as response:
            assert (await response.json())["bot"]["username"] == "Antiphon"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
