"""One client of the benchmark `discord`, in a process of its own: prints its CPU per message and its memory.

`bare` is the library alone with the intents that ours uses, `members` the same with the members it keeps by default,
`chatter` our gateway with messages that are not for the agent, `addressed` with messages that are: each is stored in
the inbox, with its task; nobody works on the tasks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

Heard = Callable[[], int]
SETTLE = 1.0
STORMS = 3
"""The one that cost least counts."""
SERVERS = 200
"""At least so many must have come."""


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def _control(reach: dict[str, Any], path: str, fields: dict[str, Any] | None = None) -> Any:
    async with aiohttp.ClientSession() as http:
        url = f"{reach['control']}/{path}"
        call = http.get(url) if fields is None else http.post(url, json=fields)
        async with call as response:
            return await response.json()


async def _general(reach: dict[str, Any]) -> str:
    world = await _control(reach, "world")
    return next(one["id"] for one in world["servers"][0]["channels"] if one["name"] == "general")


@asynccontextmanager
async def _bare(reach: dict[str, Any], folder: str, **options: Any) -> AsyncIterator[tuple[Heard, float]]:
    import discord

    from antiphon.platforms.discord.gateway import intents
    from antiphon.sim.discord import connector

    heard, ready = 0, asyncio.Event()

    class Client(discord.Client):
        async def on_ready(self) -> None:
            ready.set()

        async def on_message(self, message: discord.Message) -> None:
            nonlocal heard
            heard += 1

    port = int(reach["url"].rsplit(":", 1)[1])
    trusted = connector(port, Path(folder) / "ca.pem")
    client = Client(intents=intents(), connector=trusted, **options)
    before = _resident_mb()
    running = asyncio.create_task(client.start(reach["token"]))
    await ready.wait()
    await asyncio.sleep(SETTLE)
    share = len(client.guilds) / SERVERS
    assert share > 1 or "shard_id" in options
    try:
        yield lambda: heard, (_resident_mb() - before) / min(share, 1)
    finally:
        await client.close()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def _ours(reach: dict[str, Any], folder: str, channels: str) -> AsyncIterator[tuple[Heard, float]]:
    from antiphon.config import load_settings
    from antiphon.platforms.discord import gateway
    from antiphon.run.wiring import open_antiphon
    from antiphon.store.migrate import migrate
    from antiphon.telemetry import metrics
    from antiphon.telemetry.logs import configure_logging

    settings = load_settings(
        overrides={
            "data_dir": f"{folder}/{channels or 'none'}",
            "log.level": "warning",
            "discord.token": reach["token"],
            "discord.ca_file": f"{folder}/ca.pem",
            "discord.loopback": int(reach["url"].rsplit(":", 1)[1]),
            "discord.channels": [channels] if channels else [],
        }
    )
    configure_logging(settings.log, secrets=())
    await asyncio.to_thread(migrate, settings)
    gateway.IDENTIFY_SECONDS = 0.0
    counter = metrics.DISCORD_EVENTS.labels(event="MESSAGE_CREATE")
    stop = asyncio.Event()
    async with open_antiphon(settings, stop=stop) as antiphon:
        await antiphon.stores.users.ensure_owner()
        before = _resident_mb()
        running = asyncio.create_task(antiphon.connect_discord(stop))
        while not (service := antiphon.discord.service) or not service.client or not service.client.is_ready():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE)
        assert len(service.client.guilds) > SERVERS
        inbound = service.inbound
        stored: int = 0

        async def watch() -> None:
            nonlocal stored
            while True:
                await inbound.idle()
                stored = int(counter._value.get())
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        try:
            yield lambda: stored, _resident_mb() - before
        finally:
            if channels:
                counts = await antiphon.stores.tasks.counts()
                assert counts.get("queued") == stored, f"{counts} tasks of {stored} messages"
            watching.cancel()
            stop.set()
            await asyncio.gather(running, watching, return_exceptions=True)


async def _run(side: str, folder: str) -> dict[str, float]:
    reach = json.loads(sys.stdin.read())
    general = await _general(reach)
    if side == "bare":
        open_side = _bare(reach, folder, chunk_guilds_at_startup=False)
    elif side == "members":
        # Half of the servers: for all of them the library would wait a minute, by the gateway's limit.
        open_side = _bare(reach, folder, shard_id=0, shard_count=2)
    else:
        open_side = _ours(reach, folder, general if side == "addressed" else "")
    async with open_side as (heard, memory):
        if side == "members":
            return {"memory_mb": memory}
        best = min([await _storm(reach, general, heard) for _ in range(STORMS)])
        return {"cpu_us": best, "memory_mb": memory}


async def _storm(reach: dict[str, Any], general: str, heard: Heard) -> float:
    """Microseconds of CPU per message."""
    already, cpu = heard(), time.process_time()
    fields = {"channel": general, "rate": reach["rate"], "seconds": reach["seconds"], "text": "what a day, number {n}"}
    sent = (await _control(reach, "do/storm", fields))["result"]["sent"]
    deadline = time.monotonic() + 60
    while heard() - already < sent:
        assert time.monotonic() < deadline, f"heard {heard() - already} of {sent}"
        await asyncio.sleep(0.05)
    return (time.process_time() - cpu) / sent * 1e6


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(*sys.argv[1:3]))))
