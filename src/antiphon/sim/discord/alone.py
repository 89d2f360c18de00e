"""The simulated Discord as a process of its own: `antiphon sim discord`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from antiphon.sim.discord.sim import DiscordSim


async def run_alone(
    announce: Callable[[dict[str, str]], None],
    *,
    port: int = 0,
    control_port: int = 0,
    ca_file: Path | None = None,
    token: str | None = None,
    servers: int = 0,
    members: int = 1000,
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets url, ca, control and token once everything listens.

    Raises OSError when a port is taken or the certificate cannot be written.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with DiscordSim(port=port, ca_file=ca_file, token=token) as sim:
        if servers:
            sim.control.big_world(servers, members)
        control = await sim.serve_control(control_port)
        announce({"url": sim.url, "ca": str(sim.ca_file.resolve()), "control": control, "token": sim.token})
        await stop.wait()
