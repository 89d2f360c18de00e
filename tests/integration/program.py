"""Starts the real program as a process of its own, on a free port and a temporary folder, and ends it by its own id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from antiphon.config import load_settings
from antiphon.run.wiring import open_stores_alone
from tests.fixtures_redis import free_port

START_SECONDS = 40


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command: nothing of this machine's own Antiphon settings gets in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTIPHON_", "OPENAI_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "SYSTEM_PROMPT"):
        kept.pop(name, None)
    return {
        **kept,
        "ANTIPHON_DATA_DIR": str(folder / "data"),
        "ANTIPHON_LOG__FORMAT": "json",
        "ANTIPHON_LIMITS__MESSAGES_PER_MINUTE": "10000",
        **more,
    }


def command(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one `antiphon` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "antiphon", *arguments],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def key_of(folder: Path, **more: str) -> str:
    """A fresh key of the owner, made in the database as the command does, without the seconds of a process."""

    async def make() -> str:
        settings = load_settings(environment(folder, **more), directory=folder)
        async with open_stores_alone(settings) as stores:
            owner = await stores.users.ensure_owner()
            return (await stores.keys.create("test", ("chat", "admin"), owner.person))[1]

    return asyncio.run(make())


def owner_of(folder: Path, **more: str) -> dict[str, str]:
    """Headers with a fresh key of the owner."""
    return {"Authorization": f"Bearer {key_of(folder, **more)}"}


class Program:
    """A running role. `out` is what it printed so far, `log` what it logged, `http` a client for its address.

    The client connects anew for each request and keeps no cookies, as many clients would. It is one object because each
    reads the certificates of the whole world when it is made: 25 ms of computing, in loops that wait for an answer.
    """

    module = "antiphon"

    def __init__(self, folder: Path, role: str = "up", name: str = "", **more: str) -> None:
        self.folder = folder
        self._role = role
        self._name = name or role
        self._more: Mapping[str, str] = more
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(
            base_url=self.address,
            timeout=20,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        """Start and wait until /health answers. One that does not start is ended."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            while time.monotonic() < deadline:
                assert self.process.poll() is None, self.log
                try:
                    if self.http.get("/health", timeout=2).status_code == 200:
                        failed.pop_all()
                        return self
                except httpx.HTTPError:
                    time.sleep(0.05)
            raise AssertionError(f"{self._role} did not start: {self.log}")

    def launch(self) -> None:
        """Start without waiting."""
        with self._file("out").open("ab") as out, self._file("log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, self._role],
                cwd=self.folder,
                env=environment(self.folder, ANTIPHON_HTTP__PORT=str(self.port), **self._more),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self._name}.{kind}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def out(self) -> str:
        return self._file("out").read_text()

    @property
    def log(self) -> str:
        return self._file("log").read_text()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self, seconds: float = 10) -> int:
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it, however it stands."""
        self.http.close()
        if self.running:
            self.kill()

    def say(self, headers: Mapping[str, str], text: str, channel: str = "web:a") -> dict[str, Any]:
        """Say something there; what was accepted."""
        answer = self.http.post(f"/api/channels/{channel}/messages", headers=headers, json={"text": text})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, headers: Mapping[str, str], task: str, seconds: float = 60) -> dict[str, Any]:
        """The task once it is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            got = self.http.get(f"/api/tasks/{task}", headers=headers).json()
            if got["state"] in ("done", "dead", "cancelled"):
                return got
            time.sleep(0.05)
        raise AssertionError(f"not answered: {got}")

    def texts(self, headers: Mapping[str, str], author: str, channel: str = "web:a") -> list[str]:
        """What was said there, oldest first."""
        answer = self.http.get(f"/api/channels/{channel}/messages?limit=100", headers=headers)
        return [item["text"] for item in reversed(answer.json()["items"]) if item["author"] == author]
