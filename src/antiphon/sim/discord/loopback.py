"""How an unmodified client reaches the simulator: a resolver that knows Discord's names and leads to loopback.

It is also the guard that nothing leaves the machine: other names do not resolve, and no socket is made for an address
outside of loopback, also when somebody asks for one by number.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
import ssl
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from antiphon.sim.discord.certificates import NAMES


class LoopbackResolver(AbstractResolver):
    """Every host of Discord is this port of 127.0.0.1; nothing else exists. `seen` lists what was asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.seen.add(host)
        if not any(fnmatch.fnmatchcase(host.lower(), name) for name in NAMES):
            raise OSError(None, f"{host} is not part of the simulated Discord")
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": self.port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        return None


def loopback_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """A socket for a loopback address. Raises OSError for any other."""
    family, kind, protocol, _, address = info
    if not ipaddress.ip_address(str(address[0])).is_loopback:
        raise OSError(None, f"{address[0]} is outside of this machine")
    return socket.socket(family, kind, protocol)


def connector(port: int, ca_file: Path) -> aiohttp.TCPConnector:
    """For `discord.Client(connector=...)`: REST, gateway, files and voice go to the simulator, certificates checked."""
    return aiohttp.TCPConnector(
        limit=0,
        ssl=ssl.create_default_context(cafile=str(ca_file)),
        resolver=LoopbackResolver(port),
        use_dns_cache=False,
        socket_factory=loopback_socket,
    )
