"""The log in a file beside standard error: one JSON object a line, rotated by size. Built by `logs.configure_logging`.

A full disk costs log lines and nothing else; the loss is counted in `antiphon_log_lines_lost_total`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from antiphon.telemetry import metrics

TARGET = "file"


class LogFile:
    """Appends to `path`. Past `most` bytes it becomes `path.1`, that one `path.2`, up to `count` old files."""

    def __init__(self, path: Path, *, most: int, count: int) -> None:
        self._path = path
        self._most = most
        self._count = count
        self._descriptor: int | None = None
        self._size = 0
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Write one line. From any thread; never raises."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            try:
                if self._descriptor is None:
                    self._open()
                if self._size and self._size + len(data) > self._most:
                    self._rotate()
                    self._open()
                if self._descriptor is not None:
                    self._size += os.write(self._descriptor, data)
            except OSError:
                metrics.LOG_LINES_LOST.labels(target=TARGET).inc()

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._count == 0:
            self._path.unlink(missing_ok=True)
            return
        for number in range(self._count - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._old(number).replace(self._old(number + 1))
        self._path.replace(self._old(1))

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
