"""One client in a voice channel: its numbers and keys, and the socket it has at the moment."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections import deque
from typing import Any

from aiohttp import web

from antiphon.sim.discord.voice.encryption import Box
from antiphon.sim.discord.world.channels import Channel


class Peer:
    """Survives its socket, so that it can be resumed. Messages leave in order."""

    def __init__(self, user_id: int, channel: Channel, session_id: str, ssrc: int) -> None:
        self.user_id, self.channel, self.session_id, self.ssrc = user_id, channel, session_id, ssrc
        self.key = os.urandom(32)
        self.box: Box | None = None
        self.address: tuple[str, int] | None = None
        self.sent_packets = 0
        self.speaking = 0
        # End-to-end encryption
        self.package: bytes | None = None
        self.in_group = False
        self._sequence = 0
        self._kept: deque[tuple[int, str | bytes]] = deque(maxlen=500)
        self._queue: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._socket: web.WebSocketResponse | None = None
        self._close = (1000, "")

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def send(self, op: int, data: Any) -> None:
        """Source: docs, Voice, "Buffered Resume" (version 8): messages are numbered by `seq`."""
        self._sequence += 1
        self._put(json.dumps({"op": op, "d": data, "seq": self._sequence}))

    def send_binary(self, op: int, data: bytes) -> None:
        self._sequence += 1
        self._put(struct.pack(">HB", self._sequence, op) + data)

    def plain(self, op: int, data: Any) -> None:
        """Without a number: hello, acknowledgements."""
        self._queue.put_nowait(json.dumps({"op": op, "d": data}))

    def _put(self, message: str | bytes) -> None:
        self._kept.append((self._sequence, message))
        self._queue.put_nowait(message)

    def close(self, code: int, reason: str = "") -> None:
        """The client counts as gone at once, also while the closing handshake lasts."""
        self._close, self._socket = (code, reason), None
        self._queue.put_nowait(None)

    def attach(self, socket: web.WebSocketResponse) -> None:
        self._socket, self._queue = socket, asyncio.Queue()

    def detach(self, socket: web.WebSocketResponse) -> bool:
        """False when another socket has taken over."""
        if self._socket is not socket:
            return False
        self._socket = None
        return True

    def replay(self, after: int) -> None:
        for number, message in self._kept:
            if number > after:
                self._queue.put_nowait(message)

    async def write(self, socket: web.WebSocketResponse) -> None:
        """Until it is closed."""
        queue = self._queue
        while (message := await queue.get()) is not None:
            if isinstance(message, str):
                await socket.send_str(message)
            else:
                await socket.send_bytes(message)
        code, reason = self._close
        await socket.close(code=code, message=reason.encode())
