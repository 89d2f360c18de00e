"""The last things that happened in this process, kept in memory for people who watch: log lines, events of the bus.

The logging chain and the bus put in; the API's streams for operators take out. Nothing is ever waited for: a watcher
who is too slow finds that older entries are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

from structlog.typing import EventDict, WrappedLogger

from antiphon.domain.events import BusEvent

T = TypeVar("T")

KEPT = 2000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log as it was written: without secrets, and without personal text where that is off."""

    at: str
    level: str
    logger: str
    event: str
    keys: dict[str, object]
    exception: str = ""


class Recent(Generic[T]):
    """A ring of the last `limit` entries; they may be added from any thread.

    Numbers are the time in microseconds, or one more than the last: they grow across restarts without being stored.
    """

    def __init__(self, limit: int = KEPT) -> None:
        self._entries: deque[tuple[int, T]] = deque(maxlen=limit)
        self._number = 0
        self._lock = threading.Lock()
        self._watchers: dict[object, Callable[[], None]] = {}

    def add(self, entry: T) -> None:
        """Keep an entry and wake whoever watches."""
        with self._lock:
            self._number = max(int(time.time() * 1_000_000), self._number + 1)
            self._entries.append((self._number, entry))
            watchers = list(self._watchers.values())
        for wake in watchers:
            wake()

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._number

    def after(self, number: int) -> list[tuple[int, T]]:
        """What was added after the entry `number`, oldest first."""
        with self._lock:
            return [entry for entry in self._entries if entry[0] > number]

    async def watch(self, number: int, every: float) -> AsyncGenerator[list[tuple[int, T]], None]:
        """Entries after `number` as they come, in lists; an empty one after `every` seconds of silence."""
        loop = asyncio.get_running_loop()
        fresh = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closing; so is the watcher
                loop.call_soon_threadsafe(fresh.set)

        me = object()
        with self._lock:
            self._watchers[me] = wake
        try:
            while True:
                fresh.clear()
                found = self.after(number)
                if found:
                    number = found[-1][0]
                yield found
                try:
                    async with asyncio.timeout(every):
                        await fresh.wait()
                except TimeoutError:
                    continue
        finally:
            with self._lock:
                del self._watchers[me]


class KeepLines:
    """The step of the logging chain that keeps what is about to be written."""

    def __init__(self, lines: Recent[LogLine]) -> None:
        self._lines = lines

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        rest = {key: value for key, value in event.items() if key not in ("timestamp", "level", "logger", "event")}
        exception = cast("object", rest.pop("exception", ""))
        self._lines.add(
            LogLine(
                at=str(event.get("timestamp") or datetime.now(UTC).isoformat()),
                level=str(event.get("level", "info")),
                logger=str(event.get("logger", "")),
                event=str(event.get("event", "")),
                keys=rest,
                exception=str(exception),
            )
        )
        return event


@dataclass(frozen=True, slots=True)
class Watched:
    """What operators may watch of one process."""

    lines: Recent[LogLine] = field(default_factory=Recent[LogLine])
    events: Recent[BusEvent] = field(default_factory=Recent[BusEvent])
