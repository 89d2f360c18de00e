"""Live events to many listeners: one bus subscription per channel and process, each event serialised once.

Used by `views.events` (SSE) and `sockets` (WebSocket). The hub also keeps a promise about ownership: whoever listens to
a channel that does not exist yet hears nothing of it unless it turns out to be theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context

import structlog

from antiphon.api.listeners import Ended, Frame, Listener
from antiphon.domain.events import RESET, Bus, BusEvent, turn_topic
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

QUEUE_LIMIT = 1500
"""Frames a listener may lag behind: a whole resume (the bus keeps 1000) and some more."""
STOP_POLL_SECONDS = 0.2
_AT_ONCE = 64
"""Listeners served in one go, before other work of the process gets its turn."""


class _Topic:
    """One channel with listeners. `owner` is None until the channel is known to exist."""

    def __init__(self, channel: str, name: str) -> None:
        self.channel = channel
        self.name = name
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
        topic_of: Callable[[str], str] = turn_topic,
        frame_of: Callable[[BusEvent], Frame] = Frame.of,
    ) -> None:
        """`topic_of` names the topic of a channel, `frame_of` makes what its listeners get of an event."""
        self._bus = bus
        self._topic_of = topic_of
        self._frame_of = frame_of
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
            topic = self._topics[channel] = _Topic(channel, self._topic_of(channel))
            topic.pump = asyncio.create_task(self._pump(topic), name=f"api-hub-{topic.name}", context=Context())
        listener = Listener(person, self._limit, reset_when_full=reset_when_full)
        catching_up: asyncio.Task[None] | None = None
        if after is not None and owner is None:
            # There is no channel to have missed anything of; whoever makes it, nothing of it is replayed here.
            listener.put(Frame.reset())
        elif after is not None:
            listener.hold()  # before the first live frame can come
        topic.listeners[listener] = None
        metrics.LISTENERS.inc()
        topic.owned_by(owner)
        self._watch_for_stop()
        try:
            await topic.live.wait()
            if after is not None and owner is not None:
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
                    frame = self._frame_of(event)
                    for number, listener in enumerate(list(topic.listeners), 1):
                        listener.put(frame)
                        if number % _AT_ONCE == 0:
                            await asyncio.sleep(0)
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
                    if not listener.replay(self._frame_of(event)):
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
