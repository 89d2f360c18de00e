"""The line to a person: whichever transport the session has now. A session may lose one and get another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from antiphon.voice.transports.transport import Transport

log = structlog.stdlib.get_logger(__name__)


class Line:
    """Holds the transport. `heard` is given what the person says."""

    def __init__(
        self,
        *,
        heard: Callable[[bytes], None],
        changed: Callable[[bool], None],
        said: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`said` is given what we say; `changed` is told that there is a transport (True) or none (False)."""
        self._heard = heard
        self._said = said
        self._changed = changed
        self._transport: Transport | None = None
        self._listening: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Whether somebody can hear anything."""
        return self._transport is not None and not self._transport.closed.is_set()

    @property
    def transport(self) -> Transport | None:
        """The one that carries the session now."""
        return self._transport

    @property
    def played(self) -> int:
        """Samples heard of all that was written to the present transport."""
        return self._transport.played if self._transport is not None else 0

    async def write(self, pcm: bytes) -> None:
        """Say something. Without a transport it is lost."""
        if self._transport is not None:
            self._said(pcm)
            await self._transport.write(pcm)

    def clear(self) -> None:
        """Fall silent at once."""
        if self._transport is not None:
            self._transport.clear()

    def tell(self, event: Mapping[str, Any]) -> None:
        """Send a small message beside the sound, without waiting for it."""
        if self._transport is not None:
            task = asyncio.create_task(self._transport.send_event(event), name="voice-tell")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def connect(self, transport: Transport) -> None:
        """From now on this one carries the session; an earlier one is closed. Raises what `Transport.open` raises."""
        async with self._changing:  # of two at once the second carries it, and the first is closed
            await self.disconnect()
            await transport.open()
            self._transport = transport
            self._listening = asyncio.create_task(self._listen(transport), name="voice-listen")
            self._changed(True)

    async def disconnect(self) -> None:
        """Close the transport, if there is one. Twice is once."""
        listening, self._listening = self._listening, None
        transport = self._transport
        if transport is not None:
            await transport.aclose()
        if listening is not None and listening is not asyncio.current_task():
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
        for task in self._telling:
            task.cancel()

    async def _listen(self, transport: Transport) -> None:
        try:
            while (pcm := await transport.receive()) is not None:
                self._heard(pcm)
        except Exception:
            log.exception("voice.transport_failed", transport=transport.name)
        finally:
            if self._transport is transport:
                self._changed(False)
                self._transport = None
                await transport.aclose()
