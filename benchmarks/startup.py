"""How long `antiphon up` takes until /health answers with everything warm, and how much memory it holds when idle."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.figures import Figure

RUNS = 3


def measure() -> list[Figure]:
    """The best of a few starts on an existing database, and the resident memory ten seconds later."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        _start(Path(name), settle=0)  # the first start migrates and fills the file caches
        starts = [_start(Path(name), settle=0) for _ in range(RUNS)]
        resident = _start(Path(name), settle=10)[1]
    seconds = min(wall for wall, _ in starts)
    return [
        Figure("start until /health answers", seconds, "s", "< 3 s warm", passed=seconds < 3),
        Figure("resident memory, idle", resident, "MB", "<= 300 MB", passed=resident <= 300),
    ]


def _start(folder: Path, *, settle: float) -> tuple[float, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "ANTIPHON_DATA_DIR": str(folder), "ANTIPHON_HTTP__PORT": str(port)}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "up"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        while True:
            if process.poll() is not None or time.perf_counter() - begin > 60:
                raise RuntimeError("antiphon up did not start")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                    if answer.status == 200:
                        break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.01)
        wall = time.perf_counter() - begin
        time.sleep(settle)
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
        return wall, resident
    finally:
        process.terminate()
        process.wait(10)
