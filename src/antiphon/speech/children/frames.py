"""How an engine's process and ours talk: frames of a JSON header and bytes, over stdin and stdout.

Both sides import it: `speech.child` here, the programs beside this file there.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import struct
import sys
import termios
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

HEAD = struct.Struct(">II")
MOST_HEADER = 8 * 1024 * 1024
MOST_PAYLOAD = 64 * 1024 * 1024


def pack(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return HEAD.pack(len(text), len(payload)) + text + payload


class Channel:
    """The engine's side: what came in, in order, and a way to answer. The process ends when ours closes the pipe."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started us
        self.inbox: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
        # Libraries print where they like: the pipe is ours alone, and stdout leads to where stderr does.
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Read frames in a thread, until there are no more: then the process ends at once."""
        threading.Thread(target=self._read, name="frames", daemon=True).start()

    def taken(self, header: dict[str, Any], payload: bytes) -> bool:
        """Whether a frame was dealt with in the reading thread. A program may put its own function here."""
        del header, payload
        return False

    def unread(self) -> int:
        """Bytes that lie in the pipe. It holds 64 kB on Linux; what is beyond waits on the other side."""
        return int.from_bytes(fcntl.ioctl(0, termios.FIONREAD, bytes(4)), sys.byteorder)

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Answer. Waits while the other side does not read."""
        data = memoryview(pack(header, payload))
        with self._lock:
            while data:
                data = data[self._out.write(data) or 0 :]

    def _read(self) -> None:
        source = sys.stdin.buffer
        while True:
            head = _exactly(source, HEAD.size)
            if head is None:
                os._exit(0)
            header_size, payload_size = HEAD.unpack(head)
            if header_size > MOST_HEADER or payload_size > MOST_PAYLOAD:
                os._exit(2)
            header, payload = _exactly(source, header_size), _exactly(source, payload_size)
            if header is None or payload is None:
                os._exit(0)
            parsed: dict[str, Any] = json.loads(header)
            if not self.taken(parsed, payload):
                self.inbox.put((parsed, payload))


def _exactly(source: BinaryIO, size: int) -> bytes | None:
    data = source.read(size) if size else b""
    return data if len(data) == size else None
