"""The real server as these tests run it: `python -m antiphon up` on a free port, over a data folder of its own."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

_SOURCES = Path(__file__).parents[2] / "src"
_OURS = re.compile(r"ANTIPHON_|DATABASE_URL|REDIS_URL|OPENAI_|LIVEKIT_|DISCORD_|TELEGRAM_|SYSTEM_PROMPT")
START_SECONDS = 40


class Server:
    """One server process that can be killed and started again over the same data."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[str] | None = None
        self._first_link = ""
        inherited = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        self._environment = {
            **inherited,
            "PYTHONPATH": str(_SOURCES),
            "ANTIPHON_DATA_DIR": str(folder / "data"),
            "ANTIPHON_HTTP__PORT": str(self.port),
            "ANTIPHON_LIMITS__MESSAGES_PER_MINUTE": "10000",
            **(settings or {}),
        }

    def start(self) -> None:
        """Start and wait until it answers."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "antiphon", "up"],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_drain, args=(self._process.stdout, lines), daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while line := lines.get(timeout=max(0.1, deadline - time.monotonic())):
            if line.startswith("Sign in: "):
                self._first_link = line.removeprefix("Sign in: ").strip()
            if line.startswith("Sign in"):
                return
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def command(self, *arguments: str) -> str:
        """Run an `antiphon` command beside the server and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "antiphon", *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def link(self) -> str:
        """A sign-in link for the owner: the one printed at the first start, later new ones."""
        if self._first_link:
            link, self._first_link = self._first_link, ""
            return link
        return re.search(r"http\S+/welcome/\S+", self.command("user", "link")).group(0)  # type: ignore[union-attr]

    def client(self) -> httpx.Client:
        """A client of the API with a key of the owner."""
        key = self.command("key", "create", "e2e", "--scopes", "chat").splitlines()[-1]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=10)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(timeout=15)
        if process.stdout:
            process.stdout.close()


def _drain(stream: object, lines: queue.Queue[str | None]) -> None:
    try:
        for line in stream:  # type: ignore[attr-defined]
            lines.put(line)
    except ValueError:  # closed while the process ended
        pass
    lines.put(None)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
