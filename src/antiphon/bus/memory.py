"""The in-process bus: the default when one process runs every role."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from antiphon.bus.listeners import Listener, Listeners, reset_event
from antiphon.domain.clock import Clock
from antiphon.domain.events import BusEvent
from antiphon.domain.health import PartHealth, PartState

KEEP_EVENTS = 1000
KEEP_FOR = timedelta(minutes=10)


class MemoryBus:
    """Implements `domain.events.Bus` inside one event loop.

    Ids are the time in microseconds, or one more than the last id of the topic: so they grow across restarts without
    being stored, and a listener that resumes with an id from before a restart is recognised and reset. `tap` is handed
    every event: for people who watch.
    """

    def __init__(self, clock: Clock, *, tap: Callable[[BusEvent], None] | None = None) -> None:
        self._clock = clock
        self._tap = tap
        self._kept: dict[str, deque[BusEvent]] = {}
        self._listeners = Listeners()
        self._published = 0

    async def publish(self, topic: str, name: str, payload: Mapping[str, object]) -> int:
        """Publish to the listeners of this process and keep the event for resuming."""
        now = self._clock.now()
        kept = self._kept.setdefault(topic, deque(maxlen=KEEP_EVENTS))
        event_id = max(int(now.timestamp() * 1_000_000), kept[-1].id + 1 if kept else 0)
        event = BusEvent(topic=topic, id=event_id, name=name, payload=dict(payload), at=now)
        kept.append(event)
        self._published += 1
        if self._published % KEEP_EVENTS == 0:
            self._drop_old_topics()
        self._listeners.deliver(event)
        if self._tap is not None:
            self._tap(event)
        return event_id

    @asynccontextmanager
    async def subscribe(self, *topics: str, after: int | None = None) -> AsyncGenerator[AsyncIterator[BusEvent], None]:
        """Listen to `topics`, replaying what came after the id `after` where it is still kept."""
        listener = Listener(topics)
        if after is not None:
            for topic in topics:
                self._replay(listener, topic, after)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    def _replay(self, listener: Listener, topic: str, after: int) -> None:
        now = self._clock.now()
        kept = self._kept.get(topic, ())
        fresh = [event for event in kept if now - event.at <= KEEP_FOR]
        if not fresh or after < fresh[0].id or after > fresh[-1].id:
            # Whether something came between `after` and the first kept event is not known, so assume it did.
            listener.put(reset_event(topic, now, fresh[-1].id if fresh else 0))
            return
        for event in fresh:
            if event.id > after:
                listener.put(event)

    def _drop_old_topics(self) -> None:
        """Forget topics whose last event is too old to resume from, so that memory follows the active channels."""
        now = self._clock.now()
        for topic in [topic for topic, kept in self._kept.items() if now - kept[-1].at > KEEP_FOR]:
            del self._kept[topic]

    async def health(self) -> PartHealth:
        """Always fine: there is no far side."""
        return PartHealth(name="bus", state=PartState.OK, detail="in this process")

    async def close(self) -> None:
        """Nothing to close; the same shape as the Redis bus."""
