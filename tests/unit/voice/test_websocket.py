"""The transport of a page: what it played is believed, within what it was given; who does not read is let go."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from antiphon.voice.transports.websocket import SLOW, WebSocketTransport

FRAME = b"\1\0" * 320


class Socket:
    """The server's side of a socket, by hand."""

    def __init__(self, *, reads: bool = True) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self._reads = reads
        self.controls: list[Any] = []
        self.transport = WebSocketTransport(self.incoming.get, self._send, self.controls.append)
        self.serving = asyncio.create_task(self.transport.serve())

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._reads:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def says(self, **message: object) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})
        await asyncio.sleep(0.01)

    async def goes(self) -> int | None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})
        return await self.serving


async def test_what_the_page_played_counts_and_no_more_than_it_was_given() -> None:
    socket = Socket()
    for _ in range(10):
        await socket.transport.write(FRAME)
    await socket.says(type="played", samples=1000)
    assert socket.transport.played == 1000
    await socket.says(type="played", samples=900)
    assert socket.transport.played == 1000, "it never goes back"
    await socket.says(type="played", samples=10**12)
    assert socket.transport.played == 3200
    assert await socket.goes() is None
    assert socket.transport.closed.is_set()
    assert await socket.transport.receive() is None


async def test_a_page_that_is_cleared_may_still_say_how_far_it_came() -> None:
    socket = Socket()
    for _ in range(10):
        await socket.transport.write(FRAME)
    await socket.says(type="played", samples=640)
    socket.transport.clear()
    await socket.says(type="played", samples=1280)
    assert socket.transport.played == 1280
    assert json.loads(socket.sent[-1]["text"]) == {"type": "clear"}
    await socket.goes()


async def test_a_page_that_never_reports_is_taken_to_play_at_once() -> None:
    socket = Socket()
    await socket.transport.write(FRAME * 5)
    assert socket.transport.played < 400
    await asyncio.sleep(0.12)
    assert socket.transport.played == 1600
    await socket.goes()


async def test_a_page_that_does_not_read_is_let_go() -> None:
    socket = Socket(reads=False)
    for _ in range(200):
        await socket.transport.write(FRAME)
        await asyncio.sleep(0)
    assert await socket.serving == SLOW


async def test_controls_reach_the_session_and_nonsense_does_not() -> None:
    socket = Socket()
    await socket.says(type="mute", muted=True)
    await socket.says(type="ptt", down=False)
    await socket.says(type="played", samples="many")
    await socket.says(type="shutdown")
    await socket.says(type="ping")
    assert socket.controls == [{"type": "mute", "muted": True}, {"type": "ptt", "down": False}]
    told = [json.loads(message["text"])["type"] for message in socket.sent]
    assert told == ["hello", "error", "error", "pong"]
    await socket.goes()


@pytest.mark.parametrize("size", [2, 640, 1000, 64_000])
async def test_frames_of_any_even_size_are_taken(size: int) -> None:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.receive", "bytes": bytes(size)})
    assert await socket.transport.receive() == bytes(size)
    await socket.goes()


async def test_what_was_said_before_the_connection_comes_at_once_and_is_taken() -> None:
    socket = Socket()
    for number in range(400):
        socket.incoming.put_nowait({"type": "websocket.receive", "bytes": number.to_bytes(2, "little") * 320})
    await asyncio.sleep(0.05)
    heard = [await socket.transport.receive() for _ in range(400)]
    assert [int.from_bytes(piece[:2], "little") for piece in heard if piece] == list(range(400))
    assert all("too_fast" not in str(message) for message in socket.sent)
    await socket.goes()


async def test_sound_that_nobody_fetches_is_dropped_from_its_beginning() -> None:
    socket = Socket()
    for number in range(40):
        socket.transport._began -= 1.0  # a second goes by
        socket.transport._sound(number.to_bytes(2, "little") * 16_000)
    first = await socket.transport.receive()
    assert first is not None
    assert int.from_bytes(first[:2], "little") == 40 - 12
    await socket.goes()
