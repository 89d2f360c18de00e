"""One's own data over the API and the command line: taken along, or gone."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.integration.api_world import World
from tests.integration.test_api_messages import error_of

WORDS = {"confirm": "erase everything about me"}


async def test_an_export_is_a_zip_with_the_files(world: World) -> None:
    async with world.client(world.other) as client:
        file = (await client.post("/api/channels/web:a/attachments?name=a.txt", content=b"heron")).json()
        sent = await client.post("/api/channels/web:a/messages", json={"text": "see", "attachments": [file["id"]]})
        assert sent.status_code == 202
        answer = await client.post("/api/me/export")
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        document = json.loads(archive.read("person.json"))
        assert archive.read(document["attachments"][0]["file"]) == b"heron"
    assert document["conversations"][0]["messages"][0]["text"] == "see"
    assert world.other.key not in answer.text


@pytest.mark.parametrize("body", [{}, {"confirm": ""}, {"confirm": "yes"}, {"confirm": True}, {**WORDS, "person": "1"}])
async def test_other_words_erase_nothing(world: World, body: dict[str, object]) -> None:
    await world.say(world.other, "web:a", "hello")
    async with world.client(world.other) as client:
        error_of(await client.post("/api/me/erase", json=body), 422)
        assert len((await client.get("/api/channels/web:a/messages")).json()["items"]) == 1


async def test_erasing_needs_the_words_and_ends_the_credentials(world: World) -> None:
    await world.say(world.other, "web:a", "hello")
    await world.say(world.owner, "web:mine", "mine")
    async with world.signed_in(world.other) as browser, world.client(world.other) as client:
        answer = await client.post("/api/me/erase", json=WORDS)
        assert answer.status_code == 200, answer.text
        erased = answer.json()["erased"]
        assert (erased["messages"], erased["keys"], erased["logins"], erased["sessions"]) == (1, 1, 1, 1)
        error_of(await client.get("/api/me"), 401)
        error_of(await browser.get("/api/me"), 401)
    async with world.client(world.owner) as client:
        assert len((await client.get("/api/channels/web:mine/messages")).json()["items"]) == 1
        error_of(await client.post("/api/me/erase", json=WORDS), 409)
        assert (await client.get("/api/me")).status_code == 200
