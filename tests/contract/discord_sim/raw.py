"""A client of bare messages, for what a well-behaved library never does."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from antiphon.sim.discord import DiscordSim

GATEWAY = "wss://gateway.discord.gg/?v=10&encoding=json"
VOICE = "wss://simulated-1.discord.media/?v=8"


class Raw:
    """One WebSocket. `expect` skips what was not asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._inflate = zlib.decompressobj()

    async def send(self, op: int, data: Any) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            raw = self._inflate.decompress(message.data)
            assert message.data.endswith(b"\0\0\xff\xff")
            return json.loads(raw)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return {"closed": self.socket.close_code}
        return message.json()

    async def expect(self, what: int | str) -> dict[str, Any]:
        """The next message of this opcode or event; or the end, as `{"closed": code}`."""
        while True:
            message = await self.receive()
            if "closed" in message or message["op"] == what or message.get("t") == what:
                return message

    async def closed(self) -> int | None:
        while "closed" not in (message := await self.receive()):
            pass
        return message["closed"]


@asynccontextmanager
async def raw(sim: DiscordSim, url: str = GATEWAY) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession(connector=sim.connector()) as session, session.ws_connect(url) as socket:
        yield Raw(socket)


def identify(sim: DiscordSim, **fields: Any) -> dict[str, Any]:
    properties = {"os": "linux", "browser": "raw", "device": "raw"}
    return {"token": sim.token, "intents": 1 << 0 | 1 << 9 | 1 << 15, "properties": properties, **fields}
