"""`antiphon sim discord`: simulated platforms on loopback, without the product."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from antiphon.domain.errors import InvalidInput
from antiphon.run.commands import DONE


def add_commands(commands: Any) -> None:
    """Add the command to the parser of `antiphon`."""
    sim = commands.add_parser("sim", help="simulated platforms on loopback, to try things out").add_subparsers(
        required=True, metavar="PLATFORM"
    )
    discord = sim.add_parser("discord", help="a simulated Discord; prints how to reach it as one JSON line")
    discord.add_argument("--port", type=int, default=0, help="of Discord's hosts (default: any free one)")
    discord.add_argument("--control-port", type=int, default=0, help="of the control (default: any free one)")
    discord.add_argument("--ca-out", type=Path, metavar="F", help="where to write the certificate to trust")
    discord.add_argument("--token", help="the bot's token (default: a fresh one)")
    discord.add_argument("--servers", type=int, default=0, metavar="N", help="add N servers, for measuring")
    discord.add_argument("--members", type=int, default=1000, metavar="N", help="of each added server")
    discord.set_defaults(run=_discord)


def _discord(options: argparse.Namespace) -> int:
    from antiphon.sim.discord.alone import run_alone

    def announce(reach: dict[str, str]) -> None:
        print(json.dumps(reach), flush=True)

    try:
        asyncio.run(
            run_alone(
                announce,
                port=options.port,
                control_port=options.control_port,
                ca_file=options.ca_out,
                token=options.token,
                servers=options.servers,
                members=options.members,
            )
        )
    except OSError as error:
        raise InvalidInput(f"The simulated Discord cannot start: {error.strerror or error}.") from error
    return DONE
