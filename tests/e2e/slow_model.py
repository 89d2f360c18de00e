"""A language model that speaks the OpenAI protocol slowly, so that an answer can be watched, stopped or killed.

However slow the machine is, there is time for it: `in_the_middle` keeps every answer from going on.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

WORDS = "One sentence comes first. " + " ".join(f"word{number}" for number in range(1, 41)) + " and the end."
PAUSE_SECONDS = 0.05
MIDDLE = "word20"
MOST_SECONDS = 60


class SlowModel:
    """Serves on loopback until closed. `answer` is what it says to everything."""

    def __init__(self, answer: str = WORDS) -> None:
        self._goes_on = threading.Event()
        self._goes_on.set()
        handler = type("Handler", (_Handler,), {"answer": answer, "goes_on": self._goes_on})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def settings(self) -> dict[str, str]:
        """What makes a server use this model."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return {"ANTIPHON_MODEL": "openai:slow", "ANTIPHON_MODEL_URL": url, "OPENAI_API_KEY": "none-needed"}

    @contextlib.contextmanager
    def in_the_middle(self) -> Iterator[None]:
        """Meanwhile no answer gets beyond its middle."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def close(self) -> None:
        self._goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    answer: ClassVar[str] = ""
    goes_on: ClassVar[threading.Event]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "slow", "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            if request.get("stream"):
                self._stream()
            else:
                self._whole()
        except OSError:
            self.close_connection = True  # the server was killed, or the answer was stopped

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for word in self.answer.split(" "):
            self._chunk({"role": "assistant", "content": word + " "}, None)
            time.sleep(PAUSE_SECONDS)
            if word == MIDDLE:
                self.goes_on.wait(MOST_SECONDS)
        self._chunk({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, delta: dict[str, str], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        frame = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "slow", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(frame)}\n\n".encode())
        self.wfile.flush()

    def _whole(self) -> None:
        message = {"role": "assistant", "content": self.answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "slow", "choices": [choice]}
        self._answer({**answer, "usage": usage})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
