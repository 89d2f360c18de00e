"""The program as an operator meets it: commands, exit statuses, start, stop, crash, several processes."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from antiphon.config import Settings
from tests.fixtures_redis import RedisServer
from tests.integration.program import Program, command, key_of

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs that end with the test."""
    running: list[Program] = []

    def begin(role: str = "up", name: str = "", **more: str) -> Program:
        program = Program(tmp_path, role, name, **more)
        running.append(program)
        return program.start()

    yield begin
    for program in running:
        program.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that several tests look at, and none ends or fills: each speaks in a channel of its own."""
    program = Program(tmp_path_factory.mktemp("shared"))
    yield program.start()
    program.close()


def owner_of(folder: Path, **more: str) -> dict[str, str]:
    """Headers with a fresh key of the owner."""
    return {"Authorization": f"Bearer {key_of(folder, **more)}"}


def say(program: Program, headers: dict[str, str], text: str, channel: str = "web:a") -> dict[str, Any]:
    path = f"{program.address}/api/channels/{channel}/messages"
    answer = httpx.post(path, headers=headers, json={"text": text}, timeout=20)
    assert answer.status_code == 202, answer.text
    return answer.json()


def task_of(program: Program, headers: dict[str, str], task: str, seconds: float = 60) -> dict[str, Any]:
    """The task once it is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        got = httpx.get(f"{program.address}/api/tasks/{task}", headers=headers, timeout=10).json()
        if got["state"] in ("done", "dead", "cancelled"):
            return got
        time.sleep(0.05)
    raise AssertionError(f"not answered: {got}")


def texts(program: Program, headers: dict[str, str], author: str, channel: str = "web:a") -> list[str]:
    """What was said, oldest first."""
    answer = httpx.get(f"{program.address}/api/channels/{channel}/messages?limit=100", headers=headers)
    return [item["text"] for item in reversed(answer.json()["items"]) if item["author"] == author]


def test_commands_work_beside_the_running_server(shared: Program) -> None:
    server, tmp_path = shared, shared.folder
    made = command(tmp_path, "key", "create", "laptop", "--scopes", "chat", "--json")
    credential = json.loads(made.stdout)
    assert set(credential) == {"id", "key"}
    headers = {"Authorization": f"Bearer {credential['key']}"}
    done = task_of(server, headers, say(server, headers, "what is 2 + 3")["task"])
    assert "5" in done["reply"]
    assert command(tmp_path, "key", "revoke", credential["id"]).returncode == 0
    deadline = time.monotonic() + 3
    while httpx.get(f"{server.address}/api/me", headers=headers).status_code != 401:
        assert time.monotonic() < deadline, "a revoked key still works"
        time.sleep(0.1)
    link = command(tmp_path, "user", "link")
    assert link.stdout.startswith("http://")
    assert "/welcome/" in link.stdout


def test_a_second_user_is_made_beside_the_running_server_and_sees_nothing_of_the_owner(shared: Program) -> None:
    server = shared
    say(server, owner_of(server.folder), "hello", "web:owner")
    made = command(server.folder, "user", "create", "Grace", "--role", "operator")
    assert made.returncode == 0, made.stderr
    with httpx.Client(base_url=server.address) as grace:
        token = made.stdout.strip().rpartition("/")[2]
        assert grace.post("/api/session", json={"token": token}).is_success
        me = grace.get("/api/me").json()
        assert (me["name"], me["role"]) == ("Grace", "operator")
        assert grace.get("/api/channels").json()["items"] == []
    again = command(server.folder, "user", "create", "Grace")
    assert again.returncode == 1
    assert "taken" in again.stderr
    reset = command(server.folder, "user", "reset", "Grace", ANTIPHON_CONSOLE__PUBLIC_URL="https://pages.example")
    assert reset.stdout.startswith("https://pages.example/welcome/")


def test_the_first_start_prints_one_sign_in_line_that_works_once(shared: Program) -> None:
    server = shared
    deadline = time.monotonic() + 10
    while "Stop with" not in server.out:  # the port answers a moment before the text is printed
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)
    (line,) = [line for line in server.out.splitlines() if line.startswith("Sign in: http")]
    token = line.rpartition("/")[2]
    assert httpx.get(f"{server.address}/welcome/{token}").status_code == 200  # looking at it does not use it up
    assert httpx.post(f"{server.address}/api/session", json={"token": token}).status_code in (200, 201)
    assert httpx.post(f"{server.address}/api/session", json={"token": token}).status_code == 401
    assert "Sign in: http" not in server.log


