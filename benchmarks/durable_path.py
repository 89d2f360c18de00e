"""Message to start of its turn, tasks per second and CPU per task, on SQLite and PostgreSQL, beside the disk's fsync.

Each engine is measured in a process of its own, with the real stores, runner and outbox; the brain answers at once, so
that what is left is the durable path: receive, claim, start, finish, deliver.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, percentile

ALONE = 300
BURST = 2000
CHANNELS = 50
FSYNCS = 200


def measure() -> list[Figure]:
    """Both engines, each in a fresh process."""
    figures: list[Figure] = []
    for engine in ("sqlite", "postgres"):
        with _database(engine) as (environment, folder):
            run = subprocess.run(
                [sys.executable, "-m", "benchmarks.durable_path", str(folder)],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if run.returncode:
                raise RuntimeError(run.stderr[-2000:])
            figures += _judge(engine, json.loads(run.stdout.splitlines()[-1]))
    return figures


def _judge(engine: str, got: dict[str, float]) -> list[Figure]:
    extra = 3 if engine == "sqlite" else 8
    bound = got["fsync_p99"] + extra
    return [
        Figure(f"{engine}: fsync of the same disk p50", got["fsync_p50"], "ms"),
        Figure(f"{engine}: fsync of the same disk p99", got["fsync_p99"], "ms"),
        Figure(f"{engine}: message to start p50", got["start_p50"], "ms"),
        Figure(
            f"{engine}: message to start p99",
            got["start_p99"],
            "ms",
            f"<= fsync p99 + {extra} ms = {bound:.2f}",
            passed=got["start_p99"] <= bound,
        ),
        Figure(
            f"{engine}: CPU per task",
            got["cpu_per_task"],
            "ms",
            "<= 1 ms (SQLite)",
            passed=got["cpu_per_task"] <= 1 if engine == "sqlite" else None,
        ),
        Figure(
            f"{engine}: tasks per second",
            got["tasks_per_second"],
            "/s",
            ">= 600 (SQLite)",
            passed=got["tasks_per_second"] >= 600 if engine == "sqlite" else None,
        ),
    ]


@contextmanager
def _database(engine: str) -> Iterator[tuple[dict[str, str], Path]]:
    """An empty database on a real disk (not a memory file system)."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        if engine == "sqlite":
            yield {"DATABASE_URL": ""}, folder
            return
        from tests.fixtures_databases import PostgresqlServer

        home = folder / "postgres"
        home.mkdir()
        folder.chmod(0o755)  # the server runs as another user
        server = PostgresqlServer(home, durable=True)
        server.init()
        server.start()
        try:
            yield {"DATABASE_URL": server.create("bench")}, folder
        finally:
            server.stop()


async def _run(folder: Path) -> dict[str, float]:
    from antiphon.bus.memory import MemoryBus
    from antiphon.bus.signals import LocalSignals
    from antiphon.config import load_settings
    from antiphon.domain.conversation import InboundMessage
    from antiphon.domain.identity import Sender
    from antiphon.domain.turns import Final, TurnEvent, TurnRequest
    from antiphon.platforms.web import WebPlatform
    from antiphon.run.clock import SystemClock
    from antiphon.store.stores import open_stores
    from antiphon.threads.inbox import Inbox
    from antiphon.threads.outbox import Outbox, OutboxOptions
    from antiphon.threads.runner import Runner, RunnerOptions
    from antiphon.threads.task_run import TurnParts

    began: dict[str, float] = {}
    started: dict[str, float] = {}

    class InstantBrain:
        async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
            started[request.text] = time.perf_counter()
            yield Final("done")

    settings = load_settings(overrides={"data_dir": str(folder)})
    clock, signals = SystemClock(), LocalSignals()
    stores = open_stores(settings, clock, signals)
    bus = MemoryBus(clock)
    platforms = {"web": WebPlatform(bus)}
    inbox = Inbox(stores.inbox, message_chars=1000)
    person = (await stores.users.ensure_owner()).person
    runner = Runner(
        tasks=stores.tasks,
        bus=bus,
        signals=signals,
        parts=TurnParts(stores.tasks, stores.outbox, InstantBrain(), bus, platforms, clock),
        owner="bench",
        options=RunnerOptions(slots=64),
    )
    outbox = Outbox(
        store=stores.outbox, platforms=platforms, signals=signals, clock=clock, owner="bench", options=OutboxOptions()
    )
    stop = asyncio.Event()
    loops = [asyncio.create_task(runner.run(stop)), asyncio.create_task(outbox.run(stop))]

    async def say(text: str, channel: str) -> None:
        began[text] = time.perf_counter()
        message = InboundMessage("web", channel, text, Sender("x", "Ada"), text, clock.now(), person=person)
        await inbox.receive(message)

    async def all_sent(count: int) -> None:
        while True:
            if len(started) >= count and (await stores.tasks.counts())["done"] >= count:
                return
            await asyncio.sleep(0.02)

    for n in range(50):
        await say(f"warm {n}", f"web:w{n % 5}")
    await all_sent(50)
    fsyncs = _fsyncs(folder)
    for n in range(ALONE):
        await say(f"alone {n}", f"web:c{n % CHANNELS}")
        await asyncio.sleep(0.02)
    await all_sent(50 + ALONE)
    waits = [(started[text] - began[text]) * 1000 for text in started if text.startswith("alone")]
    fsyncs += _fsyncs(folder)

    cpu, wall = time.process_time(), time.perf_counter()
    for first in range(0, BURST, 50):
        await asyncio.gather(*(say(f"burst {n}", f"web:c{n % CHANNELS}") for n in range(first, first + 50)))
    await all_sent(50 + ALONE + BURST)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    stop.set()
    await asyncio.gather(*loops)
    await stores.close()
    return {
        "fsync_p50": percentile(fsyncs, 0.5),
        "fsync_p99": percentile(fsyncs, 0.99),
        "start_p50": percentile(waits, 0.5),
        "start_p99": percentile(waits, 0.99),
        "cpu_per_task": cpu / BURST * 1000,
        "tasks_per_second": BURST / wall,
    }


def _fsyncs(folder: Path) -> list[float]:
    """Milliseconds of fsync after appending a page, in the folder the database lies in."""
    times: list[float] = []
    with (folder / "fsync-probe").open("wb") as file:
        for _ in range(FSYNCS):
            file.write(b"x" * 4096)
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begin) * 1000)
    return times


def _main() -> None:
    import uvloop

    from antiphon.config import load_settings
    from antiphon.store.migrate import migrate
    from antiphon.store.settings import configure
    from antiphon.telemetry.logs import configure_logging

    folder = Path(sys.argv[1])
    settings = load_settings(overrides={"data_dir": str(folder)})
    configure_logging(settings.log)  # as the program does: the cost of its log lines counts
    configure(settings)
    migrate(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_run(folder))))


if __name__ == "__main__":
    _main()
