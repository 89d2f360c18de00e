"""The log elsewhere: a file that is rotated, a syslog server, an OTLP receiver; none of them can hold us up."""

from __future__ import annotations

import http.server
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from antiphon.config import LogSettings
from antiphon.telemetry import forwarding
from antiphon.telemetry.forwarding import Entry, Forwarder, OtlpLogs, Syslog
from antiphon.telemetry.log_file import LogFile
from antiphon.telemetry.logs import configure_logging, for_commands
from antiphon.telemetry.metrics import REGISTRY

logger = structlog.stdlib.get_logger("test.subject")


def eventually(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def lost(target: str) -> float:
    return REGISTRY.get_sample_value("antiphon_log_lines_lost_total", {"target": target}) or 0.0


@pytest.fixture
def configured() -> Iterator[Callable[..., None]]:
    """Configures the log; takes its files and threads down again."""

    def configure(endpoint: str = "", secrets: list[str] | None = None, **settings: Any) -> None:
        chosen = LogSettings.model_validate({"format": "json", **settings})
        configure_logging(chosen, secrets=secrets or [], stream=io.StringIO(), otlp_endpoint=endpoint)

    yield configure
    for handler in logging.getLogger().handlers:
        handler.close()


def test_lines_go_into_the_file_without_secrets_and_personal_text(
    configured: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "logs" / "antiphon.log"
    configured(file=str(path), secrets=["swordfish-1234"])
    logger.info("task.started", task=7, note="swordfish-1234", personal={"text": "the old mill"})
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["event"] == "task.started"
    assert "swordfish" not in line
    assert "old mill" not in line
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_is_rotated_by_size_and_only_so_many_old_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "antiphon.log"
    file = LogFile(path, most=100, count=2)
    for number in range(10):
        file.write(f"{number:040}")
    file.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["antiphon.log", "antiphon.log.1", "antiphon.log.2"]
    kept = "".join((tmp_path / name).read_text() for name in ("antiphon.log.2", "antiphon.log.1", "antiphon.log"))
    assert [int(line) for line in kept.split()] == [4, 5, 6, 7, 8, 9]


def test_a_file_goes_on_where_it_was_and_may_keep_nothing_old(tmp_path: Path) -> None:
    path = tmp_path / "antiphon.log"
    for number in range(3):
        file = LogFile(path, most=100, count=0)
        file.write(f"{number:040}")
        file.close()
    assert [one.name for one in tmp_path.iterdir()] == ["antiphon.log"]
    assert [int(line) for line in path.read_text().split()] == [2]


def test_a_file_that_cannot_be_written_costs_the_line_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    before = lost("file")
    LogFile(tmp_path / "taken" / "antiphon.log", most=100, count=1).write("x")
    assert lost("file") == before + 1


def test_configuring_again_lets_go_of_the_old_file(configured: Callable[..., None], tmp_path: Path) -> None:
    configured(file=str(tmp_path / "one.log"))
    logger.info("one")
    configured(file=str(tmp_path / "two.log"))
    logger.info("two")
    assert "two" not in (tmp_path / "one.log").read_text()
    assert json.loads((tmp_path / "two.log").read_text())["event"] == "two"


def test_commands_beside_the_server_leave_its_file_alone(tmp_path: Path) -> None:
    quiet = for_commands(LogSettings(file=tmp_path / "a.log", syslog="udp://127.0.0.1:9", otlp=True))
    assert (quiet.level, quiet.file, quiet.syslog, quiet.otlp) == ("warning", None, "", False)


def test_syslog_over_udp_is_rfc_5424(configured: Callable[..., None]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        configured(syslog=f"udp://127.0.0.1:{server.getsockname()[1]}")
        logger.error("outbox.broke", reason="the disk")
        message = server.recv(9000).decode()
    head, _, body = message.partition(" - {")
    assert head.startswith("<27>1 2")
    assert head.split(" ")[3] == "antiphon"
    assert head.endswith(" outbox.broke")
    assert json.loads("{" + body)["reason"] == "the disk"


def test_syslog_over_tcp_counts_its_bytes_and_comes_back_when_the_server_does(configured: Callable[..., None]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    target = Syslog(f"tcp://127.0.0.1:{port}")
    forwarder = Forwarder(target, retry_seconds=0.02, gather_seconds=0.0)
    try:
        forwarder.put(entry("first ü"))
        connection, _ = listener.accept()
        connection.settimeout(10)
        data = connection.recv(9000)
        length, _, message = data.partition(b" ")
        assert int(length) == len(message)
        connection.close()
        listener.close()
        for number in range(50):  # the first ones may still fit into a connection that is already gone
            forwarder.put(entry(f"while away {number}"))
            time.sleep(0.002)
        listener = socket.create_server(("127.0.0.1", port))
        connection, _ = listener.accept()
        connection.settimeout(10)
        assert b"while away" in connection.recv(9000)
        connection.close()
    finally:
        forwarder.close()
        listener.close()


def entry(event: str, level: str = "info", **keys: object) -> Entry:
    at = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    return Entry(at, level, "antiphon.test", event, keys, json.dumps({"event": event}, ensure_ascii=False))


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
        status = self.server.answers.pop(0) if self.server.answers else 200  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_otlp_receives_records_and_a_refused_batch_comes_again(receiver: Any) -> None:
    receiver.answers += [503, 307]
    forwarder = Forwarder(OtlpLogs(f"http://127.0.0.1:{receiver.server_port}"), retry_seconds=0.01, gather_seconds=0.0)
    forwarder.put(entry("bus.slow", "warning", topic="turn", lag=3, share=0.5, told=True))
    eventually(lambda: len(receiver.got) >= 3)
    forwarder.close()
    path, document = receiver.got[-1]
    assert path == "/v1/logs"
    (resource,) = document["resourceLogs"]
    assert {"key": "service.name", "value": {"stringValue": "antiphon"}} in resource["resource"]["attributes"]
    (record,) = resource["scopeLogs"][0]["logRecords"]
    assert (record["severityNumber"], record["severityText"]) == (13, "WARNING")
    assert record["body"] == {"stringValue": "bus.slow"}
    assert {"key": "lag", "value": {"intValue": "3"}} in record["attributes"]
    assert {"key": "told", "value": {"boolValue": True}} in record["attributes"]


def test_the_log_reaches_otlp_through_the_settings(configured: Callable[..., None], receiver: Any) -> None:
    configured(f"http://127.0.0.1:{receiver.server_port}", otlp=True)
    logger.warning("bus.slow")
    eventually(lambda: bool(receiver.got))


def test_a_target_that_is_away_costs_a_bounded_queue_and_is_said_once(
    configured: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "QUEUE", 10)
    output = io.StringIO()
    configure_logging(LogSettings(format="json"), stream=output)
    before = lost("syslog")
    forwarder = Forwarder(Syslog("tcp://127.0.0.1:1"), retry_seconds=0.01, gather_seconds=0.0)
    began = time.monotonic()
    for number in range(500):
        forwarder.put(entry(str(number)))
    assert time.monotonic() - began < 5, "whoever logs does not wait for the target"
    eventually(lambda: "log.target_away" in output.getvalue())
    forwarder.close()
    assert output.getvalue().count("log.target_away") == 1
    assert lost("syslog") > before
