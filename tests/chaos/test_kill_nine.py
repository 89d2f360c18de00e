"""300 messages in 10 channels while workers are killed with SIGKILL, also between a send and its acknowledgement.

The receiver is a process of its own with its own log: there every message is answered exactly once, in order per
channel, and no tool ran twice. SQLite with one worker, PostgreSQL with three.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.identity import Sender
from antiphon.run.clock import SystemClock
from tests.chaos.forking import Forker
from tests.fixtures_redis import free_port

MESSAGES = 300
CHANNELS = [f"telegram:chaos{n}" for n in range(10)]
KILLS = 24
SEED = 20_26
ROOT = Path(__file__).parents[2]


class World:
    """The processes of a run: one receiver, some workers."""

    def __init__(self, settings: Settings, folder: Path, workers: int) -> None:
        self.log = folder / "receiver.log"
        self.address = f"http://127.0.0.1:{free_port()}"
        environment = {
            **os.environ,
            "RECEIVER": self.address,
            "ANTIPHON_DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "ANTIPHON_THREADS__LEASE_SECONDS": "2",
            "ANTIPHON_THREADS__MAX_ATTEMPTS": "100",
            "ANTIPHON_OUTBOX__LEASE_SECONDS": "2",
            "ANTIPHON_OUTBOX__MAX_ATTEMPTS": "100",
            "ANTIPHON_LOG__LEVEL": "warning",
        }
        self._workers_log = folder / "workers.log"
        self._receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.receiver", self.address.rpartition(":")[2], str(self.log)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
        self._forker = Forker("tests.chaos.worker", environment, self._workers_log)
        self.workers = [self._forker.fork() for _ in range(workers)]
        self.killed = 0

    def order(self, when: str) -> None:
        """Let the receiver kill whichever worker calls next."""
        httpx.post(f"{self.address}/order", json={"kill": when}, timeout=5).raise_for_status()

    def bury_and_replace(self) -> int:
        """Replace workers that are gone; returns how many were."""
        gone = [number for number, worker in enumerate(self.workers) if worker.poll() is not None]
        for number in gone:
            assert self.workers[number].returncode == -signal.SIGKILL, self._workers_log.read_text()[-3000:]
            self.workers[number] = self._forker.fork()
        self.killed += len(gone)
        return len(gone)

    def lines(self) -> list[dict[str, Any]]:
        """The receiver's log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def close(self) -> None:
        """End every process by its own id."""
        for worker in self.workers:
            worker.kill()
        self._forker.close()
        self._receiver.kill()
        self._receiver.wait(10)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Settings]]:
    settings: Settings = request.getfixturevalue(f"{request.param}_settings")
    made = World(settings, tmp_path, workers=1 if request.param == "sqlite" else 3)
    try:
        yield made, settings
    finally:
        made.close()


def text_of(number: int) -> str:
    """Every third message rolls dice (a tool with an effect outside), the others are sums."""
    return f"roll 1d6+{number + 1}" if number % 3 == 0 else f"what is {number} + 10000"


@pytest.mark.timeout(420)
async def test_every_message_is_answered_exactly_once(world: tuple[World, Settings]) -> None:
    from antiphon.store.stores import open_stores

    processes, settings = world
    stores = open_stores(settings, SystemClock(), LocalSignals())
    chance = random.Random(SEED)
    tasks: dict[int, tuple[str, int]] = {}
    try:
        for step in range(KILLS):
            when = ("before", "after", "now")[step % 3]
            if when != "now":
                processes.order(when)  # before the messages: fast workers would have answered them all by then
            for number in range(step * MESSAGES // KILLS, (step + 1) * MESSAGES // KILLS):
                channel = chance.choice(CHANNELS)
                receipt = await stores.inbox.receive(message(channel, number))
                tasks[receipt.task] = (channel, number)
            await kill_one(processes, when, chance)
        assert len(tasks) == MESSAGES
        await all_done(stores, processes)
        left = await stores.tasks.counts()
    finally:
        await stores.close()
    judge(processes.lines(), tasks)
    assert {state: count for state, count in left.items() if count} == {"done": MESSAGES}
    assert processes.killed >= 20


def message(channel: str, number: int) -> InboundMessage:
    return InboundMessage(
        platform="telegram",
        channel=channel,
        native_id=str(number),
        sender=Sender("u1", "Ada"),
        text=text_of(number),
        at=SystemClock().now(),
        receiver="bot",
    )


async def kill_one(processes: World, when: str, chance: random.Random) -> None:
    """Let one worker be killed, at its next call to the receiver as ordered or now; start another in its place."""
    if when == "now":
        await asyncio.sleep(chance.uniform(0, 2.5))
        victim = chance.choice(processes.workers)
        victim.kill()
    deadline = time.monotonic() + 30
    while not processes.bury_and_replace():
        assert time.monotonic() < deadline, "no worker called the receiver"
        await asyncio.sleep(0.05)


async def all_done(stores: Any, processes: World) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        processes.bury_and_replace()
        counts = await stores.tasks.counts()
        sent = Counter(line["task"] for line in processes.lines() if line["kind"] == "send")
        if counts["done"] == MESSAGES and len(sent) == MESSAGES:
            await asyncio.sleep(1.0)  # a doubled reply would come now
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"not everything was answered in time: {counts}, {len(sent)} delivered")


def judge(lines: list[dict[str, Any]], tasks: dict[int, tuple[str, int]]) -> None:
    """Read the receiver's log as a person would read the channels."""
    sends = [line for line in lines if line["kind"] == "send"]
    assert Counter(line["task"] for line in sends) == Counter(dict.fromkeys(tasks, 1))
    for line in sends:
        channel, number = tasks[line["task"]]
        assert line["channel"] == channel
        wanted = rf"1d6\+{number + 1}\b|cannot tell whether" if number % 3 == 0 else str(number + 10000)
        assert re.search(wanted, line["text"].replace(",", "")), line
    for channel in CHANNELS:
        order = [tasks[line["task"]][1] for line in sends if line["channel"] == channel]
        assert order == sorted(order)
    rolled = Counter(line["dice"] for line in lines if line["kind"] == "tool")
    assert all(count == 1 for count in rolled.values()), rolled
    assert len(rolled) >= MESSAGES // 3 - KILLS
    after_send = [
        line for line in lines if line["kind"] == "killed" and line["when"] == "after" and line["what"] == "/send"
    ]
    assert after_send, "no worker was killed between a send and its acknowledgement"
