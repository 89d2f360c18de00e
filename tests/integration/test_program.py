"""The program as an operator meets it: exit statuses, start, stop, crash, several processes."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from antiphon.config import Settings
from tests.fixtures_databases import Migrated
from tests.fixtures_redis import RedisServer
from tests.integration.program import Program, command, owner_of

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path, migrated: Migrated) -> Iterator[Start]:
    """Starts programs that end with the test."""
    running: list[Program] = []
    migrated(tmp_path)

    def begin(role: str = "up", name: str = "", **more: str) -> Program:
        program = Program(tmp_path, role, name, **more)
        running.append(program)
        return program.start()

    yield begin
    for program in running:
        program.close()


def test_killed_in_the_middle_everything_is_answered_once(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    said = [f"what is {n} + 1000" for n in range(40)]
    tasks = [server.say(headers, text)["task"] for text in said]
    server.kill()
    again = start(name="again")
    for task in tasks:
        assert again.task(headers, task)["state"] == "done"
    assert again.texts(headers, "person") == said
    answers = again.texts(headers, "agent")
    assert len(answers) == len(said)
    for n, answer in enumerate(answers):
        assert str(n + 1000) in answer.replace(",", "").replace("\u202f", "")


def test_crashes_while_the_brain_still_loads_cost_no_attempts(start: Start, tmp_path: Path) -> None:
    early = start(name="early")
    headers = owner_of(tmp_path)
    task = early.say(headers, "what is 1 + 1")["task"]
    early.kill()
    start(name="earlier").kill()
    last = start(name="last")
    assert last.task(headers, task)["attempt"] == 1


def test_what_hardly_anybody_needs_takes_no_memory(start: Start, tmp_path: Path) -> None:
    """FFmpeg, PostgreSQL's client and a price list, 30 MB, are not loaded by a question, nor by a session."""
    program, headers = start(PYTHONPROFILEIMPORTTIME="1"), owner_of(tmp_path)
    assert program.task(headers, program.say(headers, "what is 1 plus 1")["task"])["reply"]
    path, wish = f"{program.address}/session", {"room": "kitchen", "identity": "Ada"}
    begun = httpx.post(path, headers=headers, json=wish, timeout=90).raise_for_status().json()["session_id"]
    httpx.delete(f"{path}/{begun}", headers=headers, timeout=20).raise_for_status()
    program.terminate()
    imported = {line.rpartition("|")[2].strip() for line in program.log.splitlines() if line.startswith("import time:")}
    assert {"livekit.agents.voice", "pydantic_ai", "django.contrib.admin"} <= imported
    assert not imported & {"av._core", "psycopg", "genai_prices.data"}


