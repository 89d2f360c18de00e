"""The proxy examples of deploy/ in front of the real program: pages, events, WebSockets pass; no address is forged.

Each proxy runs on loopback with a configuration made from the example (other ports, a certificate of our own).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from antiphon.config import HttpSettings, Settings
from antiphon.run.tls import certificate_files
from tests.fixtures_redis import free_port
from tests.integration.program import Program, key_of

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "chat.example.org"


def nginx(folder: Path, port: int, upstream: int, certificate: Path, key: Path) -> list[str]:
    """The example with other ports and files."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(":8000", f":{upstream}")
    text = text.replace("/etc/antiphon/tls/cert.pem", str(certificate)).replace("/etc/antiphon/tls/key.pem", str(key))
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        text = text.replace("http {\n", f"http {{\n  {kind}_temp_path {folder}/{kind};\n", 1)
    text = text.replace("http {\n", "http {\n  access_log off;\n", 1)
    account = "user root;\n" if os.getuid() == 0 else ""  # its workers write below our folder
    (folder / "nginx.conf").write_text(
        f"{account}pid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\ndaemon off;\n{text}"
    )
    return ["nginx", "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: int, certificate: Path, key: Path) -> list[str]:
    """The example with other ports, and a certificate of ours instead of one it would ask the world for."""
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8").replace(":8000", f":{upstream}")
    text = text.replace(f"{NAME} {{", f"{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}", 1)
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
    (folder / "Caddyfile").write_text(options + text)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


class Behind:
    """The program with a proxy in front."""

    def __init__(self, program: Program, port: int, authority: Path, key: str) -> None:
        self.program = program
        self.port = port
        self.tls = ssl.create_default_context(cafile=authority)
        self.bearer = {"Authorization": f"Bearer {key}"}

    def client(self, **headers: str) -> httpx.Client:
        """A client that finds the public name at the proxy."""
        transport = httpx.HTTPTransport(verify=self.tls)
        return httpx.Client(
            transport=_Named(transport, self.port), base_url=f"https://{NAME}", headers=headers, timeout=20
        )


class _Named(httpx.BaseTransport):
    """Connects to the proxy on loopback, with the public name in Host and TLS."""

    def __init__(self, inner: httpx.HTTPTransport, port: int) -> None:
        self._inner = inner
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host="127.0.0.1", port=self._port)
        named = {**request.extensions, "sni_hostname": NAME}
        return self._inner.handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=named)
        )

    def close(self) -> None:
        self._inner.close()


@pytest.fixture(
    scope="module",
    params=[pytest.param(make, marks=pytest.mark.needs(make.__name__), id=make.__name__) for make in (nginx, caddy)],
)
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """Antiphon behind each proxy, both as their example says."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    made = certificate_files(Settings(data_dir=folder, http=HttpSettings(tls="self", public_url=f"https://{NAME}")))
    assert made is not None
    told = dict(re.findall(r"#\s+(ANTIPHON_\w+)=(\S+)", (DEPLOY / "nginx.conf").read_text(encoding="utf-8")))
    told = {**told, "ANTIPHON_LIMITS__MESSAGES_PER_MINUTE": "10000"}
    program = Program(folder, **told)
    port = free_port()
    arguments = request.param(folder, port, program.port, *made)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    program.start()
    with (folder / "proxy.out").open("wb") as out:
        proxy = subprocess.Popen(
            [shutil.which(arguments[0]) or "", *arguments[1:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 15
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert proxy.poll() is None, (folder / "proxy.out").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        key = key_of(folder, **told)
        yield Behind(program, port, made[0], key)
    finally:
        proxy.kill()  # it would wait for its connections to end
        proxy.wait(10)
        program.close()


def test_a_person_signs_in_and_the_session_is_for_https_only(behind: Behind) -> None:
    link = next(line for line in behind.program.out.splitlines() if line.startswith("Sign in: "))
    assert link.startswith(f"Sign in: https://{NAME}/welcome/")
    with behind.client(Origin=f"https://{NAME}") as client:
        assert client.get("/").status_code == 303
        page = client.get("/sign-in")
        assert page.status_code == 200
        assert "unsafe" not in page.headers["content-security-policy"]
        signed_in = client.post("/api/session", json={"token": link.rpartition("/")[2]})
        assert signed_in.status_code == 200
        cookie = signed_in.headers["set-cookie"]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        csrf = {"X-CSRFToken": signed_in.json()["csrf"]}
        assert client.patch("/api/me", json={"name": "Wren"}, headers=csrf).status_code == 200
        evil = {**csrf, "Origin": "https://evil.example"}
        assert client.patch("/api/me", json={"name": "Eve"}, headers=evil).status_code == 403


def test_events_and_web_sockets_pass_as_they_happen(behind: Behind) -> None:
    with (
        behind.client(**behind.bearer) as client,
        socket.create_connection(("127.0.0.1", behind.port)) as raw,
        connect(
            f"wss://{NAME}/ws/channels/web:proxied",
            sock=raw,
            ssl=behind.tls,
            server_hostname=NAME,
            additional_headers=behind.bearer,
        ) as heard,
        client.stream("GET", "/api/channels/web:proxied/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"  # before anything has happened: nothing is collected on the way
        with behind.client(**behind.bearer) as other:
            said = other.post("/api/channels/web:proxied/messages", json={"text": "what is 20 + 22"})
            assert said.status_code == 202
        reply = next(line for line in lines if line.startswith("data:") and '"reply"' in line)
        assert "42" in reply
        names = []
        while "reply" not in names:
            names.append(json.loads(heard.recv(timeout=10))["event"])
        assert names[0] == "turn.started"


def test_nobody_forges_an_address_or_a_scheme(behind: Behind) -> None:
    """Figures are for this machine: a request that came through a proxy is not, whatever it claims to be."""
    forged = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Real-IP": "127.0.0.1"}
    with behind.client(**forged) as client:
        assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in pieces"])
def test_a_body_over_the_limit_is_refused_in_our_words(behind: Behind, announced: bool) -> None:
    body = b'"' + b"x" * 4_000_000 + b'"'
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    with behind.client(**behind.bearer, **{"Content-Type": "application/json"}) as client:
        refused = client.post("/api/channels/web:proxied/messages", content=body if announced else pieces)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "too_large"
        assert client.get("/api/me").status_code == 200
