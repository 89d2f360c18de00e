"""Discord as a part of a process: there when a token is set, made anew when its settings change while the program runs.

Every process with the token delivers (`DiscordFace`); `run` is for the one kind of process that holds the connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError, NotFound, Unavailable
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.platforms import Platform
from antiphon.platforms.authorities import PlatformAuthorities
from antiphon.platforms.discord.ports import DiscordPorts

if TYPE_CHECKING:
    from antiphon.platforms.discord.assembly import DiscordFace
    from antiphon.platforms.discord.service import DiscordService

log = structlog.stdlib.get_logger(__name__)

NAME = "discord"
_ENDING_SECONDS = 8.0
"""What ending a connection may take: leaving voice channels, closing sockets, marking panels."""


class DiscordPart:
    """What of Discord this process has. `platforms` and `authorities` are kept up to date with it."""

    def __init__(
        self, settings: Settings, ports: DiscordPorts, platforms: dict[str, Platform], authorities: PlatformAuthorities
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._platforms = platforms
        self._authorities = authorities
        self._given = NAME in platforms
        self._face: DiscordFace | None = None
        self._broken = ""
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._connection: asyncio.Task[None] | None = None
        self.service: DiscordService | None = None
        self._open()

    def _open(self) -> None:
        """Take up delivery if there is a token. The library is not needed for it."""
        if self._given or not self._settings.discord.token.get_secret_value():
            return
        try:
            from antiphon.platforms.discord.assembly import DiscordFace

            self._face = DiscordFace(self._settings, self._ports)
        except ImportError as error:
            self._broken = f"the package {error.name} is missing"
            log.error("discord.not_installed", package=error.name)
            return
        except ConfigError as error:
            self._broken = f"{error.key} {error.problem}"
            log.error("discord.not_opened", reason=error.message)
            return
        self._broken = ""
        self._platforms[NAME] = self._face.platform
        self._authorities.put(NAME, self._face.authority)

    async def replace(self, settings: Settings) -> None:
        """Work by changed settings from now on."""
        if settings.discord == self._settings.discord:
            self._settings = settings
            return
        self._settings = settings
        # First the connection, which still has to say things over REST: that the panels are not kept up any more.
        self._ending.set()
        if self._connection is not None:
            await asyncio.wait({self._connection}, timeout=_ENDING_SECONDS)
        await self.aclose()
        self._open()
        self._changed.set()

    async def aclose(self) -> None:
        """End delivery and its connections."""
        face, self._face = self._face, None
        if face is not None:
            self._platforms.pop(NAME, None)
            await face.aclose()

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the connection to the gateway until `stop` is set, if there is a token."""
        while not stop.is_set():
            self._changed.clear()
            self._ending = asyncio.Event()
            jobs: list[asyncio.Task[Any]] = [
                asyncio.create_task(stop.wait()),
                asyncio.create_task(self._changed.wait()),
            ]
            if self._face is not None:
                self._connection = asyncio.create_task(self._connect(self._face, self._ending), name="discord")
                jobs.append(self._connection)
            try:
                await asyncio.wait(jobs[:2], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._ending.set()
                for job in jobs[:2]:
                    job.cancel()
                await asyncio.wait(jobs, timeout=4.0)
                for job in jobs:
                    job.cancel()
                self.service = self._connection = None

    async def _connect(self, face: DiscordFace, ending: asyncio.Event) -> None:
        try:
            from antiphon.platforms.discord.assembly import open_gateway

            self.service = open_gateway(self._settings, face, self._ports)
            await self.service.run(ending)
        except ImportError as error:
            self._broken = f"the package {error.name} is missing"
            log.error("discord.not_installed", package=error.name)
        except Exception as error:
            # Discord is one part of many: whatever it met, the others go on.
            self._broken = f"an unexpected error ({type(error).__name__})"
            log.exception("discord.failed")

    async def download(self, url: str, most: int) -> bytes:
        """A file that came with a message on Discord. `NotFound` when it is gone, `Unavailable` for now."""
        from antiphon.platforms.discord.errors import DiscordRefused

        if self._face is None:
            raise Unavailable("Discord is not connected.")
        try:
            return await self._face.api.download(url, most)
        except DiscordRefused as error:
            raise NotFound("The recording is not at Discord any more.") from error

    def health(self) -> PartHealth:
        """How Discord is, for people."""
        if self._broken:
            return PartHealth(NAME, PartState.DEGRADED, f"Discord does not work: {self._broken}.", "see the log")
        if self.service is not None:
            return self.service.health()
        if self._face is not None:
            return PartHealth(NAME, PartState.OK, "Delivers; another process holds the connection.")
        return PartHealth(NAME, PartState.OFF, "No token.", "set DISCORD_TOKEN, or use the Settings page")