def test_a_reminder_outlives_the_crash(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    server.task(headers, server.say(headers, "remind me in 3 seconds to stretch")["task"])
    server.kill()
    time.sleep(3)
    again = start(name="again")
    deadline = time.monotonic() + 5
    while not any("Reminder: stretch" in text for text in again.texts(headers, "agent")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    assert sum("Reminder: stretch" in text for text in again.texts(headers, "agent")) == 1


def test_sigterm_under_load_ends_clean_and_fast(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    tasks = [server.say(headers, f"what is {n} + 1", f"web:c{n % 5}")["task"] for n in range(25)]
    begin = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - begin < 5
    assert "Traceback" not in server.log
    again = start(name="again")
    for task in tasks:
        assert again.task(headers, task)["state"] == "done"


def test_sigterm_does_not_wait_for_a_model_that_hangs(start: Start, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections and never answers
        model = {
            "ANTIPHON_MODEL": "openai:silent",
            "ANTIPHON_MODEL_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/v1",
        }
        server = start(**model)
        headers = owner_of(tmp_path, **model)
        task = server.say(headers, "tell me a story")["task"]
        deadline = time.monotonic() + 40
        while server.http.get(f"/api/tasks/{task}", headers=headers, timeout=20).json()["state"] != "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 5
    again = start(name="again")
    assert again.task(headers, task)["state"] == "done"  # the offline model answers what was given back


def test_a_taken_port_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = command(tmp_path, "up", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 3
    assert "http.port" in refused.stderr
    assert "ANTIPHON_HTTP__PORT" in refused.stderr


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_alone_needs_a_shared_database_and_bus(tmp_path: Path, role: str) -> None:
    refused = command(tmp_path, role)
    assert refused.returncode == 3
    assert "DATABASE_URL" in refused.stderr


def test_exit_statuses(tmp_path: Path) -> None:
    assert command(tmp_path, "config", "check").returncode == 0
    assert command(tmp_path, "no-such-command").returncode == 2
    assert command(tmp_path, "key", "create", "x", "--scopes", "everything").returncode == 1
    refused = command(tmp_path, "config", "check", ANTIPHON_HTTP__PROT="1")
    assert refused.returncode == 3
    assert "ANTIPHON_HTTP__PROT" in refused.stderr


@pytest.mark.parametrize("arguments", [("up",), ("key", "create", "x"), ("db", "migrate")])
def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = command(tmp_path, *arguments, ANTIPHON_DATA_DIR=str(tmp_path / "file" / "data"))
    assert (refused.returncode, "Traceback" in refused.stderr) == (3, False)
    assert refused.stderr.startswith("settings: data_dir: ")


def test_backup_while_running_and_restore_elsewhere(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    server.task(headers, server.say(headers, "remember that my desk is by the window")["task"])
    assert command(tmp_path, "backup", "kept.zip").returncode == 0
    assert command(tmp_path, "restore", "kept.zip", "--force").returncode == 3  # the server runs
    said = server.texts(headers, "agent")
    server.terminate()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    restored = command(elsewhere, "restore", str(tmp_path / "kept.zip"))
    assert restored.returncode == 0, restored.stderr
    program = Program(elsewhere)
    try:
        program.start()
        assert program.texts(headers, "agent") == said
    finally:
        program.close()


def test_tls_with_a_certificate_of_our_own(tmp_path: Path) -> None:
    program = Program(tmp_path, ANTIPHON_HTTP__TLS="self")
    program.launch()
    try:
        certificate = tmp_path / "data" / "tls" / "cert.pem"
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(
                    f"https://localhost:{program.port}/health", verify=ssl.create_default_context(cafile=certificate)
                )
                break
            except (httpx.HTTPError, OSError):
                time.sleep(0.1)
        assert answer.json() == {"status": "ok"}
    finally:
        program.close()


@pytest.mark.needs("postgresql", "redis")
def test_api_and_workers_apart_on_postgresql_and_redis(
    start: Start, tmp_path: Path, postgresql_settings: Settings, redis_server: RedisServer
) -> None:
    shared = {"DATABASE_URL": postgresql_settings.database_url.get_secret_value(), "REDIS_URL": redis_server.url}
    api = start("api", **shared)
    workers = [start("worker", name=f"worker{n}", **shared) for n in range(2)]
    headers = owner_of(tmp_path, **shared)
    with api.http.stream("GET", "/api/channels/api:x/events", headers=headers, timeout=20) as stream:
        assert stream.status_code == 200
        said = api.say(headers, "what is 20 + 22", "api:x")
        names: list[str] = []
        for line in stream.iter_lines():
            if line.startswith("event:"):
                names.append(line.partition(":")[2].strip())
            if names and names[-1] == "reply" and line.startswith("data:"):
                reply = json.loads(line.partition(":")[2])
                break
    assert reply["task"] == said["task"]
    assert "42" in reply["text"]
    assert names[0] == "turn.started"
    assert "text.delta" in names
    tasks = [api.say(headers, f"what is {n} + 1", f"api:c{n % 7}")["task"] for n in range(30)]
    workers[0].kill()
    for task in tasks:
        assert api.task(headers, task)["state"] == "done"
    assert workers[1].http.get("/metrics").status_code == 200
    assert workers[1].http.get("/api/me", headers=headers).status_code == 404
    for process in (api, workers[1]):
        assert process.terminate() == 0
