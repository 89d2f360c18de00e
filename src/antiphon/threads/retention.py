"""Deletes what was kept long enough: messages, transcripts, events, and uploads that no message used.

Runs beside the work, in small batches with pauses between them, so that nobody waits for it. Any number of processes
may run one. A clock that jumps ahead could delete everything at once, so a pass that finds it did deletes nothing.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import structlog

from antiphon.config.settings import RetentionSettings
from antiphon.domain.attachments import AttachmentStore
from antiphon.domain.clock import Clock
from antiphon.domain.errors import AntiphonError
from antiphon.domain.personal_data import RetentionStore

log = structlog.stdlib.get_logger(__name__)

PASS_SECONDS = 600.0
"""From the end of one pass to the beginning of the next."""
PAUSE_SECONDS = 0.2
BATCH = 100
UNSENT = timedelta(days=1)
STRAY = timedelta(days=1)
_JUMP = timedelta(hours=2)
"""How much the clock may run ahead of the time that passed before it is not believed for one pass."""


class Retention:
    """The sweep. `run` it until the program stops."""

    def __init__(
        self, store: RetentionStore, attachments: AttachmentStore, clock: Clock, settings: RetentionSettings
    ) -> None:
        self._store = store
        self._attachments = attachments
        self._clock = clock
        self._settings = settings
        self._seen: tuple[datetime, float] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Make a pass now and then until `stop` is set."""
        while not stop.is_set():
            try:
                await self.sweep(stop)
            except AntiphonError as error:
                log.warning("retention.failed", code=error.code)
            try:
                async with asyncio.timeout(PASS_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def sweep(self, stop: asyncio.Event) -> dict[str, int]:
        """One pass; what it deleted, by kind."""
        now = self._clock.now()
        deleted: dict[str, int] = {}
        if self._jumped(now):
            log.warning("retention.clock_jumped")
            return deleted
        days = {
            "messages": self._settings.messages_days,
            "transcripts": self._settings.transcripts_days,
            "events": self._settings.events_days,
        }
        older_than = {kind: now - timedelta(days=number) for kind, number in days.items() if number}
        more = bool(older_than)
        while more and not stop.is_set():
            swept = await self._store.sweep(older_than, BATCH)
            more = swept.more
            for kind, number in swept.deleted.items():
                deleted[kind] = deleted.get(kind, 0) + number
            await asyncio.sleep(PAUSE_SECONDS)
        if unsent := await self._attachments.sweep_unsent((now - UNSENT).timestamp(), BATCH):
            deleted["uploads"] = unsent
        await self._attachments.sweep_strays((now - STRAY).timestamp())
        if deleted:
            log.info("retention.swept", **deleted)
        return deleted

    def _jumped(self, now: datetime) -> bool:
        """Whether the clock went ahead by more than the time that passed since the last look."""
        seen, self._seen = self._seen, (now, time.monotonic())
        if seen is None:
            return False
        return now - seen[0] > timedelta(seconds=time.monotonic() - seen[1]) + _JUMP
