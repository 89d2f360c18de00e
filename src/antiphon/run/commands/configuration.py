"""`antiphon config check|show|schema`: what the settings are and where they come from."""

from __future__ import annotations

import argparse
import json
from typing import Any

from antiphon.config import report
from antiphon.run.commands import DONE
from antiphon.run.commands.opening import read_settings


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    config = commands.add_parser("config", help="check or show the configuration").add_subparsers(
        required=True, metavar="ACTION"
    )
    config.add_parser("check", help="read it and say whether it is accepted").set_defaults(run=_check)
    show = config.add_parser("show", help="print the effective settings and where they come from")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=_show)
    config.add_parser("schema", help="print the JSON schema of the file").set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.speech.engines import check_engines

    check_engines(settings)
    print("The configuration is accepted.")
    return DONE


def _show(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    if options.json:
        lines = report.describe(settings)
        print(json.dumps({line.key: {"value": line.value, "origin": line.origin} for line in lines}, indent=2))
    else:
        print(report.as_text(settings))
    return DONE


def _schema(options: argparse.Namespace) -> int:
    del options
    print(json.dumps(report.schema(), indent=2))
    return DONE
