"""Spoken sessions among several processes: which of them carries one, and how another one gets at it.

The row of a session says who carries it, and a lease in the database says that this process lives. What one process
wants of a session that another one carries is told on the bus, which only makes it fast: whoever asked looks at the row
until it says what they wanted, for some seconds. A process whose session is over by its row, or another's, finds that
out with its next heartbeat and lets go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from antiphon.domain.errors import AntiphonError, NotFound
from antiphon.domain.events import SPOKEN, Bus, BusEvent, voice_topic
from antiphon.domain.voice import EndReason, VoiceSession, VoiceStore

log = structlog.stdlib.get_logger(__name__)

BEATS = 3
"""Heartbeats in the time of a lease."""
ANSWER_SECONDS = 3.0
"""How long another process has for what is asked of it."""
_LOOKS = (0.02, 0.04, 0.08)
_LOOK_EVERY = 0.1
_RETRY_SECONDS = 1.0


class Here(Protocol):
    """What this process can be asked about the sessions that it carries. Others are none of its business."""

    def carried(self) -> Collection[str]:
        """The keys of those that go on here: not of those that end, but of those that are just being opened."""
        ...

    def end(self, key: str, reason: EndReason) -> None:
        """End it."""
        ...

    def lost(self, key: str) -> None:
        """End it: its row says that it is over, or another's."""
        ...

    def let_go(self, key: str, taker: str) -> None:
        """Let another process carry it on."""
        ...

    def tell(self, key: str) -> None:
        """Tell its state again."""
        ...

    def drop(self, key: str) -> None:
        """It was deleted: so is what lies of it on this machine."""
        ...


class Processes:
    """This process among the others. `owner` is its name."""

    def __init__(self, store: VoiceStore, bus: Bus, here: Here, *, owner: str, lease_seconds: float) -> None:
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._store = store
        self._bus = bus
        self._here = here
        self._loop = asyncio.get_running_loop()
        self._steady_since: float | None = None
        self._last = 0.0
        self._strays: frozenset[str] = frozenset()
        self._wanted: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Show that this process lives, and hear what others want of it, from now on. Twice is once."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._beat_forever(), name="voice-heartbeat"),
                asyncio.create_task(self._follow(), name="voice-asked"),
            ]

    async def aclose(self) -> None:
        """Give the lease back. Everything that was carried here is to be ended before."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            try:
                await self._store.leave(self.owner)
            except AntiphonError as error:
                log.info("voice.lease_left", code=error.code)

    # --- what others carry --------------------------------------------------------------------------------------------

    async def end(self, key: str, person: int, reason: EndReason) -> None:
        """End a session that goes on elsewhere. Its process may be gone, or not answer: then the row is ended here."""
        await self._bus.publish(SPOKEN, "end", {"session": key, "reason": reason.value})
        row = await self._row_once(key, person, lambda row: row.ended_at is not None)
        if row is not None and row.ended_at is None:
            log.warning("voice.ended_unheard", session=key, reason=reason.value)
            await self._end_in_its_stead(key, reason)

    async def take(self, key: str, person: int) -> VoiceSession | None:
        """Have a session carried here from now on. None: it is over, or its process does not answer."""
        self._wanted.add(key)
        try:
            await self._bus.publish(SPOKEN, "move", {"session": key, "to": self.owner})
            row = await self._row_once(key, person, lambda row: row.owner == self.owner or row.ended_at is not None)
        finally:
            self._wanted.discard(key)
        return row if row is not None and row.owner == self.owner and row.ended_at is None else None

    async def ask_state(self, key: str) -> None:
        """Let the state of a session be told again, to whoever listens."""
        await self._bus.publish(SPOKEN, "tell", {"session": key})

    async def deleted(self, key: str) -> None:
        """Tell that a session was deleted: what another machine has of it goes too."""
        await self._bus.publish(SPOKEN, "deleted", {"session": key})

    async def _row_once(self, key: str, person: int, good: Callable[[VoiceSession], bool]) -> VoiceSession | None:
        """The row once it is as wanted, or as it is when the time is up; None when there is none any more."""
        until = self._loop.time() + ANSWER_SECONDS
        waits = iter(_LOOKS)
        try:
            row = await self._store.get(key, person)
            while not good(row) and self._loop.time() < until:
                await asyncio.sleep(next(waits, _LOOK_EVERY))
                row = await self._store.get(key, person)
        except NotFound:
            return None
        return row

    # --- what is carried here -----------------------------------------------------------------------------------------

    async def _beat_forever(self) -> None:
        while True:
            try:
                await self._beat()
            except AntiphonError as error:
                self._steady_since = None
                log.warning("voice.heartbeat_failed", code=error.code)
            except Exception:
                self._steady_since = None
                log.exception("voice.heartbeat_failed")
            await asyncio.sleep(self.lease_seconds / BEATS)

    async def _beat(self) -> None:
        carried = frozenset(self._here.carried())
        own = frozenset(await self._store.keep(self.owner, self.lease_seconds))
        now = self._loop.time()
        if self._steady_since is None or now - self._last > self.lease_seconds:
            self._steady_since = now
        self._last = now
        still = frozenset(self._here.carried())
        for key in (carried & still) - own:
            log.warning("voice.ended_elsewhere", session=key)
            self._here.lost(key)
        # One that was handed over too late for whoever wanted it: nobody carries it, unless they come again.
        strays = own - still - self._wanted
        for key in strays & self._strays:
            await self._end_in_its_stead(key, EndReason.LEFT)
        self._strays = strays
        # After a time in which the database was away for all, the others come back first.
        if now - self._steady_since >= self.lease_seconds and (ended := await self._store.end_forgotten()):
            log.warning("voice.ended_forgotten", sessions=len(ended))
            for key in ended:
                await self._tell_end(key, EndReason.CRASHED)

    async def _end_in_its_stead(self, key: str, reason: EndReason) -> None:
        """End the row of a session that nobody carries."""
        await self._store.end(key, reason, recording=False)
        await self._tell_end(key, reason)

    async def _tell_end(self, key: str, reason: EndReason) -> None:
        """Whoever listens here or elsewhere hears that it is over: who carried it does not say so any more."""
        last = max((segment.number for segment in await self._store.segments(key, 0)), default=0)
        await self._bus.publish(voice_topic(key), "ended", {"id": last, "reason": reason.value})

    async def _follow(self) -> None:
        while True:
            try:
                async with self._bus.subscribe(SPOKEN) as events:
                    async for event in events:
                        self._asked(event)
            except Exception as error:  # whatever the bus meets, the others must be heard again
                log.warning("voice.unfollowed", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    def _asked(self, event: BusEvent) -> None:
        key = str(event.payload.get("session", ""))
        match event.name:
            case "end":
                self._here.end(key, EndReason(str(event.payload["reason"])))
            case "move" if event.payload["to"] != self.owner:
                self._here.let_go(key, str(event.payload["to"]))
            case "tell":
                self._here.tell(key)
            case "deleted":
                self._here.drop(key)
            case _:
                return
