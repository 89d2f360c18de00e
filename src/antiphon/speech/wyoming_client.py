"""A connection to a Wyoming server, as the engines `wyoming` use it. One connection for each request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info

from antiphon.domain.errors import AntiphonError, InvalidInput, SpeechBusy, SpeechError
from antiphon.speech.wyoming_events import LINE_BYTES, read_event, write_event

_CONNECT_SECONDS = 5.0
_PAYLOAD_BYTES = 16 * 1024 * 1024
_CALLERS = frozenset({"invalid", "malformed", "too_large", "VoiceNotFoundError"})
"""Codes of errors that are the caller's: ours, and the one of piper's server."""
_BUSY = frozenset({"speech_busy", "too_many_requests"})


class ServerProblem(SpeechError):
    """A server gave an error of which it does not say whose it is, or hung up, as many do for what they do not know."""


class WyomingClient:
    """Events to and from a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        self._reader = reader
        self._writer = writer
        self._where = where

    async def send(self, event: Event | Eventable) -> None:
        """Send an event; waits while the server does not read."""
        write_event(self._writer, event if isinstance(event, Event) else event.event())
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise ServerProblem(f"The Wyoming server at {self._where} closed the connection.") from error

    async def receive(self) -> Event:
        """The next event. For an error of the server, and at the end, raises `SpeechError`, or `InvalidInput` where the
        server says that it is the caller's.
        """
        try:
            event = await read_event(self._reader, payload_bytes=_PAYLOAD_BYTES)
        except ConnectionError as error:
            raise ServerProblem(f"The Wyoming server at {self._where} closed the connection.") from error
        except AntiphonError as error:
            raise SpeechError(f"The Wyoming server at {self._where} does not speak Wyoming.") from error
        if event is None:
            raise ServerProblem(f"The Wyoming server at {self._where} closed the connection.")
        if Error.is_type(event.type):
            raise self._told(str(event.data.get("code") or ""), str(event.data.get("text") or ""))
        return event

    def _told(self, code: str, text: str) -> AntiphonError:
        where, told = f"The Wyoming server at {self._where}", " ".join(text.split())[:200] or "it says no more"
        if code in _CALLERS:
            return InvalidInput(f"{where} refuses the request: {told}")
        if code in _BUSY:
            return SpeechBusy(f"{where} has too much to do now: {told}")
        return ServerProblem(f"{where} failed: {told}")

    def abort(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncGenerator[WyomingClient]:
    """A connection, closed at the end. Raises `SpeechError`."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES)
    except (OSError, TimeoutError) as error:
        raise SpeechError(f"No Wyoming server answers at {where}: is it running?") from error
    client = WyomingClient(reader, writer, where)
    try:
        yield client
    finally:
        client.abort()


async def described(host: str, port: int) -> Info:
    """What a server offers. Raises `SpeechError`."""
    try:
        async with connected(host, port) as client, asyncio.timeout(_CONNECT_SECONDS):
            await client.send(Describe())
            while not Info.is_type((event := await client.receive()).type):
                pass
            return Info.from_event(event)
    except (TimeoutError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpeechError(f"The Wyoming server at {host}:{port} does not say what it offers.") from error
