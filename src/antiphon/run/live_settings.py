"""Settings that take effect while the program runs: changed by the API here, or by another process on these files.

`wiring` gives what has to follow; a change is announced on the bus, so that every process reads its files again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from antiphon.config import Configuration, Settings
from antiphon.domain.errors import AntiphonError
from antiphon.domain.events import SETTINGS_CHANGED, Bus

log = structlog.stdlib.get_logger(__name__)

_RETRY_SECONDS = 1.0


class LiveSettings:
    """Applies changed settings, one change at a time. `apply` is given what this process works with from now on."""

    def __init__(self, configuration: Configuration, bus: Bus, apply: Callable[[Settings], Awaitable[None]]) -> None:
        self.configuration = configuration
        self._bus = bus
        self._apply = apply
        self._one_at_a_time = asyncio.Lock()
        self._applied = configuration.running

    async def change(self, values: Mapping[str, object], owner: bool) -> None:
        """Write a change, let it take effect here, and tell the others. Raises as `Configuration.change`."""
        async with self._one_at_a_time:
            running = await asyncio.to_thread(self.configuration.change, values, owner=owner)
            log.info("settings.changed", keys=sorted(values))
            await self._take(running)
        await self._bus.publish(SETTINGS_CHANGED, SETTINGS_CHANGED, {})

    async def follow(self, stop: asyncio.Event) -> None:
        """Read the files again whenever somebody says that they changed, until `stop` is set."""
        stopping = asyncio.create_task(stop.wait())
        following = asyncio.create_task(self._follow_forever())
        try:
            await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, following):
                task.cancel()
            await asyncio.wait({stopping, following})

    async def _follow_forever(self) -> None:
        while True:
            try:
                async with self._bus.subscribe(SETTINGS_CHANGED) as events:
                    async for _ in events:
                        async with self._one_at_a_time:
                            await self._take(await asyncio.to_thread(self.configuration.reload))
            except Exception as error:  # whatever the bus or a file met, changes must be followed again
                log.warning("settings.unfollowed", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _take(self, running: Settings) -> None:
        if running == self._applied and running.named_secrets == self._applied.named_secrets:
            return
        try:
            await self._apply(running)
        except AntiphonError as error:
            log.error("settings.not_applied", reason=error.message)
            raise
        self._applied = running
