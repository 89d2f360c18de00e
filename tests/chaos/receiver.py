"""The other side of the chaos tests: a process of its own that keeps a log of what really arrived.

It plays a platform (`/send`, `/find`) and the outside world of a tool (`/tool`). Told to, it kills the worker that is
calling with SIGKILL: before it writes the line (nothing arrived) or after (arrived, but never acknowledged).
Usage: receiver.py PORT LOG
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Receiver(ThreadingHTTPServer):
    """What arrived, in the order of arrival."""

    daemon_threads = True

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.log = log.open("a", buffering=1)
        self.lines = 0
        self.sent: dict[tuple[str, int], str] = {}
        self.orders: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # killed callers leave broken connections
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def kill_order(self) -> str:
        """The next order to kill, or "" when there is none."""
        return self.orders.pop(0) if self.orders else ""

    def write(self, line: dict[str, Any]) -> str:
        self.lines += 1
        self.log.write(json.dumps({"n": self.lines, **line}) + "\n")
        return f"r{self.lines}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        with self.server.lock:
            key = query["channel"][0], int(query["reply"][0])
            self.answer({"id": self.server.sent.get(key)})

    def do_POST(self) -> None:
        raw = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(raw) < length:  # the caller was killed in the middle of its request: nothing arrived
            self.close_connection = True
            return
        body = json.loads(raw)
        if self.path == "/order":
            with self.server.lock:
                self.server.orders.append(body["kill"])
            self.answer({})
            return
        with self.server.lock:
            order = self.server.kill_order() if self.path in ("/send", "/tool") else ""
            if order == "before":
                os.kill(body["pid"], signal.SIGKILL)
                self.server.write({"kind": "killed", "when": "before", "what": self.path, "pid": body["pid"]})
                self.close_connection = True
                return
            kind = self.path.strip("/")
            native_id = self.server.write({"kind": kind, **body})
            if kind == "send":
                self.server.sent[body["channel"], body["reply"]] = native_id
            if order == "after":
                os.kill(body["pid"], signal.SIGKILL)
                self.server.write({"kind": "killed", "when": "after", "what": self.path, "pid": body["pid"]})
                self.close_connection = True
                return
        self.answer({"id": native_id})


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
