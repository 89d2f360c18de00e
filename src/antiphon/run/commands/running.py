"""`antiphon up`, the roles alone, the speech services and the demonstration: what runs until it is stopped."""

from __future__ import annotations

import argparse
import gc
from typing import Any

from antiphon.run.commands import DONE
from antiphon.run.commands.opening import read_settings


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    for name, text in (
        ("up", "run everything in this process"),
        ("api", "run the API alone (needs PostgreSQL and Redis)"),
        ("console", "serve the pages alone, for an API elsewhere (port 5173)"),
        ("discord", "hold the connection to Discord alone (needs PostgreSQL and Redis)"),
        ("voice", "carry spoken sessions alone (needs PostgreSQL and Redis)"),
        ("worker", "work on tasks and deliver replies alone (needs PostgreSQL and Redis)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, help="instead of the configured one")
        command.set_defaults(run=_role, role=name)

    for name, text in (
        ("stt", "serve the engines that listen to other programs (gRPC, Wyoming)"),
        ("tts", "serve the engines that speak to other programs (gRPC, Wyoming)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, help="of /health and /metrics, instead of the configured one")
        command.set_defaults(run=_speech_service, service=name)

    demo = commands.add_parser("demo", help="try everything with a simulated Discord: no token, nothing is kept")
    demo.add_argument("--port", type=int, help="instead of the configured one")
    demo.set_defaults(run=_demo)


def _role(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.run.roles import ROLES, run_role

    run_role(ROLES[options.role], settings, announce=_announce)
    return _ended()


def _ended() -> int:
    """The process ends now, and gives everything back with it: to look through it all before took a second of work."""
    gc.freeze()
    return DONE


def _speech_service(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.run.speech_services import run_speech_service

    run_speech_service(options.service, settings, announce=_announce)
    return _ended()


def _demo(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.run.demo import run_demo

    run_demo(settings, announce=_announce)
    return _ended()


def _announce(text: str) -> None:
    print(text, flush=True)
