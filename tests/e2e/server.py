"""The real server as these tests run it: `python -m antiphon up` on a free port, over a data folder of its own.

What an operator does beside it (links, keys, users) goes straight to its database here, as the commands do, but without
the seconds that a new process takes each time. The commands themselves are tested in tests/integration.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx

from antiphon.config import load_settings
from antiphon.domain.identity import Role
from antiphon.run.wiring import open_stores_alone

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

T = TypeVar("T")

_SOURCES = Path(__file__).parents[2] / "src"
_OURS = re.compile(r"ANTIPHON_|DATABASE_URL|REDIS_URL|OPENAI_|LIVEKIT_|DISCORD_|TELEGRAM_|SYSTEM_PROMPT")
START_SECONDS = 40


class Server:
    """One server process that can be killed and started again over the same data."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, *, role: str = "up", port: int = 0
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._role = role
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{role}.log"
        self.spoken = ""
        """A spoken session of its, where a test left one."""
        self._process: subprocess.Popen[str] | None = None
        self._first_link = ""
        inherited = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        self._environment = {
            **inherited,
            "PYTHONPATH": str(_SOURCES),
            "ANTIPHON_DATA_DIR": str(folder / "data"),
            "ANTIPHON_LIMITS__MESSAGES_PER_MINUTE": "10000",
            **(settings or {}),
        }

    def start(self) -> None:
        """Start and wait until it answers."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "antiphon", self._role, "--port", str(self.port)],
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
            if line.startswith("Stop with"):
                return
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def link(self, name: str = "") -> str:
        """A sign-in link for the owner (the one printed at the first start, later new ones), or for the user `name`."""
        if self._first_link and not name:
            link, self._first_link = self._first_link, ""
            return link

        async def make(stores: Stores) -> str:
            user = await (stores.users.find(name) if name else stores.users.ensure_owner())
            return await stores.users.sign_in_token(user.id, timedelta(minutes=15))

        return f"{self.url}/welcome/{self._beside(make)}"

    def user(self, name: str, role: Role = Role.MEMBER) -> None:
        """Make another user."""
        self._beside(lambda stores: stores.users.create(name, role))

    def fill(self, name: str, channel: str, count: int) -> None:
        """Give the user `name` a conversation of `count` tasks: asked, answered, done. Straight into the tables."""

        async def fill(stores: Stores) -> None:
            user = await stores.users.find(name)
            await stores.database.run(lambda _: conversation(user.person, channel, count))

        self._beside(fill)

    def key(self, *scopes: str, of: str = "") -> str:
        """A key of the owner, or of the user `of`."""

        async def make(stores: Stores) -> str:
            user = await (stores.users.find(of) if of else stores.users.ensure_owner())
            return (await stores.keys.create("e2e", scopes, user.person))[1]

        return self._beside(make)

    def propose(self, channel: str, *texts: str) -> None:
        """Let the agent ask the owner whether it may remember these; only a language model would."""

        async def ask(stores: Stores) -> None:
            owner = await stores.users.ensure_owner()
            for text in texts:
                await stores.proposals.propose(owner.person, text, channel=channel, origin=f"{channel}:{text}")

        self._beside(ask)

    def client(self, key: str = "") -> httpx.Client:
        """A client of the API, with a key of the owner unless one is given."""
        bearer = key or self.key("chat")
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {bearer}"}, timeout=10)

    def resources(self) -> tuple[int, int]:
        """Threads of the process, and sockets it listens or talks on."""
        assert self._process is not None
        process = Path(f"/proc/{self._process.pid}")
        threads = len(list((process / "task").iterdir()))
        sockets = 0
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sockets += os.readlink(entry).startswith("socket:")
        return threads, sockets

    def _beside(self, action: Callable[[Stores], Awaitable[T]]) -> T:
        """Run `action` on the server's database, in a thread: Playwright keeps an event loop in this one."""

        async def act() -> T:
            settings = load_settings(self._environment, directory=self.folder)
            async with open_stores_alone(settings) as stores:
                return await action(stores)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(act())).result(START_SECONDS)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(timeout=15)
        if process.stdout:
            process.stdout.close()


def conversation(person: int, key: str, count: int) -> None:
    """The rows of a conversation of `count` questions and answers, within a transaction."""
    from antiphon.store.models import Channel, Message, Task, Thread

    now = time.time()
    channel = Channel.objects.create(
        key=key, platform="web", owner_id=person, created_at=stamp(now - count), last_at=stamp(now)
    )
    thread = Thread.objects.create(channel=channel, state="active", opened_at=stamp(now - count), last_at=stamp(now))

    def said(number: int, **more: object) -> Message:
        at = stamp(now - count + number)
        return Message(channel=channel, thread=thread, at=at, created_at=at, **more)

    asked = Message.objects.bulk_create(
        said(n, author="person", person_id=person, author_name="Wren", text=f"question {n} about herons")
        for n in range(count)
    )
    tasks = Task.objects.bulk_create(
        Task(
            kind="message",
            channel=channel,
            thread=thread,
            message=message,
            person_id=person,
            state="done",
            attempt=1,
            created_at=message.at,
            updated_at=message.at,
        )
        for message in asked
    )
    Message.objects.bulk_create(
        said(n, author="agent", answers=task, text=f"answer {n}: they stand still") for n, task in enumerate(tasks)
    )


def stamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _drain(stream: object, lines: queue.Queue[str | None]) -> None:
    try:
        for line in stream:  # type: ignore[attr-defined]
            lines.put(line)
    except ValueError:  # closed while the process ended
        pass
    lines.put(None)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
