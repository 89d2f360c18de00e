"""A client that does not read: what a server does with it."""

from __future__ import annotations

import contextlib
import socket


class SlowReader:
    """A WebSocket or HTTP client with a small receive buffer that does not read until it is told to."""

    @classmethod
    def of_socket(cls, address: str, path: str, key: str) -> SlowReader:
        """A WebSocket, opened with an API key."""
        return cls(
            address,
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {key}\r\n\r\n",
        )

    def __init__(self, address: str, request: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = address.split(":")
        self._socket.connect((host, int(port)))
        self._socket.sendall(request.encode())
        self._socket.settimeout(5)

    def read_all(self) -> bytes:
        """Everything until the other side closes, or nothing comes for a second."""
        self._socket.settimeout(1)
        data = b""
        with contextlib.suppress(TimeoutError):
            while chunk := self._socket.recv(65536):
                data += chunk
        return data

    def close(self) -> None:
        self._socket.close()
