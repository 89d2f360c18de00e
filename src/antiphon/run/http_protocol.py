"""uvicorn's HTTP protocol with an end to its patience: a connection must say what it wants within a few seconds.

uvicorn itself waits for ever for the first request and for the rest of its headers, so that anybody could hold
connections open without a word. Used by `roles`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
"""Time from the opening of a connection, or the first byte of a later request, to the end of its headers."""


class PatientHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose headers do not come. What comes later (bodies, streams, sockets) has its own limits."""

    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._start()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop()
        super().on_headers_complete()

    def _start(self) -> None:
        self._stop()
        self._impatience = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
