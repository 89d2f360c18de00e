"""`antiphon events tail`: what happens, while it happens."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from antiphon.domain.errors import InvalidInput
from antiphon.run.commands import DONE
from antiphon.run.commands.opening import read_settings


def add_commands(commands: Any) -> None:
    """Add the command to the parser of `antiphon`."""
    events = commands.add_parser("events", help="what happens, while it happens").add_subparsers(
        required=True, metavar="ACTION"
    )
    tail = events.add_parser("tail", help="print events as they come: from Redis, else through the API with a key")
    tail.add_argument("--topic", action="append", default=[], metavar="PATTERN", help="only these, e.g. 'turn.web:*'")
    tail.add_argument("--json", action="store_true", help="one JSON object per line")
    tail.add_argument("--count", type=int, default=0, metavar="N", help="end after N events")
    tail.add_argument("--url", help="a running server (default: the configured one)")
    tail.add_argument("--key-file", type=Path, metavar="FILE", help="file with an API key, to go through the API")
    tail.set_defaults(run=_tail)


def _tail(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.run.event_tail import TailOptions, from_api, from_redis, tail

    wanted = TailOptions(options.topic, options.json, options.count)
    redis = settings.redis_url.get_secret_value()
    if options.key_file is not None:
        try:
            key = options.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The key cannot be read from {options.key_file}.") from error
        source = from_api(options.url or settings.http.url, key, wanted)
    elif redis and not options.url:
        source = from_redis(redis)
    else:
        raise InvalidInput(
            "Without REDIS_URL events are read from the running server, with a key: antiphon key create tail > FILE, "
            "then antiphon events tail --key-file FILE."
        )
    asyncio.run(tail(source, wanted, lambda line: print(line, flush=True)))
    return DONE
