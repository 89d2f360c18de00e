"""What a session says about itself, in order: events on the bus, and rows that must not be lost.

Nothing in the conversation waits for either. Rows that the database does not take now are tried again until the
session is over, and some seconds longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import structlog

from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import Bus, voice_topic

log = structlog.stdlib.get_logger(__name__)

Deed = Callable[[], Awaitable[object]]
_WAITS = (0.1, 0.3, 1.0, 2.0, 5.0)
LAST_SECONDS = 5.0
"""How long the rest may take when the session is over."""


class Teller:
    """One queue and one task for a session."""

    def __init__(self, bus: Bus, session: str) -> None:
        self._bus = bus
        self._topic = voice_topic(session)
        self._deeds: deque[Deed] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run(), name="voice-telling")

    def tell(self, name: str, payload: Mapping[str, object]) -> None:
        """Publish an event to whoever follows the session."""
        self.do(lambda: self._bus.publish(self._topic, name, payload))

    def do(self, deed: Deed) -> None:
        """Do something after everything that was told before."""
        self._deeds.append(deed)
        self._idle.clear()
        self._wake.set()

    async def done(self) -> None:
        """Wait until everything told so far is out."""
        await self._idle.wait()

    async def aclose(self) -> None:
        """Finish what was told, within reason."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._idle.wait()
        if self._deeds:
            log.error("voice.not_stored", left=len(self._deeds))
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._deeds:
                await self._try(self._deeds[0])
                self._deeds.popleft()
            self._idle.set()

    async def _try(self, deed: Deed) -> None:
        for wait in (*_WAITS, *(_WAITS[-1],) * 1000):
            try:
                await deed()
                return
            except StoreUnavailable as error:
                log.warning("voice.write_retried", error=str(error.__cause__ or error), retry_in=wait)
                await asyncio.sleep(wait)
            except Exception:
                log.exception("voice.deed_failed")
                return
