"""A program that runs, as an operator meets it: commands beside it, its pages, its connections, its files."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.program import Program, command, owner_of


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that several tests look at, and none ends or fills: each speaks in a channel of its own."""
    program = Program(tmp_path_factory.mktemp("shared"))
    yield program.start()
    program.close()


def test_commands_work_beside_the_running_server(shared: Program) -> None:
    server, tmp_path = shared, shared.folder
    made = command(tmp_path, "key", "create", "laptop", "--scopes", "chat", "--json")
    credential = json.loads(made.stdout)
    assert set(credential) == {"id", "key"}
    headers = {"Authorization": f"Bearer {credential['key']}"}
    done = server.task(headers, server.say(headers, "what is 2 + 3")["task"])
    assert "5" in done["reply"]
    assert command(tmp_path, "key", "revoke", credential["id"]).returncode == 0
    deadline = time.monotonic() + 3
    while server.http.get("/api/me", headers=headers).status_code != 401:
        assert time.monotonic() < deadline, "a revoked key still works"
        time.sleep(0.1)
    link = command(tmp_path, "user", "link")
    assert link.stdout.startswith("http://")
    assert "/welcome/" in link.stdout


def test_a_second_user_is_made_beside_the_running_server_and_sees_nothing_of_the_owner(shared: Program) -> None:
    server = shared
    server.say(owner_of(server.folder), "hello", "web:owner")
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
    assert server.http.get(f"/welcome/{token}").status_code == 200  # looking at it does not use it up
    assert server.http.post("/api/session", json={"token": token}).status_code in (200, 201)
    assert server.http.post("/api/session", json={"token": token}).status_code == 401
    assert "Sign in: http" not in server.log


def test_a_connection_that_says_nothing_is_closed_and_a_stream_is_not(shared: Program) -> None:
    server = shared
    headers = owner_of(server.folder)
    with (
        socket.create_connection(("127.0.0.1", server.port)) as mute,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
        server.http.stream("GET", "/api/channels/web:mute/events", headers=headers, timeout=30) as stream,
    ):
        slow.sendall(b"GET /api/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX")
        for held in (mute, slow):
            held.settimeout(15)
            assert held.recv(1) == b""
        said = server.say(headers, "what is 1 + 1", "web:mute")
        assert any(said["task"] in line for line in stream.iter_lines())


def test_pages_send_strangers_to_the_sign_in_page(shared: Program) -> None:
    server = shared
    answer = server.http.get("/c/web:a?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fc%2Fweb%3Aa%3Fx%3D1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert server.http.get("/sign-in").status_code == 200
    assert server.http.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_many_listeners_are_not_stopped_by_the_soft_limit_of_files(shared: Program) -> None:
    limits = Path(f"/proc/{shared.process.pid}/limits")
    if not limits.exists():
        pytest.skip("needs /proc")
    (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert soft == hard


def test_a_second_server_on_the_same_folder_is_refused(shared: Program) -> None:
    second = command(shared.folder, "up", "--port", "0")
    assert second.returncode == 3
    assert "data_dir" in second.stderr
    assert "Traceback" not in second.stderr


def test_what_is_written_is_for_this_account_alone(shared: Program) -> None:
    for path in (shared.folder / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
