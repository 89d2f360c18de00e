"""Serves until it is ended: `python -m tests.livekit_server [--port N] [--key K] [--secret S]`.

Prints one JSON line `{"url"}` once it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal

from aiohttp import web
from livekit.api import TokenVerifier

from tests.livekit_server.rooms import Rooms, RoomService
from tests.livekit_server.signalling import Signalling, readable_by_pages

GOODBYE_SECONDS = 1.0


async def serve(port: int, key: str, secret: str) -> None:
    rooms, verifier = Rooms(), TokenVerifier(key, secret)
    app = web.Application(middlewares=[readable_by_pages])
    app.add_routes([*Signalling(rooms, verifier).routes(), *RoomService(rooms, verifier).routes()])
    runner = web.AppRunner(app, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    print(json.dumps({"url": f"ws://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="devkey")
    parser.add_argument("--secret", default="secret" * 6)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(chosen.port, chosen.key, chosen.secret))


main()
