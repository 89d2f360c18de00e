"""Live events to many listeners: one bus subscription per channel and process, each event serialised once.

Used by `streams` (SSE) and `sockets` (WebSocket). Every listener has a bounded queue of shared frames, so a slow one
costs nobody else anything. The hub also keeps a promise about ownership: whoever listens to a channel that does not
exist yet hears nothing of it unless it turns out to be theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import Context
from enum import StrEnum
from typing import Any

import structlog

from antiphon.domain.events import RESET, BusEvent, turn_topic
from antiphon.domain.ports import Bus
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

QUEUE_LIMIT = 1500
"""Frames a listener may lag behind: a whole resume (the bus keeps 1000) and some more."""
STOP_POLL_SECONDS = 0.2


class Ended(StrEnum):
    """Why a listener hears no more."""

    GONE = "gone"
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
        self._ready.set()

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
            self._ready.set()
            return False
        self._last = frame.id
        self._add(self._queue, frame)
        self._ready.set()
        return True


class _Topic:
    """One channel with listeners. `owner` is None until the channel is known to exist."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.name = turn_topic(channel)
        self.owner: int | None = None
        self.listeners: dict[Listener, None] = {}
        self.live = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None

    def owned_by(self, owner: int | None) -> None:
        """Take note of whose channel it is and send everybody else away. None changes nothing."""
        if self.owner is None:
            self.owner = owner
        for listener in list(self.listeners):
            if self.owner is not None and listener.person != self.owner:
                listener.end(Ended.FOREIGN)

    def end_all(self, why: Ended) -> None:
        """Send everybody away."""
        for listener in list(self.listeners):
            listener.end(why)


class Hub:
    """The listeners of this process. `owner_of` reads the owner of a channel, None when there is no such channel."""

    def __init__(
        self,
        bus: Bus,
        owner_of: Callable[[str], Awaitable[int | None]],
        should_stop: Callable[[], bool],
        *,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        self._bus = bus
        self._owner_of = owner_of
        self._should_stop = should_stop
        self._limit = queue_limit
        self._topics: dict[str, _Topic] = {}
        self._stopper: asyncio.Task[None] | None = None

    @property
    def listening(self) -> int:
        """How many listeners there are."""
        return sum(len(topic.listeners) for topic in self._topics.values())

    @contextlib.asynccontextmanager
    async def listen(
        self, channel: str, person: int, *, owner: int | None, after: int | None, reset_when_full: bool
    ) -> AsyncIterator[Listener]:
        """Listen as `person` to a channel that is theirs (`owner`) or does not exist yet (`owner` None).

        Nothing published after this has returned is missed. With `after`, what came later than that id comes first.
        """
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = _Topic(channel)
            topic.pump = asyncio.create_task(self._pump(topic), name=f"api-hub-{topic.name}", context=Context())
        listener = Listener(person, self._limit, reset_when_full=reset_when_full)
        catching_up: asyncio.Task[None] | None = None
        topic.listeners[listener] = None
        metrics.LISTENERS.inc()
        topic.owned_by(owner)
        self._watch_for_stop()
        try:
            await topic.live.wait()
            if after is not None and owner is None:
                # There is no channel to have missed anything of; whoever makes it, nothing of it is replayed here.
                listener.put(Frame.reset())
            elif after is not None:
                listener.hold()
                catching_up = asyncio.create_task(
                    self._catch_up(listener, topic.name, after), name="api-hub-catch-up", context=Context()
                )
            yield listener
        finally:
            metrics.LISTENERS.dec()
            listener.end(Ended.GONE)
            topic.listeners.pop(listener, None)
            if catching_up is not None:
                await _cancelled(catching_up)
            if not topic.listeners and self._topics.get(channel) is topic:
                del self._topics[channel]
                if topic.pump is not None:
                    await _cancelled(topic.pump)

    async def _pump(self, topic: _Topic) -> None:
        """Read the bus for one channel and hand each event to its listeners."""
        try:
            async with self._bus.subscribe(topic.name) as events:
                topic.live.set()
                async for event in events:
                    if topic.owner is None and event.name != RESET:
                        topic.owned_by(await self._owner_of(topic.channel))
                        if topic.owner is None:
                            continue
                    frame = Frame.of(event)
                    for listener in list(topic.listeners):
                        listener.put(frame)
        except Exception as error:
            log.warning("api.hub_lost_channel", error=type(error).__name__)
        finally:
            # Nobody may wait for a pump that is gone: the clients come back and get a new one.
            topic.live.set()
            if self._topics.get(topic.channel) is topic:
                del self._topics[topic.channel]
            topic.end_all(Ended.UNAVAILABLE)

    async def _catch_up(self, listener: Listener, topic: str, after: int) -> None:
        """Replay from the bus until the live frames reach the same place."""
        try:
            async with self._bus.subscribe(topic, after=after) as events:
                async for event in events:
                    if not listener.replay(Frame.of(event)):
                        return
        except Exception as error:
            log.warning("api.hub_resume_failed", error=type(error).__name__)
            listener.end(Ended.UNAVAILABLE)

    def _watch_for_stop(self) -> None:
        if self._stopper is None or self._stopper.done():
            self._stopper = asyncio.create_task(self._end_at_stop(), name="api-hub-stop", context=Context())

    async def _end_at_stop(self) -> None:
        """End every listener when the server is asked to stop; lives as long as somebody listens."""
        while self._topics:
            if self._should_stop():
                for topic in list(self._topics.values()):
                    topic.end_all(Ended.STOPPING)
                return
            await asyncio.sleep(STOP_POLL_SECONDS)

    async def aclose(self) -> None:
        """End everything."""
        for topic in list(self._topics.values()):
            topic.end_all(Ended.STOPPING)
            if topic.pump is not None:
                await _cancelled(topic.pump)
        if self._stopper is not None:
            await _cancelled(self._stopper)


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is over."""
    task.cancel()
    await asyncio.wait([task])
