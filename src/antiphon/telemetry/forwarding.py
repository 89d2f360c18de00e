"""Log lines on their way to somewhere else: a syslog server, an OTLP receiver. Built by `logs.configure_logging`.

A thread per target takes lines from a bounded queue, so that a target that is slow or away never holds up the program;
what does not fit is dropped and counted in `antiphon_log_lines_lost_total`. Lines were redacted before they come here.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from antiphon.telemetry import metrics

QUEUE = 5000
"""Lines that wait for a target at most."""
BATCH = 500
_GATHER_SECONDS = 0.5
_RETRY_SECONDS = 5.0
_CLOSING_SECONDS = 1.0
_TIMEOUT_SECONDS = 3.0
_UDP_BYTES = 8192

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when and how severe, what happened where, what more is known, and the whole as JSON text."""

    at: datetime
    level: str
    logger: str
    event: str
    keys: Mapping[str, object]
    json: str


class Target(Protocol):
    """Where lines go. Used by one thread."""

    @property
    def name(self) -> str:
        """Its name in metrics and log lines."""
        ...

    def send(self, entries: Sequence[Entry]) -> None:
        """Deliver them. Raises `OSError` when that did not work; all of them are then tried again."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Forwarder:
    """Carries lines to one target on a thread of its own. `put` is called by whoever logs."""

    def __init__(
        self, target: Target, *, retry_seconds: float = _RETRY_SECONDS, gather_seconds: float = _GATHER_SECONDS
    ) -> None:
        self._target = target
        self._retry_seconds = retry_seconds
        self._gather_seconds = gather_seconds
        self._queue: deque[Entry] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log-{target.name}", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queue a line; with a full queue the oldest is dropped. From any thread; never waits."""
        if len(self._queue) >= QUEUE:
            self._lost(1)
            self._queue.popleft()
        self._queue.append(entry)
        self._wake.set()

    def close(self) -> None:
        """Send what waits, for a second at most, and end the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join(_CLOSING_SECONDS + _TIMEOUT_SECONDS)
        self._target.close()

    def _run(self) -> None:
        away = False
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._closing.is_set():
                self._closing.wait(self._gather_seconds)
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                try:
                    self._target.send(batch)
                except OSError as error:
                    if not away:
                        away = True
                        log.warning("log.target_away", target=self._target.name, error=type(error).__name__)
                    if self._closing.is_set():
                        self._lost(len(batch) + len(self._queue))
                        return
                    self._queue.extendleft(reversed(batch[: max(0, QUEUE - len(self._queue))]))
                    self._closing.wait(self._retry_seconds)
                else:
                    if away:
                        away = False
                        log.warning("log.target_back", target=self._target.name)
            if self._closing.is_set():
                return

    def _lost(self, lines: int) -> None:
        metrics.LOG_LINES_LOST.labels(target=self._target.name).inc(lines)


# --- syslog ----------------------------------------------------------------------------------------------------------

_DAEMON = 3  # the facility, RFC 5424 section 6.2.1
_SEVERITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Syslog:
    """A syslog server at udp://host:514, tcp://host:601 or unix:///dev/log, in the format of RFC 5424.

    Over TCP each message is preceded by its length (RFC 6587, section 3.4.1).
    """

    name = "syslog"

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._host = socket.gethostname() or "-"
        self._socket: socket.socket | None = None

    def send(self, entries: Sequence[Entry]) -> None:
        """Send one message for each line, over one connection that is kept."""
        try:
            if self._socket is None:
                self._socket = self._connect()
            for entry in entries:
                data = self.message(entry)
                if self._url.scheme == "tcp":
                    self._socket.sendall(f"{len(data)} ".encode() + data)
                else:
                    self._socket.send(data[:_UDP_BYTES])
        except OSError:
            self.close()
            raise

    def message(self, entry: Entry) -> bytes:
        """A line as a syslog message."""
        priority = _DAEMON * 8 + _SEVERITIES.get(entry.level, 6)
        at = entry.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        identity = "".join(char for char in entry.event if char.isascii() and char.isprintable() and char != " ")[:32]
        return f"<{priority}>1 {at} {self._host} antiphon {os.getpid()} {identity or '-'} - {entry.json}".encode()

    def close(self) -> None:
        """Close the connection; the next line opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        url = self._url
        if url.scheme == "unix":
            return _connected(socket.AF_UNIX, socket.SOCK_DGRAM, url.path)
        host, port = url.hostname or "", url.port or (601 if url.scheme == "tcp" else 514)
        if url.scheme == "tcp":
            return socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS)
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        return _connected(family, socket.SOCK_DGRAM, address)


def _connected(family: int, kind: int, address: object) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        made.settimeout(_TIMEOUT_SECONDS)
        made.connect(address)  # pyright: ignore[reportArgumentType] - what getaddrinfo gave, or a path
    except OSError:
        made.close()
        raise
    return made


# --- OTLP ------------------------------------------------------------------------------------------------------------

_OTLP_SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}


class OtlpLogs:
    """An OpenTelemetry receiver: OTLP over HTTP with JSON, at `<endpoint>/v1/logs`. Needs no library of theirs."""

    name = "otlp"

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint}/v1/logs"
        self._opener = urllib.request.build_opener(_NoRedirects())

    def send(self, entries: Sequence[Entry]) -> None:
        """Send the lines in one request."""
        body = json.dumps(self.document(entries), ensure_ascii=False, default=str).encode()
        request = urllib.request.Request(  # noqa: S310 - the setting takes http and https only
            self._url, data=body, headers={"Content-Type": "application/json"}
        )
        with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            answer.read(4096)

    def document(self, entries: Sequence[Entry]) -> dict[str, object]:
        """The lines as an ExportLogsServiceRequest."""
        resource = {"service.name": "antiphon", "host.name": socket.gethostname(), "process.pid": os.getpid()}
        return {
            "resourceLogs": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeLogs": [{"scope": {"name": "antiphon"}, "logRecords": [_record(one) for one in entries]}],
                }
            ]
        }

    def close(self) -> None:
        """Nothing is kept open."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The lines go where the setting says, and nowhere else."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """None turns a redirect into an error."""
        return


def _record(entry: Entry) -> dict[str, object]:
    nanoseconds = str(int(entry.at.timestamp() * 1_000_000) * 1000)
    return {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": _OTLP_SEVERITIES.get(entry.level, 9),
        "severityText": entry.level.upper(),
        "body": {"stringValue": entry.event},
        "attributes": _attributes({"logger.name": entry.logger, **entry.keys}),
    }


def _attributes(values: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)}
