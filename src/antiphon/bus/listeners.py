"""The listening half shared by both buses: bounded queues, one per listener, that never slow a publisher down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from antiphon.domain.events import RESET, BusEvent

QUEUE_LIMIT = 2000
"""Events a listener may lag behind before it is told to start afresh: twice what a topic keeps."""


def reset_event(topic: str, at: datetime, event_id: int = 0) -> BusEvent:
    """The event that tells a listener to read the durable state again."""
    return BusEvent(topic=topic, id=event_id, name=RESET, payload={}, at=at)


class Listener:
    """One subscription: filled by the bus on its loop, drained by one reader as an async iterator."""

    def __init__(self, topics: Iterable[str], limit: int = QUEUE_LIMIT) -> None:
        self.topics = frozenset(topics)
        self._limit = limit
        self._queue: deque[BusEvent] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, event: BusEvent) -> None:
        """Queue an event. A full queue is emptied into one `reset`, so memory stays bounded."""
        if len(self._queue) >= self._limit:
            self._queue.clear()
            self._queue.append(reset_event(event.topic, event.at, event.id - 1))
        self._queue.append(event)
        self._ready.set()

    def forget(self) -> None:
        """Drop what is queued."""
        self._queue.clear()

    def close(self) -> None:
        """End the iteration once the queue is drained."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[BusEvent]:
        return self

    async def __anext__(self) -> BusEvent:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class Listeners:
    """The listeners of a process, by topic."""

    def __init__(self) -> None:
        self._by_topic: dict[str, list[Listener]] = {}

    def add(self, listener: Listener) -> list[str]:
        """Register; returns the topics that had no listener before."""
        fresh = [topic for topic in listener.topics if topic not in self._by_topic]
        for topic in listener.topics:
            self._by_topic.setdefault(topic, []).append(listener)
        return fresh

    def remove(self, listener: Listener) -> list[str]:
        """Unregister; returns the topics nobody listens to any more."""
        empty: list[str] = []
        for topic in listener.topics:
            rest = [other for other in self._by_topic.get(topic, []) if other is not listener]
            if rest:
                self._by_topic[topic] = rest
            elif self._by_topic.pop(topic, None) is not None:
                empty.append(topic)
        return empty

    def deliver(self, event: BusEvent) -> None:
        """Hand an event to everybody who listens to its topic."""
        for listener in self._by_topic.get(event.topic, ()):
            listener.put(event)

    def topics(self) -> list[str]:
        """Every topic somebody listens to."""
        return list(self._by_topic)
