"""One event on its way to one client: shared frames, and the bounded queue each listener has.

The hub puts frames in; an event stream takes them out (`take`), a WebSocket is handed them (`send_with`). A slow client
costs nobody else anything.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import Context
from enum import StrEnum
from functools import partial
from types import coroutine
from typing import Any

import structlog

from antiphon.domain.events import RESET, BusEvent

log = structlog.stdlib.get_logger(__name__)


class Ended(StrEnum):
    """Why a listener hears no more."""

    GONE = "gone"
    OVER = "over"
    REVOKED = "revoked"
    FOREIGN = "foreign"
    SLOW = "slow"
    STOPPING = "stopping"
    UNAVAILABLE = "unavailable"


class Frame:
    """One event, serialised at most once per transport and shared by every listener."""

    __slots__ = ("_sse", "_text", "_ws", "id", "name")

    def __init__(self, event_id: int, name: str, payload: Mapping[str, object]) -> None:
        self.id = event_id
        self.name = name
        self._text = json.dumps(payload, separators=(",", ":"))
        self._ws: dict[str, Any] | None = None
        self._sse: bytes | None = None

    @classmethod
    def of(cls, event: BusEvent) -> Frame:
        """The frame of a bus event."""
        return cls(event.id, event.name, event.payload)

    @classmethod
    def reset(cls, event_id: int = 0) -> Frame:
        """Tells a client to read the rows again; what it missed ends with `event_id`."""
        return cls(event_id, RESET, {})

    @property
    def ws(self) -> dict[str, Any]:
        """The ASGI message that sends this event. Id 0 (the bus does not know where it is) becomes null."""
        if self._ws is None:
            text = f'{{"id":{self.id or "null"},"event":{json.dumps(self.name)},"data":{self._text}}}'
            self._ws = {"type": "websocket.send", "text": text}
        return self._ws

    @property
    def sse(self) -> bytes:
        """The event in the format of an event stream. JSON text holds no line breaks."""
        if self._sse is None:
            place = f"id: {self.id}\n" if self.id else ""
            self._sse = f"{place}event: {self.name}\ndata: {self._text}\n\n".encode("ascii")
        return self._sse


class FlatFrame(Frame):
    """An event as one flat object whose `type` is its name; its payload says where it stands (`id`)."""

    __slots__ = ()

    @property
    def ws(self) -> dict[str, Any]:
        """The ASGI message that sends this event."""
        if self._ws is None:
            rest = self._text[1:] if self._text == "{}" else "," + self._text[1:]
            self._ws = {"type": "websocket.send", "text": f'{{"type":{json.dumps(self.name)}{rest}'}
        return self._ws


class Listener:
    """The receiving end. `reset_when_full` chooses what happens to a slow one: start afresh, or end as `SLOW`."""

    def __init__(self, person: int, limit: int, *, reset_when_full: bool) -> None:
        self.person = person
        self.ended: Ended | None = None
        self._limit = limit
        self._reset_when_full = reset_when_full
        self._queue: deque[Frame] = deque()
        self._held: deque[Frame] | None = None
        self._last = 0
        self._ready = asyncio.Event()
        self._over = asyncio.Event()
        self._send: Callable[[Frame], Coroutine[Any, Any, None]] | None = None
        self._sending: asyncio.Task[None] | None = None

    def put(self, frame: Frame) -> None:
        """Queue a live frame; while the listener catches up it is held back."""
        if self.ended is not None:
            return
        if self._held is not None:
            if frame.name != RESET:
                self._add(self._held, frame)
                return
            self._held = None  # everything must be read again anyway
        self._add(self._queue, frame)
        self._go_on()

    def _go_on(self) -> None:
        """There is something in the queue."""
        if self._send is None:
            self._ready.set()
        elif self._sending is None:
            self._send_now(self._send)

    def _add(self, queue: deque[Frame], frame: Frame) -> None:
        if len(queue) < self._limit:
            queue.append(frame)
        elif self._reset_when_full:
            queue.clear()
            queue.append(Frame.reset(frame.id))
        else:
            self.end(Ended.SLOW)

    def end(self, why: Ended) -> None:
        """No more frames, also none that are queued. The first reason stands."""
        if self.ended is None:
            self.ended = why
            self._queue.clear()
            self._ready.set()
            self._over.set()

    async def take(self) -> list[Frame]:
        """Every queued frame, at least one. An empty list when the listener has ended."""
        while not self._queue:
            if self.ended is not None:
                return []
            self._ready.clear()
            await self._ready.wait()
        frames = list(self._queue)
        self._queue.clear()
        return frames

    async def wait_ended(self) -> None:
        """Wait until `ended` says why it is over."""
        await self._over.wait()

    # --- handing frames to a transport --------------------------------------------------------------------------------

    def send_with(self, send: Callable[[Frame], Coroutine[Any, Any, None]]) -> None:
        """From now on hand each frame to `send`, in order, one at a time. An error of it ends the listener.

        A send that can be done at once is done in the hub's own step: with a thousand listeners the thousand task
        switches that this saves are half of the cost. Only a send that has to wait for its client gets a task.
        """
        self._send = send
        self._go_on()

    async def stop_sending(self) -> None:
        """Give up a send that waits for its client."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})

    def _send_now(self, send: Callable[[Frame], Coroutine[Any, Any, None]]) -> None:
        while self._queue and self.ended is None:
            step = send(self._queue.popleft())
            try:
                waits_for = step.send(None)
            except StopIteration:
                continue
            except Exception as error:
                self._failed(error)
                return
            self._sending = asyncio.create_task(
                self._send_later(send, _continued(step, waits_for)), name="api-listener-send", context=Context()
            )
            return

    async def _send_later(self, send: Callable[[Frame], Coroutine[Any, Any, None]], first: Any) -> None:
        try:
            await first
            while self._queue and self.ended is None:
                await send(self._queue.popleft())
        except Exception as error:
            self._failed(error)
        finally:
            self._sending = None

    def _failed(self, error: Exception) -> None:
        """The transport does not take any more; usually because the client has gone."""
        if not isinstance(error, OSError):
            log.error("api.send_failed", exc_info=error)
        self.end(Ended.GONE)

    # --- resuming ---------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Hold live frames back until the earlier ones are in."""
        self._held = deque()

    def replay(self, frame: Frame) -> bool:
        """Queue an earlier frame. Returns False once the live frames take over, this one included."""
        if self._held is None or self.ended is not None:
            return False
        if frame.name != RESET and self._held and self._held[0].id <= frame.id:
            held, self._held = self._held, None
            for one in held:
                if one.id > self._last:
                    self._add(self._queue, one)
            self._go_on()
            return False
        self._last = frame.id
        self._add(self._queue, frame)
        self._go_on()
        return True


@coroutine
def _continued(step: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was begun outside of a task and waits for the future `waits_for`."""
    while True:
        try:
            value = yield waits_for
        except BaseException as error:  # cancelled, most likely: it is the coroutine's to handle
            go_on = partial(step.throw, error)
        else:
            go_on = partial(step.send, value)
        try:
            waits_for = go_on()
        except StopIteration:
            return
