"""The whole simulated Discord: `async with DiscordSim() as sim: ...`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from antiphon.sim.discord import loopback, seed
from antiphon.sim.discord.certificates import Authority
from antiphon.sim.discord.clock import SimClock
from antiphon.sim.discord.control.control import Control
from antiphon.sim.discord.control.http import ControlServer
from antiphon.sim.discord.faults import Faults
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.limits import Limits
from antiphon.sim.discord.server import Server
from antiphon.sim.discord.world.world import World


class DiscordSim:
    """Listens on loopback alone, on `port` or any free one.

    `ca_file` is where the authority's certificate is written (a temporary file by default); `token` is the bot's
    (a fresh one by default). The world starts with one small server: see `seed.small_world`.
    """

    def __init__(
        self, *, port: int = 0, ca_file: Path | None = None, token: str | None = None, limits: Limits | None = None
    ) -> None:
        self.clock = SimClock()
        self.limits = limits or Limits()
        self.world = World(self.clock, self.limits)
        self.journal = Journal(self.clock)
        self.faults = Faults(self.journal)
        self._bot = seed.small_world(self.world, token)
        self._wanted_port = port
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if ca_file is None:
            self._folder = tempfile.TemporaryDirectory(prefix="discord-sim-")
            ca_file = Path(self._folder.name) / "ca.pem"
        self.ca_file = ca_file
        self._server = Server(self.world, self.faults, self.journal)
        self.control = Control(
            self.world,
            self._server.hub,
            self.faults,
            self.journal,
            self._server.rooms,
            self._server.rest.limiter,
            self._bot,
        )
        self._control_server: ControlServer | None = None

    @property
    def token(self) -> str:
        return self._bot.token

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        """Where all of Discord's hosts are served; clients keep using Discord's own names (see `connector`)."""
        return f"https://127.0.0.1:{self.port}"

    def connector(self) -> aiohttp.TCPConnector:
        """For `discord.Client(connector=...)` or any `aiohttp.ClientSession`. Made inside of the running loop."""
        return loopback.connector(self.port, self.ca_file)

    async def start(self) -> None:
        authority = Authority()
        authority.write_ca(self.ca_file)
        await self._server.start(self._wanted_port, authority.server_context())

    async def serve_control(self, port: int = 0) -> str:
        """Offer the control over HTTP too (`control/http.py`). Returns its address, which holds a secret."""
        if self._control_server is None:
            self._control_server = ControlServer(self.control)
            await self._control_server.start(port)
        return self._control_server.url

    async def stop(self) -> None:
        if self._control_server is not None:
            await self._control_server.stop()
        await self._server.stop()
        if self._folder is not None:
            self._folder.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
