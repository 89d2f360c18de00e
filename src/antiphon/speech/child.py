"""A process of its own for an engine's library: one that holds the interpreter's lock while it works, keeps global
state, may crash, or has a licence that keeps apart.

It is started with the first use, and again after it died; it ends when nobody has used it for a while, with this
process, and when it has not moved for too long while somebody waits, or left without the answer. It must answer each
line that is closed, too: that is how a process that was asked in vain is told from one that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError
from antiphon.speech.children.frames import HEAD, MOST_HEADER, MOST_PAYLOAD, pack
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

Frame = tuple[Mapping[str, Any], bytes]
_STARTS, _WITHIN = 5, 60.0
"""Starts in so many seconds after which it is given up for the rest of them."""
_LEAVE_SECONDS = 0.5
_UNREAD_BYTES, _UNREAD_EACH = 4 * 1024 * 1024, 512 * 1024
"""What the process may leave unread before audio is refused: so much, and so much more for each that talks to it."""


class ChildGone(SpeechError):
    """The process ended while somebody waited for it; a new one may do better."""


class Child:
    """One such process. `set_up` gives the first frame, which it answers when it is ready."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        set_up: Callable[[], Awaitable[Frame]],
        ready_seconds: float = 30.0,
        still_seconds: float = 30.0,
        idle_seconds: float = 300.0,
    ) -> None:
        self.name = name
        self._module = module
        self._set_up = set_up
        self._ready_seconds = ready_seconds
        self._still_seconds = still_seconds
        self._idle_seconds = idle_seconds
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._lines: dict[int, Line] = {}
        self._next = 0
        self._starts: deque[float] = deque(maxlen=_STARTS)
        self._moved = 0.0
        self._doubted = False
        self._idle: asyncio.TimerHandle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._closed = False
        self.facts: Mapping[str, Any] = {}
        """What it said about itself when it was ready."""

    @property
    def lines(self) -> int:
        """How many talk to it now."""
        return len(self._lines)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it unless it runs. Raises `SpeechError` when it does not get ready."""
        async with self._lock:
            if self._closed:
                raise SpeechError(f"The engine {self.name} is closed.")
            if self._process is not None:
                return
            now = asyncio.get_running_loop().time()
            if len(self._starts) == _STARTS and now - self._starts[0] < _WITHIN:
                raise SpeechError(f"The engine {self.name} died {_STARTS} times in a minute; it is left alone for now.")
            if self._starts:
                metrics.SPEECH_RESTARTS.labels(engine=self.name).inc()
            self._starts.append(now)
            await self._spawn()

    async def _spawn(self) -> None:
        header, payload = await self._set_up()
        process = await asyncio.create_subprocess_exec(
            # -P: what lies in the working directory is none of its modules
            *(sys.executable, "-P", "-m", self._module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=1024 * 1024,
        )
        try:
            if process.stdin is not None:
                process.stdin.write(pack(header, payload))
            async with asyncio.timeout(self._ready_seconds):
                facts, _ = await _read(process)
        except (TimeoutError, EOFError, OSError, ValueError) as error:
            await _end(process)
            raise SpeechError(f"The engine {self.name} does not start.") from error
        except BaseException:
            await _end(process)
            raise
        if problem := facts.get("error"):
            await _end(process)
            raise SpeechError(f"The engine {self.name} does not start: {problem}.")
        self.facts = facts
        self._process = process
        self._doubted = False
        self._moved = asyncio.get_running_loop().time()
        reader = asyncio.create_task(self._read_all(process), name=f"engine {self.name}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        self._rest()

    def line(self) -> Line:
        """A way to talk to it, apart from others. Start it first; close the line afterwards."""
        self._next += 1
        line = Line(self, self._next)
        if self._process is None:
            line.end()
        self._lines[line.id] = line
        self._rest()
        return line

    def hang_up(self, line: Line) -> None:
        """Nobody reads this line any more. Who leaves before the answer that is owed leaves a doubt: does it hang?"""
        self._lines.pop(line.id, None)
        self._doubted = self._doubted or (line.owed > 0 and self._process is not None)
        self._rest()

    def write(self, header: Mapping[str, Any], payload: bytes = b"") -> bool:
        """Send a frame, False where it does not read what it was sent."""
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            return False
        most = _UNREAD_BYTES + _UNREAD_EACH * len(self._lines)
        if payload and self._process.stdin.transport.get_write_buffer_size() > most:
            return False
        self._process.stdin.write(pack(header, payload))
        return True

    async def drain(self) -> None:
        """Wait until it has taken most of what was sent; a process that is gone takes everything."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

    def watch(self) -> None:
        """Look after a while whether it still moves, as long as it owes somebody an answer."""
        loop = asyncio.get_running_loop()
        if self._watching is None:
            self._moved = max(self._moved, loop.time())
            self._watching = loop.call_later(self._still_seconds, self._look)

    def _look(self) -> None:
        self._watching = None
        if self._process is None or not (self._doubted or any(line.owed for line in self._lines.values())):
            return
        loop = asyncio.get_running_loop()
        left = self._moved + self._still_seconds - loop.time()
        if left > 0:
            self._watching = loop.call_later(left, self._look)
            return
        log.warning("speech.engine_hung", engine=self.name)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # whoever reads it sees it end

    async def _read_all(self, process: asyncio.subprocess.Process) -> None:
        try:
            while True:
                header, payload = await _read(process)
                self._moved, self._doubted = asyncio.get_running_loop().time(), False
                line = self._lines.get(header.get("id", 0))
                if line is not None:
                    line.owed -= 1 if header.get("done") and line.owed else 0
                    line.frames.put_nowait((header, payload))
        except (EOFError, OSError, ValueError):
            died = self._process is process
            if died:
                self._gone()
            await _end(process)
            if died:
                log.warning("speech.engine_died", engine=self.name, status=process.returncode)

    def _gone(self) -> None:
        self._process = None
        for line in self._lines.values():
            line.end()

    def _rest(self) -> None:
        """End the process later, if nobody talks to it then."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._lines and self._process is not None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._let_go)

    def _let_go(self) -> None:
        if not self._lines and (process := self._process) is not None and process.stdin is not None:
            self._process = None
            process.stdin.close()  # it ends by itself, and whoever reads it sees it to the end

    async def aclose(self) -> None:
        """End it. Twice is once."""
        self._closed = True
        async with self._lock:
            for timer in (self._idle, self._watching):
                if timer is not None:
                    timer.cancel()
            process = self._process
            self._gone()
            if process is not None:
                await _end(process)
            if self._readers:
                await asyncio.wait(self._readers)  # they end with their processes


class Line:
    """A conversation with the process about one thing."""

    def __init__(self, child: Child, number: int) -> None:
        self._child = child
        self.id = number
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.owed = 0
        """Answers that it was asked for and has not finished (`done` in their last frame)."""

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> bool:
        """Send a frame about this; False where it is not taken."""
        return self._child.write({**header, "id": self.id}, payload)

    def ask(self, header: Mapping[str, Any], payload: bytes = b"") -> bool:
        """Send a frame that must be answered: a process that neither answers nor does anything is ended."""
        self.owed += 1
        self._child.watch()
        return self.send(header, payload)

    async def receive(self) -> Frame:
        """The next answer. Raises `ChildGone`, `SpeechError` for an error that the process reports, `SpeechBusy`, and
        `InvalidInput` where it was asked for something that there is not."""
        frame = await self.frames.get()
        if frame is None:
            raise ChildGone(f"The engine {self._child.name} ended unexpectedly.")
        header, payload = frame
        if header.get("busy"):
            raise SpeechBusy(f"The engine {self._child.name} has too much to do now. Try again in a moment.")
        if problem := header.get("refused"):
            raise InvalidInput(f"The engine {self._child.name} cannot do that: {problem}.")
        if problem := header.get("error"):
            raise SpeechError(f"The engine {self._child.name} failed: {problem}.")
        return header, payload

    def end(self) -> None:
        """Nothing comes any more; whoever receives is told so."""
        self.owed = 0
        self.frames.put_nowait(None)

    async def drain(self) -> None:
        """Wait until it has taken most of what was sent."""
        await self._child.drain()

    def close(self) -> None:
        """Nobody listens any more."""
        self._child.hang_up(self)


async def _read(process: asyncio.subprocess.Process) -> Frame:
    if process.stdout is None:
        raise EOFError
    header_size, payload_size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
    if header_size > MOST_HEADER or payload_size > MOST_PAYLOAD:
        raise ValueError("a frame that is too large")
    header: dict[str, Any] = json.loads(await process.stdout.readexactly(header_size))
    return header, await process.stdout.readexactly(payload_size)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LEAVE_SECONDS):  # it ends by itself when the pipe closes
            await process.wait()
            return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