def test_a_connection_that_says_nothing_is_closed_and_a_stream_is_not(shared: Program) -> None:
    server = shared
    headers = owner_of(server.folder)
    with (
        socket.create_connection(("127.0.0.1", server.port)) as mute,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
        httpx.stream("GET", f"{server.address}/api/channels/web:mute/events", headers=headers, timeout=30) as stream,
    ):
        slow.sendall(b"GET /api/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX")
        for held in (mute, slow):
            held.settimeout(15)
            assert held.recv(1) == b""
        said = say(server, headers, "what is 1 + 1", "web:mute")
        assert any(said["task"] in line for line in stream.iter_lines())


def test_pages_send_strangers_to_the_sign_in_page(shared: Program) -> None:
    server = shared
    answer = httpx.get(f"{server.address}/c/web:a?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fc%2Fweb%3Aa%3Fx%3D1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{server.address}/sign-in").status_code == 200
    assert httpx.get(f"{server.address}/", headers={"Host": "evil.example"}).status_code == 400


def test_killed_in_the_middle_everything_is_answered_once(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    said = [f"what is {n} + 1000" for n in range(40)]
    tasks = [say(server, headers, text)["task"] for text in said]
    server.kill()
    again = start(name="again")
    for task in tasks:
        assert task_of(again, headers, task)["state"] == "done"
    assert texts(again, headers, "person") == said
    answers = texts(again, headers, "agent")
    assert len(answers) == len(said)
    for n, answer in enumerate(answers):
        assert str(n + 1000) in answer.replace(",", "").replace("\u202f", "")


def test_crashes_while_the_brain_still_loads_cost_no_attempts(start: Start, tmp_path: Path) -> None:
    early = start(name="early")
    headers = owner_of(tmp_path)
    task = say(early, headers, "what is 1 + 1")["task"]
    early.kill()
    start(name="earlier").kill()
    last = start(name="last")
    assert task_of(last, headers, task)["attempt"] == 1


def test_many_listeners_are_not_stopped_by_the_soft_limit_of_files(shared: Program) -> None:
    limits = Path(f"/proc/{shared.process.pid}/limits")
    if not limits.exists():
        pytest.skip("needs /proc")
    (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert soft == hard


def test_a_reminder_outlives_the_crash(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    task_of(server, headers, say(server, headers, "remind me in 3 seconds to stretch")["task"])
    server.kill()
    time.sleep(3)
    again = start(name="again")
    deadline = time.monotonic() + 5
    while not any("Reminder: stretch" in text for text in texts(again, headers, "agent")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    assert sum("Reminder: stretch" in text for text in texts(again, headers, "agent")) == 1


def test_sigterm_under_load_ends_clean_and_fast(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    tasks = [say(server, headers, f"what is {n} + 1", f"web:c{n % 5}")["task"] for n in range(25)]
    begin = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - begin < 5
    assert "Traceback" not in server.log
    again = start(name="again")
    for task in tasks:
        assert task_of(again, headers, task)["state"] == "done"


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
        task = say(server, headers, "tell me a story")["task"]
        deadline = time.monotonic() + 40
        while httpx.get(f"{server.address}/api/tasks/{task}", headers=headers, timeout=20).json()["state"] != "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 5
    again = start(name="again")
    assert task_of(again, headers, task)["state"] == "done"  # the offline model answers what was given back


def test_a_second_server_on_the_same_folder_is_refused(shared: Program) -> None:
    second = command(shared.folder, "up", "--port", "0")
    assert second.returncode == 3
    assert "data_dir" in second.stderr
    assert "Traceback" not in second.stderr


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


def test_what_is_written_is_for_this_account_alone(shared: Program) -> None:
    for path in (shared.folder / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_backup_while_running_and_restore_elsewhere(start: Start, tmp_path: Path) -> None:
    server = start()
    headers = owner_of(tmp_path)
    task_of(server, headers, say(server, headers, "remember that my desk is by the window")["task"])
    assert command(tmp_path, "backup", "kept.zip").returncode == 0
    assert command(tmp_path, "restore", "kept.zip", "--force").returncode == 3  # the server runs
    said = texts(server, headers, "agent")
    server.terminate()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    restored = command(elsewhere, "restore", str(tmp_path / "kept.zip"))
    assert restored.returncode == 0, restored.stderr
    program = Program(elsewhere)
    try:
        program.start()
        assert texts(program, headers, "agent") == said
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
    with httpx.stream("GET", f"{api.address}/api/channels/api:x/events", headers=headers, timeout=20) as stream:
        assert stream.status_code == 200
        said = say(api, headers, "what is 20 + 22", "api:x")
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
    tasks = [say(api, headers, f"what is {n} + 1", f"api:c{n % 7}")["task"] for n in range(30)]
    workers[0].kill()
    for task in tasks:
        assert task_of(api, headers, task)["state"] == "done"
    assert httpx.get(f"{workers[1].address}/metrics").status_code == 200
    assert httpx.get(f"{workers[1].address}/api/me", headers=headers).status_code == 404
    for process in (api, workers[1]):
        assert process.terminate() == 0
