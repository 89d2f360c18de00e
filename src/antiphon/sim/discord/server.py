"""One TLS port for all of Discord's hosts: the Host header says which of them is meant."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from antiphon.sim.discord import cdn
from antiphon.sim.discord.faults import Faults
from antiphon.sim.discord.gateway.connection import Connection
from antiphon.sim.discord.gateway.hub import Hub
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.rest.server import RestServer
from antiphon.sim.discord.voice.gateway import VoiceConnection
from antiphon.sim.discord.voice.rooms import Rooms
from antiphon.sim.discord.voice.udp import VoiceRelay
from antiphon.sim.discord.world.world import World

_CDN = frozenset({"cdn.discordapp.com", "media.discordapp.net"})


class Server:
    """Serves REST, gateway, voice signalling and files on loopback."""

    def __init__(self, world: World, faults: Faults, journal: Journal) -> None:
        self.world, self.faults, self.journal = world, faults, journal
        self.rest = RestServer(world, faults, journal)
        self.hub = Hub(world, faults, journal)
        self.rooms = Rooms(world, self.hub, journal)
        self._udp: asyncio.DatagramTransport | None = None
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, context: ssl.SSLContext) -> None:
        application = web.Application(client_max_size=self.world.limits.request + 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: VoiceRelay(self.rooms), local_addr=("127.0.0.1", 0))
        self.rooms.udp_port = self._udp.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        for peer in list(self.rooms.peers.values()):
            self.rooms.drop(peer, 4014, "Disconnected.")
        self.hub.disconnect(1001)
        await asyncio.sleep(0)
        self.hub.disconnect(0)
        if self._udp is not None:
            self._udp.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0].lower()
        if host in _CDN or request.path.startswith("/attachments/"):
            return cdn.serve(self.world, request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        return await self.rest.handle(request)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Source: docs, Gateway, "Connecting" (`v`, `encoding`, `compress`); close code 4012 for another version."""
        if self.faults.take("refuse_connection") is not None:
            return web.Response(status=502)
        socket = web.WebSocketResponse(max_msg_size=1 << 20, timeout=2.0)
        await socket.prepare(request)
        if request.host.partition(":")[0].endswith(".discord.media"):
            return await self._voice(request, socket)
        if request.query.get("v") not in ("9", "10") or request.query.get("encoding", "json") != "json":
            await socket.close(code=4012, message=b"Invalid API version.")
            return socket
        compressed = request.query.get("compress") == "zlib-stream"
        await Connection(self.hub, socket, request.transport, compressed=compressed).serve()
        return socket

    async def _voice(self, request: web.Request, socket: web.WebSocketResponse) -> web.StreamResponse:
        """Source: docs, Voice, "Voice Gateway Versioning": versions before 8 were switched off."""
        if request.query.get("v") != "8":
            await socket.close(code=4012, message=b"Unknown protocol.")
            return socket
        await VoiceConnection(self.rooms, self.journal, socket).serve()
        return socket
