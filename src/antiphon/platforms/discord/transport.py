"""Where Discord's addresses lead: the real ones, or a simulated Discord on this machine. Used for REST and gateway.

With `discord.loopback` nothing outside of this machine can be reached: every name of Discord resolves to that port of
127.0.0.1, and no other name resolves at all. Certificates are always checked.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from antiphon.config.discord import DiscordSettings
from antiphon.domain.errors import ConfigError

_OURS = ("discord.com", "discord.gg", "discordapp.com", "discordapp.net", "discord.media")


class LoopbackResolver(AbstractResolver):
    """Every host of Discord is one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The simulator, or an error for names that are not Discord's."""
        if not any(host == name or host.endswith(f".{name}") for name in _OURS):
            raise OSError(None, f"{host} is not an address of Discord")
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": self._port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _loopback_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """A socket for an address of this machine; those that are named by number pass no resolver."""
    family, kind, protocol, _, address = info
    if not ipaddress.ip_address(str(address[0])).is_loopback:
        raise OSError(None, f"{address[0]} is outside of this machine")
    return socket.socket(family, kind, protocol)


def open_connector(settings: DiscordSettings) -> aiohttp.TCPConnector:
    """A connector for one session. `ConfigError` when the certificate authority cannot be read."""
    try:
        trust = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            source="settings",
            key="discord.ca_file",
            problem=f"cannot be read as certificates ({type(error).__name__})",
            remedy="name a PEM file, or leave it empty for the system's certificates",
        ) from error
    if settings.loopback:
        return aiohttp.TCPConnector(
            limit=0,
            ssl=trust,
            resolver=LoopbackResolver(settings.loopback),
            use_dns_cache=False,
            socket_factory=_loopback_socket,
        )
    return aiohttp.TCPConnector(limit=0, ssl=trust)
