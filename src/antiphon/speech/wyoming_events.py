"""Events of the Wyoming protocol on a connection, with bounds: for our server and for the engines that are its clients.

An event is a line of JSON, more JSON, and a payload, with their lengths in the line. The package `wyoming` knows what
is in them; its own reader takes any length, so it is not used.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from wyoming.event import Event

from antiphon.domain.errors import MalformedInput, TooLarge

LINE_BYTES = 65_536
"""Longest line; what readers of connections are made with."""
_DATA_BYTES = 1_048_576


async def read_event(reader: asyncio.StreamReader, *, payload_bytes: int) -> Event | None:
    """The next event, None at the end. Raises `MalformedInput` or `TooLarge`; the connection is of no use then."""
    try:
        line = await reader.readline()
    except ValueError:
        raise TooLarge("The line of an event is too long.") from None
    if not line:
        return None
    head = _object(line)
    kind = head.get("type")
    if not isinstance(kind, str):
        raise MalformedInput("An event has no type.")
    sizes = [_size(head.get("data_length")), _size(head.get("payload_length"))]
    if sizes[0] > _DATA_BYTES or sizes[1] > payload_bytes:
        raise TooLarge(f"An event of {sum(sizes)} bytes is too large.")
    given: object = head.get("data") or {}
    if not isinstance(given, dict):
        raise MalformedInput("The data of an event is no object.")
    data = cast("dict[str, Any]", given)
    try:
        if sizes[0]:
            data = {**data, **_object(await reader.readexactly(sizes[0]))}
        payload = await reader.readexactly(sizes[1]) if sizes[1] else None
    except asyncio.IncompleteReadError:
        return None
    return Event(type=kind, data=data, payload=payload)


def write_event(writer: asyncio.StreamWriter, event: Event) -> None:
    """Queue an event; `writer.drain()` waits until it may leave."""
    head: dict[str, Any] = {"type": event.type, "version": "1.0.0"}
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    writer.write(b"".join((json.dumps(head).encode(), b"\n", data, event.payload or b"")))


def _object(text: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(text)
        if b"\\u" in text:  # half of a character can be written so, and nobody who is handed it can write it again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedInput("An event is no JSON.") from None
    if not isinstance(value, dict):
        raise MalformedInput("An event is no JSON object.")
    return cast("dict[str, Any]", value)


def _size(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedInput("The length of an event is no number.")
    return value
