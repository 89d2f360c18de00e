"""Counting the calls of a speech service, whatever protocol they come by, and refusing those that are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from antiphon.config.speech import Kind
from antiphon.domain.errors import InvalidInput, MalformedInput, TooLarge, TooManyRequests
from antiphon.telemetry import metrics

Protocol = Literal["grpc", "wyoming"]
_THEIR_FAULT = (InvalidInput, MalformedInput, TooLarge, TimeoutError)


class Calls:
    """The calls of one service that are under way. At most `most` are."""

    def __init__(self, service: Kind, most: int) -> None:
        self._service: Kind = service
        self._most = most
        self._open = 0

    @property
    def open(self) -> int:
        """How many are under way."""
        return self._open

    @contextmanager
    def begin(self, protocol: Protocol) -> Generator[None]:
        """One call, from its beginning to its end. Raises `TooManyRequests` when there are enough."""
        if self._open >= self._most:
            self._count(protocol, "full")
            raise TooManyRequests("The service has as many calls as it takes; try again later.", retry_after=1.0)
        gauge = metrics.SPEECH_OPEN.labels(service=self._service, protocol=protocol)
        self._open += 1
        gauge.inc()
        result = "ok"
        try:
            yield
        except (asyncio.CancelledError, ConnectionError):
            result = "cancelled"
            raise
        except _THEIR_FAULT:
            result = "refused"
            raise
        except BaseException:
            result = "failed"
            raise
        finally:
            self._open -= 1
            gauge.dec()
            self._count(protocol, result)

    def _count(self, protocol: Protocol, result: str) -> None:
        metrics.SPEECH_CALLS.labels(service=self._service, protocol=protocol, result=result).inc()

    def audio(self, seconds: float) -> None:
        """Note audio that was taken or given."""
        metrics.SPEECH_AUDIO.labels(service=self._service).inc(seconds)
