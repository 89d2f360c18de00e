"""Discord's gateway beside a bare client of the same library: CPU per message from the socket to the inbox, memory.

The simulated Discord runs in a process of its own, with 200 servers of 1000 members; so does each client
(`discord_client.py`), so that only its own CPU and memory count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

SERVERS, MEMBERS = 200, 1000
CHATTER, ADDRESSED = (1000.0, 3.0), (300.0, 3.0)
"""Messages a second, and seconds: what is not for the agent, and what is."""
BESIDE_BARE = 1.5
INBOX_BOUND = 2.0
"""Milliseconds of CPU for a message that is for the agent: read, stored with its task, committed (SQLite)."""
MEMORY_BOUND = 60.0
"""Megabytes that the servers add."""


def measure() -> list[Figure]:
    """A bare client, then ours with what is not for the agent, then with what is."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-", dir=Path.cwd()) as folder, _simulator(folder) as reach:
        _limits(reach["control"])
        bare = _client("bare", reach, folder, CHATTER)
        members = _client("members", reach, folder, CHATTER)
        chatter = _client("chatter", reach, folder, CHATTER)
        addressed = _client("addressed", reach, folder, ADDRESSED)
    ratio = chatter["cpu_us"] / bare["cpu_us"]
    return [
        Figure("discord: MESSAGE_CREATE in a bare client of the library: CPU", bare["cpu_us"], "µs"),
        Figure(
            "discord: MESSAGE_CREATE that is not for the agent, heard and counted: CPU",
            chatter["cpu_us"],
            "µs",
            f"<= {BESIDE_BARE} x the bare client",
            f"bare client {bare['cpu_us']:.0f} µs ({ratio:.2f}x)",
            passed=ratio <= BESIDE_BARE,
        ),
        Figure(
            "discord: messages a second that one core hears",
            1e6 / chatter["cpu_us"],
            "/s",
            peer=f"bare client {1e6 / bare['cpu_us']:,.0f}/s",
        ),
        Figure(
            "discord: message for the agent, from the socket into the inbox: CPU",
            addressed["cpu_us"] / 1000,
            "ms",
            f"<= {INBOX_BOUND:.0f} ms",
            passed=addressed["cpu_us"] / 1000 <= INBOX_BOUND,
        ),
        Figure(
            f"discord: memory that {SERVERS} servers of {MEMBERS} members add",
            chatter["memory_mb"],
            "MB",
            f"<= {MEMORY_BOUND:.0f} MB",
            f"bare client {bare['memory_mb']:.0f} MB, with its members {members['memory_mb']:.0f} MB",
            passed=chatter["memory_mb"] <= MEMORY_BOUND,
        ),
    ]


@contextmanager
def _simulator(folder: str) -> Iterator[dict[str, str]]:
    """A simulated Discord with the many servers; how to reach it."""
    world = ("--servers", str(SERVERS), "--members", str(MEMBERS), "--ca-out", f"{folder}/ca.pem")
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "sim", "discord", *world], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=30)


def _limits(control: str) -> None:
    """Without the waits that have nothing to do with what is measured."""
    body = json.dumps({"values": {"identify_every": 0, "routes": {}, "other_routes": [1000, 1]}}).encode()
    request = urllib.request.Request(f"{control}/do/limits", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def _client(side: str, reach: dict[str, str], folder: str, storm: tuple[float, float]) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.discord_client", side, folder],
        input=json.dumps({**reach, "rate": storm[0], "seconds": storm[1]}),
        env={**os.environ, "DATABASE_URL": "", "REDIS_URL": ""},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return json.loads(run.stdout.splitlines()[-1])
