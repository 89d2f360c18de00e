"""Speech over a WebSocket of this program: PCM both ways, small JSON beside it. `api.voice_sockets` accepts the socket.

The person's page reports how much of the answers it has really played (`played {samples}`, counted from the opening of
the socket). A client that never reports is taken to play what it is given at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from antiphon.voice.transports.transport import FRAME_MS, RATE, Control

log = structlog.stdlib.get_logger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MALFORMED, UNAUTHENTICATED, UNKNOWN, SLOW, USED, TOO_LARGE = 4400, 4401, 4404, 4408, 4409, 4413
GOING_AWAY = 1001
MOST_FRAME_BYTES = 64 * 1024
MOST_TEXT_CHARS = 4096
MOST_UNSENT = 100
"""Messages that wait for a client that does not read: two seconds of sound."""
MOST_UNHEARD_BYTES = 12 * RATE * 2
"""What waits for the engine; older sound is dropped."""
MOST_COMPLAINTS = 50
"""Messages that make no sense, until the socket is closed."""
BURST_SECONDS = 10.0
"""Sound taken at once: a page sends what it heard before it was connected, or while the network stood still."""
FASTER = 1.25
"""How much faster than it can be spoken sound is taken, after a burst."""


class WebSocketTransport:
    """One accepted socket. `serve` runs until it is closed from either side."""

    name = "embedded"

    def __init__(self, receive: Receive, send: Send, control: Control) -> None:
        self._receive_message = receive
        self._send_message = send
        self._control = control
        self._frames: deque[bytes] = deque()
        self._unheard = 0
        self._there = asyncio.Event()
        self._out: deque[dict[str, Any]] = deque()
        self._due = asyncio.Event()
        self._closed = asyncio.Event()
        self._code: int | None = None
        self._written = 0
        self._all = 0  # what was ever written, cleared or not: more than this nobody can have heard
        self._reported: int | None = None
        self._heard_by = 0.0
        self._complaints = 0
        self._began = time.monotonic()
        self._taken = 0.0

    # --- what the engine uses -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """It is open: the server accepted it."""

    async def receive(self) -> bytes | None:
        """The next piece of what the person says; None once the socket is closed."""
        while not self._frames:
            if self._closed.is_set():
                return None
            self._there.clear()
            await self._there.wait()
        piece = self._frames.popleft()
        self._unheard -= len(piece)
        return piece

    async def write(self, pcm: bytes) -> None:
        """Say something; it is sent by `serve`."""
        if self._closed.is_set():
            return
        now = time.monotonic()
        samples = len(pcm) // 2
        self._heard_by = max(self._heard_by, now) + samples / RATE
        self._written += samples
        self._all += samples
        self._put({"type": "websocket.send", "bytes": pcm})

    def clear(self) -> None:
        """Be silent at once."""
        self._written, self._heard_by = self.played, 0.0
        waiting = [message for message in self._out if "bytes" not in message]
        self._out.clear()
        self._out.extend(waiting)
        self._tell({"type": "clear"})

    @property
    def played(self) -> int:
        """What the page says it has played; without a word of it, what it can have played by now."""
        if self._reported is not None:
            return self._reported
        ahead = max(0.0, self._heard_by - time.monotonic())
        return max(0, self._written - round(ahead * RATE))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Tell the page something."""
        self._tell(event)

    @property
    def closed(self) -> asyncio.Event:
        """Set once the socket is closed."""
        return self._closed

    async def aclose(self) -> None:
        """Close it."""
        self.close(GOING_AWAY)

    def close(self, code: int) -> None:
        """Close it with a code. The first one stands."""
        if not self._closed.is_set():
            self._code = code
            self._closed.set()
            self._there.set()
            self._due.set()

    # --- the socket ---------------------------------------------------------------------------------------------------

    async def serve(self) -> int | None:
        """Carry messages until the end. Returns the code to close with, None when the client has gone."""
        self._tell({"type": "hello", "rate": RATE, "frame_ms": FRAME_MS})
        reading = asyncio.create_task(self._read(), name="voice-socket-read")
        writing = asyncio.create_task(self._write(), name="voice-socket-write")
        ending = asyncio.create_task(self._closed.wait(), name="voice-socket-end")
        tasks: set[asyncio.Task[Any]] = {reading, writing, ending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone = not self._closed.is_set()
            self.close(GOING_AWAY)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in (reading, writing):
            if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, OSError):
                log.error("voice.socket_failed", exc_info=error)
        return None if gone else self._code

    async def _write(self) -> None:
        while True:
            while self._out:
                await self._send_message(self._out.popleft())
            self._due.clear()
            await self._due.wait()

    async def _read(self) -> None:
        while True:
            message = await self._receive_message()
            if message["type"] == "websocket.disconnect":
                return
            pcm = message.get("bytes")
            if pcm is not None:
                self._sound(pcm)
            else:
                self._text(message.get("text") or "")

    def _sound(self, pcm: bytes) -> None:
        if len(pcm) > MOST_FRAME_BYTES:
            self.close(TOO_LARGE)
        elif not pcm:
            return
        elif len(pcm) % 2:
            self._complain("bad_frame", "A frame holds whole samples of 16 bits.")
        elif self._too_fast(len(pcm) / 2 / RATE):
            self._complain("too_fast", "Sound came faster than anybody can speak; some of it was dropped.")
        else:
            self._frames.append(pcm)
            self._unheard += len(pcm)
            while self._unheard > MOST_UNHEARD_BYTES:
                self._unheard -= len(self._frames.popleft())
            self._there.set()

    def _too_fast(self, seconds: float) -> bool:
        """Whether this is more sound than a person can have made since the socket was opened."""
        passed = (time.monotonic() - self._began) * FASTER
        self._taken = max(self._taken, passed - BURST_SECONDS)
        if self._taken + seconds > passed + BURST_SECONDS:
            return True
        self._taken += seconds
        return False

    def _text(self, text: str) -> None:
        if len(text) > MOST_TEXT_CHARS:
            self.close(TOO_LARGE)
            return
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            self._complain("bad_message", "Text is JSON: an object with a type. Sound is sent in binary frames.")
            return
        match said.get("type"):
            case "hello":
                self._hello(said)
            case "played":
                self._played(said.get("samples"))
            case "mute" | "ptt":
                self._control(said)
            case "ping":
                self._tell({"type": "pong"})
            case _:
                self._complain("bad_message", "The type is hello, played, mute, ptt or ping.")

    def _hello(self, said: Mapping[str, Any]) -> None:
        if said.get("rate", RATE) != RATE:
            self._tell(_error("wrong_rate", f"Sound is taken at {RATE} samples a second, one channel, 16 bits."))
            asyncio.get_running_loop().call_soon(self.close, MALFORMED)

    def _played(self, samples: object) -> None:
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
            self._complain("bad_message", "played has samples, a whole number.")
        else:
            self._reported = max(self._reported or 0, min(samples, self._all))

    def _complain(self, code: str, message: str) -> None:
        self._complaints += 1
        if self._complaints > MOST_COMPLAINTS:
            self.close(MALFORMED)
        elif self._complaints <= 5:
            self._tell(_error(code, message))

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._put({"type": "websocket.send", "text": json.dumps(event, separators=(",", ":"))})

    def _put(self, message: dict[str, Any]) -> None:
        if self._closed.is_set():
            return
        if len(self._out) >= MOST_UNSENT:
            self.close(SLOW)
            return
        self._out.append(message)
        self._due.set()


def _error(code: str, message: str) -> dict[str, object]:
    return {"type": "error", "code": code, "message": message}
