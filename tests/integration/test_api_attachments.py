"""Files over the API: kept by what they are, named in one message, given only to who may see the conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from antiphon.config import AttachmentSettings, Settings
from tests.integration.api_world import World, a_world, both_engines
from tests.integration.test_api_messages import error_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
UPLOAD = "/api/channels/web:a/attachments"


async def upload(client: httpx.AsyncClient, content: bytes, name: str, channel: str = "web:a") -> dict[str, Any]:
    answer = await client.post(f"/api/channels/{channel}/attachments", params={"name": name}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def send(client: httpx.AsyncClient, *files: str, channel: str = "web:a", **body: Any) -> httpx.Response:
    return await client.post(f"/api/channels/{channel}/messages", json={"text": "", "attachments": files, **body})


def stored(world: World) -> list[Path]:
    return [file for file in (world.settings.data_dir / "attachments").rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=100-", (100, len(PNG))),
        ("bytes=1000-999999", (1000, len(PNG))),
        ("bytes=-32", (len(PNG) - 32, len(PNG))),
        ("bytes=-999999", (0, len(PNG))),
        *(
            (odd, None)
            for odd in ("", "bytes=-", "bytes=5-2", "bytes=999999-", "bytes=0-1,4-5", "lines=0-1", "bytes=-0")
        ),
    ],
)
async def test_a_part_of_a_file_is_given_where_one_is_asked_for(
    world: World, wanted: str, part: tuple[int, int] | None
) -> None:
    """Players jump by this, and some play nothing without."""
    async with world.client(world.owner) as client:
        file = await upload(client, PNG, "heron.png")
        answer = await client.get(f"/api/attachments/{file['id']}", headers={"Range": wanted})
    first, end = part or (0, len(PNG))
    assert answer.status_code == (206 if part else 200)
    assert answer.content == PNG[first:end]
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers.get("content-range") == (f"bytes {first}-{end - 1}/{len(PNG)}" if part else None)


@both_engines
async def test_a_file_is_uploaded_sent_listed_and_given_back(world: World) -> None:
    async with world.client(world.owner) as client:
        file = await upload(client, PNG, "../../häron\r\n.png")
        assert file == {"id": file["id"], "name": "häron .png", "media_type": "image/png", "size": len(PNG)}
        receipt = await send(client, file["id"])
        assert receipt.status_code == 202, receipt.text
        (message,) = (await client.get("/api/channels/web:a/messages")).json()["items"]
        assert message["attachments"] == [file]
        answer = await client.get(f"/api/attachments/{file['id']}", headers={"Accept": "image/avif,image/*"})
        assert answer.content == PNG
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"].startswith("inline; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_a_form_with_one_file_is_taken_too(world: World) -> None:
    async with world.client(world.owner) as client:
        answer = await client.post(UPLOAD, files={"file": ("notes.md", b"# Notes", "image/png")})
        assert answer.status_code == 201
        assert answer.json()["name"] == "notes.md"
        assert answer.json()["media_type"] == "text/markdown"  # what it is, not what was claimed
        error_of(await client.post(UPLOAD, files=[("a", b"1"), ("b", b"2")]), 422)
        broken = await client.post(UPLOAD, content=b"--x", headers={"Content-Type": "multipart/form-data"})
        error_of(broken, 400)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"<html><script>alert(1)</script>", "page.html", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "drawing.svg", "text/plain"),
        (b"MZ\x00\x01", "photo.png", "application/octet-stream"),
        (b"%PDF-1.7\n", "x.png", "application/pdf"),
        (json.dumps({"a": 1}).encode(), "a.json", "application/json"),
        (b"{not json", "a.json", "text/plain"),
        ("Grüße".encode() * 2000, "gruss.txt", "text/plain"),
        (b"\xff\xfe\x00", "a.txt", "application/octet-stream"),
    ],
)
async def test_what_could_run_in_a_browser_is_a_download(
    world: World, content: bytes, name: str, media_type: str
) -> None:
    async with world.client(world.owner) as client:
        file = await upload(client, content, name)
        assert file["media_type"] == media_type
        answer = await client.get(f"/api/attachments/{file['id']}")
        assert answer.content == content
        assert answer.headers["content-disposition"].startswith("attachment; ")


async def test_an_upload_is_used_once_by_its_person_in_its_conversation(world: World) -> None:
    async with world.client(world.owner) as client, world.client(world.other) as stranger:
        file = (await upload(client, b"words", "a.txt"))["id"]
        assert error_of(await send(client, file, channel="web:b"), 422)["fields"] == {
            "attachments": f"{file} is not there"
        }
        error_of(await send(stranger, file, channel="web:c"), 422)
        error_of(await stranger.get(f"/api/attachments/{file}"), 404)
        error_of(await stranger.delete(f"/api/attachments/{file}"), 404)
        assert (await client.get("/api/channels")).json()["items"] == []  # nothing of the refused was kept
        first = await send(client, file, id="one")
        assert first.status_code == 202
        again = await send(client, file, id="one")
        assert (again.status_code, again.json()) == (200, first.json())
        other = (await upload(client, b"others", "b.txt"))["id"]
        error_of(await send(client, other, id="one"), 409)
        error_of(await send(client, file, id="two"), 422)
        error_of(await stranger.get(f"/api/attachments/{file}"), 404)
        error_of(await client.delete(f"/api/attachments/{file}"), 404)  # it belongs to a message now


@pytest.mark.parametrize("given", [["x"], ["1", "1"], ["-1"], ["9" * 19], ["1" * 30], [1], "1", [""], ["\u0661"]])
async def test_what_is_no_id_is_refused(world: World, given: Any) -> None:
    async with world.client(world.owner) as client:
        answer = await client.post("/api/channels/web:a/messages", json={"text": "x", "attachments": given})
        assert "attachments" in error_of(answer, 422)["fields"]


async def test_an_empty_message_needs_a_file_and_a_file_needs_bytes(world: World) -> None:
    async with world.client(world.owner) as client:
        error_of(await send(client), 422)
        error_of(await client.post(UPLOAD, content=b""), 422)
    assert stored(world) == []


async def test_ten_megabytes_are_taken_and_more_than_the_limit_leaves_nothing(sqlite_settings: Settings) -> None:
    settings = sqlite_settings.model_copy(update={"attachments": AttachmentSettings(max_bytes=10_000_000)})
    async with a_world(settings) as world, world.client(world.owner) as client:
        file = await upload(client, b"\x01" * 10_000_000, "large.bin")
        assert file["size"] == 10_000_000
        async with client.stream("GET", f"/api/attachments/{file['id']}") as answer:
            assert sum([len(piece) async for piece in answer.aiter_bytes()]) == 10_000_000
        error_of(await client.post(UPLOAD, content=b"\x02" * 10_000_001), 413)  # over it by a byte
        error_of(await client.post(UPLOAD, content=b"\x02" * 10_100_000), 413)  # refused by its announced length

        async def endless() -> Any:
            while True:
                yield b"x" * 65_536

        error_of(await client.post(UPLOAD, content=endless()), 413)
        too_long = await client.post("/api/channels/web:a/messages", content=b"x" * 2_000_000)
        error_of(too_long, 413)  # only uploads may be that large
        assert len(stored(world)) == 1


async def test_the_same_content_is_stored_once_and_goes_with_the_last_who_has_it(world: World) -> None:
    async with world.client(world.owner) as mine, world.client(world.other) as theirs:
        a = await upload(mine, b"shared words", "a.txt")
        b = await upload(theirs, b"shared words", "b.txt", channel="web:b")
        assert len(stored(world)) == 1
        assert (await mine.delete(f"/api/attachments/{a['id']}")).status_code == 204
        assert (await theirs.get(f"/api/attachments/{b['id']}")).content == b"shared words"
        assert (await theirs.delete(f"/api/attachments/{b['id']}")).status_code == 204
        error_of(await theirs.get(f"/api/attachments/{b['id']}"), 404)
    assert stored(world) == []


async def test_uploads_that_no_message_uses_are_bounded_and_swept(sqlite_settings: Settings) -> None:
    settings = sqlite_settings.model_copy(update={"attachments": AttachmentSettings(max_bytes=1024)})
    async with a_world(settings) as world, world.client(world.owner) as client:
        for number in range(10):
            await upload(client, bytes([number]) * 1024, "a.bin")
        error_of(await client.post(UPLOAD, content=b"one more"), 413)
        assert len(stored(world)) == 10
        now = world.services.clock.now().timestamp()
        assert await world.stores.attachments.sweep_unsent(now - 60, 100) == 0
        assert await world.stores.attachments.sweep_unsent(now + 60, 100) == 10
        assert stored(world) == []
        stray = settings.data_dir / "attachments" / "ab" / ("ab" * 32)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"left by a crash")
        draft = settings.data_dir / "attachments" / ".draft-x"
        draft.write_bytes(b"half of somethi")
        assert await world.stores.attachments.sweep_strays(now - 60) == 0
        assert await world.stores.attachments.sweep_strays(now + 60) == 1
        assert stored(world) == []


async def test_a_disk_that_refuses_is_said_so(world: World) -> None:
    (world.settings.data_dir / "attachments").write_text("in the way")
    async with world.client(world.owner) as client:
        error_of(await client.post(UPLOAD, content=b"words"), 503)


async def test_a_lost_file_is_a_clear_answer(world: World) -> None:
    async with world.client(world.owner) as client:
        file = await upload(client, b"words", "a.txt")
        for path in stored(world):
            path.unlink()
        error_of(await client.get(f"/api/attachments/{file['id']}"), 404)


async def test_another_persons_conversation_takes_nothing(world: World) -> None:
    await world.say(world.owner, "web:a", "mine")
    async with world.client(world.other) as stranger:
        error_of(await stranger.post(UPLOAD, content=b"x"), 404)
        error_of(await stranger.post("/api/channels/discord:1/attachments", content=b"x"), 404)
