"""Fetching models: from a hub of a few lines, with connections that break, files that lie and paths that lead out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx2
import pytest

from antiphon.domain.errors import Conflict, NotFound, Unavailable
from antiphon.speech.download import Progress, fetch
from antiphon.speech.engine import Download

MODEL = bytes(range(256)) * 4000
SMALL = b'{"kind": "tiny"}'
WANTED = Download(repository="someone/tiny", into="engine/tiny", patterns=("*.bin", "*.json"))


class Hub(httpx2.AsyncBaseTransport):
    """Answers like a hub. `break_at` ends the large file early, once; `ranges` False makes it ignore ranges."""

    def __init__(self) -> None:
        self.files = {"model.bin": MODEL, "config.json": SMALL, "notes/README.md": b"not wanted"}
        self.sent = dict(self.files)
        self.break_at: int | None = None
        self.ranges = True
        self.down = False
        self.asked: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.asked.append((path, request.headers.get("range", "")))
        if self.down:
            raise httpx2.ConnectError("no route")
        if path.startswith("/api/models/someone/tiny/tree/main"):
            return httpx2.Response(200, json=[self._row(name) for name in self.files])
        if path.startswith("/someone/tiny/resolve/main/"):
            return self._file(path.removeprefix("/someone/tiny/resolve/main/"), request.headers.get("range", ""))
        return httpx2.Response(404)

    def _row(self, name: str) -> dict[str, object]:
        content = self.files[name]
        row: dict[str, object] = {"type": "file", "path": name, "size": len(content)}
        if name.endswith(".bin"):
            row["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
        else:
            row["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return row

    def _file(self, name: str, wanted: str) -> httpx2.Response:
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        content = self.sent[name][begin:]
        if self.break_at is not None and name.endswith(".bin"):
            content, self.break_at = content[: self.break_at], None
        return httpx2.Response(206 if begin else 200, content=content)


async def get(hub: Hub, models: Path, wanted: Download = WANTED) -> list[Progress]:
    seen: list[Progress] = []
    await fetch([wanted], hub="http://hub.test", models=models, progress=seen.append, transport=hub)
    return seen


def below(folder: Path, pattern: str) -> list[Path]:
    return list(folder.rglob(pattern))


async def test_the_wanted_files_come_and_are_counted(tmp_path: Path) -> None:
    seen = await get(Hub(), tmp_path)
    assert (tmp_path / "engine/tiny/model.bin").read_bytes() == MODEL
    assert (tmp_path / "engine/tiny/config.json").read_bytes() == SMALL
    assert not below(tmp_path, "README.md")
    assert not below(tmp_path, "*.part")
    total = len(MODEL) + len(SMALL)
    assert (seen[-1].done, seen[-1].total) == (total, total)
    assert [one.done for one in seen] == sorted(one.done for one in seen)


async def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    await get(Hub(), tmp_path)
    hub = Hub()
    await get(hub, tmp_path)
    assert [path for path, _ in hub.asked if "resolve" in path] == []


@pytest.mark.parametrize("ranges", [True, False])
async def test_what_broke_off_goes_on(tmp_path: Path, ranges: bool) -> None:
    hub = Hub()
    hub.break_at, hub.ranges = 300_000, ranges
    with pytest.raises(Unavailable, match="same command"):
        await get(hub, tmp_path)
    assert not (tmp_path / "engine/tiny/model.bin").exists()
    await get(hub, tmp_path)
    assert (tmp_path / "engine/tiny/model.bin").read_bytes() == MODEL
    assert hub.asked[-2][1] == "bytes=300000-" or hub.asked[-1][1] == "bytes=300000-"


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
async def test_a_file_that_is_not_what_the_hub_said_is_thrown_away(tmp_path: Path, name: str) -> None:
    hub = Hub()
    hub.sent[name] = bytes(len(hub.files[name]))
    with pytest.raises(Conflict, match=name):
        await get(hub, tmp_path)
    assert not (tmp_path / "engine/tiny" / name).exists()
    assert not below(tmp_path, "*.part")


async def test_a_file_that_is_longer_than_said_ends(tmp_path: Path) -> None:
    hub = Hub()
    hub.sent["model.bin"] = MODEL + MODEL
    with pytest.raises(Conflict, match="longer"):
        await get(hub, tmp_path)


async def test_without_internet_it_says_where_files_go(tmp_path: Path) -> None:
    hub = Hub()
    hub.down = True
    with pytest.raises(Unavailable) as caught:
        await get(hub, tmp_path)
    assert str(tmp_path) in caught.value.message


async def test_what_the_hub_does_not_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="someone/else"):
        await get(Hub(), tmp_path, Download(repository="someone/else", into="x"))
    with pytest.raises(NotFound, match="no file"):
        await get(Hub(), tmp_path, Download(repository="someone/tiny", into="x", patterns=("*.onnx",)))


@pytest.mark.parametrize("path", ["../out.bin", "/etc/out.bin", "a/../../out.bin"])
async def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    hub = Hub()
    hub.files[path] = hub.sent[path] = b"evil"
    with pytest.raises(Unavailable, match="hub"):
        await get(hub, tmp_path)
    assert not below(tmp_path.parent, "out.bin")


async def test_a_page_that_is_no_hub_is_refused(tmp_path: Path) -> None:
    class Page(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, text="<html>Sign in to the network</html>")

    with pytest.raises(Unavailable, match="hub_url"):
        await fetch([WANTED], hub="http://hub.test", models=tmp_path, transport=Page())


async def test_a_full_disk_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    hub = Hub()
    with pytest.raises(Unavailable, match="room"):
        await get(hub, tmp_path)
    assert not [path for path, _ in hub.asked if "resolve" in path]
