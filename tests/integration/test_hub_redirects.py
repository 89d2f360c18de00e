"""A hub that redirects: to where models may be fetched from, and to where nothing may be asked. Over real servers."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from aiohttp import web

from antiphon.domain.errors import Forbidden, Unavailable
from antiphon.run.addresses import Judge, PinnedTransport, here_too, is_forbidden, is_public, only_public
from antiphon.speech.download import fetch
from antiphon.speech.engine import Download

MODEL = bytes(range(256)) * 100
WANTED = Download(repository="someone/tiny", into="tiny", patterns=("*.bin",))


class Server:
    """A server on loopback: a hub of one model, which lies at `location`, or here."""

    def __init__(self) -> None:
        self.url = ""
        self.location = ""
        self.asked: list[str] = []
        self.hosts: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.hosts.append(request.headers["Host"])
        if request.path.startswith("/api/models/"):
            digest = hashlib.sha256(MODEL).hexdigest()
            row = {"type": "file", "path": "m.bin", "size": len(MODEL), "lfs": {"oid": digest, "size": len(MODEL)}}
            return web.json_response([row])
        if self.location and request.path.endswith("/resolve/main/m.bin"):
            raise web.HTTPFound(self.location)
        return web.Response(body=MODEL)


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    server, app = Server(), web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


async def get(hub: str, models: Path, judge: Judge | None = None, *, proxies: bool = False) -> None:
    transport = PinnedTransport(judge or only_public(hub), proxies=proxies)
    await fetch([WANTED], hub=hub, models=models, transport=transport)


Answer = Callable[[str], list[str]]


def names(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> list[str]:
    """Names are looked up in `answer`, numbers are themselves. Gives the names that were asked for, as they come."""
    asked: list[str] = []
    real = asyncio.get_running_loop().getaddrinfo

    async def look_up(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        if host.replace(".", "").isdigit() or ":" in host:
            return await real(host, port, **more)  # type: ignore[arg-type]
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in answer(host)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    return asked


async def test_a_file_may_lie_on_another_server(tmp_path: Path) -> None:
    async with a_server() as hub, a_server() as files:
        hub.location = f"{files.url}/lies/here"
        await get(hub.url, tmp_path, here_too)
        assert files.asked == ["/lies/here"]
    assert (tmp_path / "tiny/m.bin").read_bytes() == MODEL


async def test_a_mirror_in_a_network_of_ours_may_send_its_own_files(tmp_path: Path) -> None:
    async with a_server() as hub:
        hub.location = "/elsewhere/m.bin"
        await get(hub.url, tmp_path)
        assert hub.asked[-1] == "/elsewhere/m.bin"
    assert (tmp_path / "tiny/m.bin").read_bytes() == MODEL


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://files.example/m.bin", "files.example is not asked without https"),
        ("file:///etc/passwd", "without https"),
        ("https://127.0.0.1/m.bin", "127.0.0.1 does not lie in the internet"),
        ("https://[::1]/m.bin", "::1 does not lie in the internet"),
        ("https://169.254.169.254/latest", "169.254.169.254 does not lie in the internet"),
        ("https://[::ffff:10.0.0.1]/m.bin", "does not lie in the internet"),
        ("https://2130706433/m.bin", "does not lie in the internet"),
        ("https://inside.example/m.bin", "inside.example does not lie in the internet"),
        ("https://both.example/m.bin", "both.example does not lie in the internet"),
    ],
)
async def test_a_hub_leads_nobody_into_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, why: str
) -> None:
    known = {"inside.example": ["10.1.2.3"], "both.example": ["93.184.216.34", "192.168.0.1"]}
    names(monkeypatch, lambda host: known.get(host, ["127.0.0.1"]))
    async with a_server() as hub:
        hub.location = location
        with pytest.raises(Forbidden, match=why) as caught:
            await get(hub.url, tmp_path)
        assert "speech.hub_url" in str(caught.value)
    assert not (tmp_path / "tiny/m.bin").exists()


async def test_a_hub_that_leads_in_a_circle_is_left(tmp_path: Path) -> None:
    async with a_server() as hub:
        hub.location = "/someone/tiny/resolve/main/m.bin"
        with pytest.raises(Unavailable, match="cannot be reached or broke off"):
            await get(hub.url, tmp_path)
        assert len(hub.asked) < 10


async def test_another_server_of_this_machine_is_not_asked(tmp_path: Path) -> None:
    async with a_server() as hub, a_server() as other:
        hub.location = f"{other.url}/private"
        with pytest.raises(Forbidden, match="without https"):
            await get(hub.url, tmp_path)
        assert other.asked == []


async def test_a_name_is_looked_up_once_and_that_address_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose second look-up leads elsewhere gains nothing by it."""
    async with a_server() as hub:
        port = hub.url.rpartition(":")[2]
        answers = iter([["127.0.0.1"], ["127.0.0.1"]])
        asked = names(monkeypatch, lambda host: next(answers))
        await get(f"http://hub.example:{port}", tmp_path)
        assert asked == ["hub.example"] * len(hub.asked)
        assert set(hub.hosts) == {f"hub.example:{port}"}


async def test_not_even_the_settings_name_where_clouds_keep_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, lambda host: ["169.254.169.254"])
    with pytest.raises(Forbidden, match="of this kind"):
        await get("http://hub.example", tmp_path)


async def test_behind_a_proxy_names_are_its_business_and_numbers_are_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_server() as proxy, a_server() as other:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await get("http://hub.example", tmp_path, proxies=True)
        assert set(proxy.hosts) == {"hub.example"}
        (tmp_path / "tiny/m.bin").unlink()
        for location in ("https://10.0.0.1/m.bin", "https://0x7f000001/m.bin", f"{other.url}/m.bin"):
            proxy.location = location
            with pytest.raises(Forbidden):
                await get("http://hub.example", tmp_path, proxies=True)
        assert other.asked == []


@pytest.mark.parametrize(
    ("address", "public", "forbidden"),
    [
        ("93.184.216.34", True, False),
        ("2606:2800:220:1::1", True, False),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("10.0.0.1", False, False),
        ("100.64.0.1", False, False),
        ("fd00::1", False, False),
        ("fec0::1", False, False),
        ("64:ff9b::a00:1", False, False),
        ("64:ff9b:1::1", False, True),
        ("2002:a00:1::", False, False),
        ("::ffff:192.168.1.1", False, False),
        ("::ffff:169.254.169.254", False, True),
        ("64:ff9b::a9fe:a9fe", False, True),
        ("169.254.0.1", False, True),
        ("fe80::1", False, True),
        ("fd00:ec2::254", False, True),
        ("224.0.0.1", False, True),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("::7f00:1", False, True),
        ("255.255.255.255", False, True),
    ],
)
def test_what_lies_where(address: str, public: bool, forbidden: bool) -> None:
    ip = ipaddress.ip_address(address)
    assert (is_public(ip), is_forbidden(ip)) == (public, forbidden)


async def test_a_pinned_connection_asks_for_the_certificate_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    came = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(2048))
        writer.close()
        came.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        names(monkeypatch, lambda host: ["127.0.0.1"])
        port = server.sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(transport=PinnedTransport(here_too)) as client:
            with pytest.raises(httpx2.HTTPError):
                await client.get(f"https://files.example:{port}/")
        async with asyncio.timeout(5):
            await came.wait()
    assert b"files.example" in seen[0]
