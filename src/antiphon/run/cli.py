"""The `antiphon` command: its options, its errors, its exit status. The commands themselves are in `run.commands`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from antiphon import __version__
from antiphon.domain.errors import AntiphonError, ConfigError
from antiphon.run.commands import (
    FAILED,
    REFUSED,
    asking,
    configuration,
    database,
    events,
    keys,
    running,
    simulators,
    speech,
    threads,
    users,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # what people said is written for this account alone
    try:
        return options.run(options)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return REFUSED
    except AntiphonError as error:
        print(f"antiphon: {error.message}", file=sys.stderr)
        for name, problem in error.fields.items():
            print(f"  {name}: {problem}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="antiphon", description="One agent, every channel, text and voice.")
    parser.add_argument("--version", action="version", version=f"antiphon {__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON file (else ANTIPHON_CONFIG)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_commands in (
        running.add_commands,
        configuration.add_commands,
        keys.add_commands,
        users.add_commands,
        events.add_commands,
        simulators.add_commands,
        database.add_commands,
        asking.add_commands,
        threads.add_commands,
        database.add_backups,
        speech.add_commands,
    ):
        add_commands(commands)
    return parser
