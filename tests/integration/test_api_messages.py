"""Saying something over HTTP: accepted once, owned by whoever began the conversation, refused with the reason."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from antiphon.config import LimitSettings, Settings
from tests.integration.api_world import World, a_world, both_engines

DESK = "/api/channels/api:desk/messages"


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer, checked to be in the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert set(document) == {"error"}
    assert {"code", "message"} <= set(document["error"]) <= {"code", "message", "fields"}
    return document["error"]


async def test_a_message_is_accepted_and_the_same_id_again_gives_the_same_numbers(world: World) -> None:
    async with world.client(world.owner) as client:
        first = await client.post(DESK, json={"text": "hello", "id": "m-1"})
        again = await client.post(DESK, json={"text": "hello", "id": "m-1"})
    assert first.status_code == 202
    assert set(first.json()) == {"task", "message", "thread"}
    assert all(number.isdecimal() for number in first.json().values())
    assert again.status_code == 200
    assert again.json() == first.json()


@both_engines
async def test_the_same_id_at_once_is_one_message(world: World) -> None:
    async with world.client(world.owner) as client:
        answers = await asyncio.gather(*(client.post(DESK, json={"text": "once", "id": "m"}) for _ in range(8)))
        stored = (await client.get(DESK)).json()["items"]
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.text for answer in answers}) == 1
    assert len(stored) == 1


async def test_the_same_id_with_another_text_is_a_conflict(world: World) -> None:
    async with world.client(world.owner) as client:
        await client.post(DESK, json={"text": "one", "id": "m-1"})
        error = error_of(await client.post(DESK, json={"text": "two", "id": "m-1"}), 409)
    assert error["code"] == "conflict"


async def test_without_an_id_every_message_is_its_own(world: World) -> None:
    one = await world.say(world.owner, "api:desk", "hello")
    two = await world.say(world.owner, "api:desk", "hello")
    assert one["message"] != two["message"]


async def test_ids_with_colons_do_not_meet_those_of_another_channel(world: World) -> None:
    """Channel `api:a` with id `b:c` and channel `api:a:b` with id `c` are different messages."""
    one = await world.say(world.owner, "api:a", "hello", id="b:c")
    two = await world.say(world.owner, "api:a:b", "hello", id="c")
    assert one["message"] != two["message"]


@pytest.mark.parametrize("client_id", ["x" * 128, "with space", "🦉", "a/b?c#d", "%3A", "~"])
async def test_any_printable_id_is_remembered(world: World, client_id: str) -> None:
    first = await world.say(world.owner, "api:desk", "hello", id=client_id)
    assert await world.say(world.owner, "api:desk", "hello", id=client_id) == first


async def test_the_conversation_belongs_to_whoever_began_it(world: World) -> None:
    await world.say(world.owner, "web:mine", "hello")
    async with world.client(world.other) as client:
        error = error_of(await client.post("/api/channels/web:mine/messages", json={"text": "let me in"}), 404)
        listed = (await client.get("/api/channels")).json()["items"]
    assert error["code"] == "not_found"
    assert listed == []


@pytest.mark.parametrize("key", ["discord:1", "telegram:-100"])
async def test_channels_of_other_platforms_cannot_be_written_to(world: World, key: str) -> None:
    async with world.client(world.owner) as client:
        error_of(await client.post(f"/api/channels/{key}/messages", json={"text": "hi"}), 404)


@pytest.mark.parametrize("key", ["irc:1", "web", "web:", "web:" + "x" * 129, "web:a b", "WEB:a", "web:ä", "web:a%00"])
async def test_what_is_not_a_channel_key_is_refused(world: World, key: str) -> None:
    async with world.client(world.owner) as client:
        error = error_of(await client.post(f"/api/channels/{key}/messages", json={"text": "hi"}), 422)
    assert error["fields"] == {"channel": "not a channel key"}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"text": "x",\n  "id": }', "line 2, column 9"),
        (b"", "line 1, column 1"),
        (b"not json", "line 1, column 1"),
        (b'{"text": NaN}', "NaN"),
        (b'{"text": "\xff"}', "byte 11"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "deep"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
async def test_malformed_json_is_refused_with_the_place(world: World, body: bytes, place: str) -> None:
    async with world.client(world.owner) as client:
        answer = await client.post(DESK, content=body, headers={"Content-Type": "application/json"})
    error = error_of(answer, 400)
    assert error["code"] == "malformed"
    assert place in error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "  \n "}, "text"),
        ({"text": None}, "text"),
        ({"text": 5}, "text"),
        ({"text": True}, "text"),
        ({"text": ["a"]}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": "a", "id": ""}, "id"),
        ({"text": "a", "id": 7}, "id"),
        ({"text": "a", "id": "x" * 129}, "id"),
        ({"text": "a", "id": "\ud800"}, "id"),
        ({"text": "a", "id": "\x00"}, "id"),
        ({"text": "a", "txet": "b"}, "txet"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
async def test_a_field_that_is_not_right_is_named(world: World, body: Any, field: str) -> None:
    async with world.client(world.owner) as client:
        headers = {"Content-Type": "application/json"}
        error = error_of(await client.post(DESK, content=json.dumps(body), headers=headers), 422)
        assert (await client.get("/api/channels")).json()["items"] == []
    assert list(error["fields"]) == [field]


async def test_text_up_to_the_limit_is_kept_whole_and_over_it_refused(world: World) -> None:
    limit = world.settings.limits.message_chars
    text = "ä" * (limit - 2) + "🦉\n"
    async with world.client(world.owner) as client:
        assert (await client.post(DESK, json={"text": text})).status_code == 202
        error = error_of(await client.post(DESK, json={"text": "x" * (limit + 1)}), 413)
        stored = (await client.get(DESK)).json()["items"]
    assert error["code"] == "too_large"
    assert [item["text"] for item in stored] == [text]


async def test_a_body_over_the_limit_is_refused_when_it_says_so(world: World) -> None:
    async with world.client(world.owner) as client:
        body = b'{"text": "' + b"x" * world.settings.limits.body_bytes + b'"}'
        answer = await client.post(DESK, content=body, headers={"Content-Type": "application/json"})
    assert error_of(answer, 413)["code"] == "too_large"


async def test_an_endless_body_is_cut_off_at_the_limit(world: World) -> None:
    """A chunked body announces no length: reading it stops at the limit, not at the end of memory."""
    sent = 0
    limit = world.settings.limits.body_bytes

    async with world.served() as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {DESK} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.owner.key}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        answering = asyncio.create_task(reader.readline())
        while not answering.done() and sent < 64 * limit:
            writer.write(chunk)
            sent += 0x10000
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            status = await answering
        writer.close()
    assert b" 413 " in status
    assert sent < 32 * limit


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "\x7f",
        None,
    ],
)
async def test_another_content_type_is_refused(world: World, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    async with world.client(world.owner) as client:
        error = error_of(await client.post(DESK, content=b'{"text": "hi"}', headers=headers), 415)
    assert error["code"] == "unsupported_media_type"


async def test_a_client_that_does_not_take_json_is_told(world: World) -> None:
    async with world.client(world.owner) as client:
        assert error_of(await client.get(DESK, headers={"Accept": "image/png"}), 406)["code"] == "not_acceptable"
        assert (await client.get("/api/me", headers={"Accept": "text/html, application/*;q=0.1"})).status_code == 200
        assert (await client.get("/api/me?format=xml")).status_code == 200


async def test_another_method_is_refused_with_those_that_work(world: World) -> None:
    async with world.client(world.owner) as client:
        answer = await client.put(DESK, json={"text": "hi"})
        assert error_of(answer, 405)["code"] == "method_not_allowed"
        assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
        assert (await client.request("BREW", DESK)).status_code == 405
        options = await client.options(DESK)
        assert options.status_code == 204
        assert "POST" in options.headers["allow"]


async def test_a_flood_is_asked_to_wait_and_others_are_not(world_settings: Settings) -> None:
    limits = LimitSettings(messages_per_minute=3)
    async with a_world(world_settings.model_copy(update={"limits": limits})) as world:
        async with world.client(world.owner) as client:
            answers = [await client.post(DESK, json={"text": "hi"}) for _ in range(5)]
            assert [answer.status_code for answer in answers[:3]] == [202] * 3
            error = error_of(answers[3], 429)
            assert error["code"] == "too_many_requests"
            assert 1 <= int(answers[3].headers["retry-after"]) <= 20
            assert len((await client.get(DESK)).json()["items"]) == 3
        async with world.client(world.other) as client:
            answer = await client.post("/api/channels/api:other/messages", json={"text": "hi"})
            assert answer.status_code == 202


async def test_what_cannot_be_stored_now_is_refused_with_a_time_to_come_back(world: World) -> None:
    await world.stores.database.close()
    async with world.client(world.owner) as client:
        answer = await client.post(DESK, json={"text": "hi"})
    assert error_of(answer, 503)["code"] == "store_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


@both_engines
async def test_messages_are_listed_newest_first_page_by_page(world: World) -> None:
    for number in range(7):
        await world.say(world.owner, "api:desk", f"message {number}")
    await world.answer("an answer")
    texts: list[str] = []
    async with world.client(world.owner) as client:
        page = (await client.get(DESK, params={"limit": 3})).json()
        assert page["items"][0]["author"] == "agent"
        while True:
            texts += [item["text"] for item in page["items"]]
            if page["next"] is None:
                break
            page = (await client.get(DESK, params={"limit": 3, "cursor": page["next"]})).json()
    assert texts == ["an answer", *(f"message {number}" for number in reversed(range(7)))]


@both_engines
async def test_a_stored_message_is_shown_with_its_task_and_thread(world: World) -> None:
    receipt = await world.say(world.owner, "api:desk", "what?\r\n\u2028 <b>")
    lease = await world.answer("that")
    async with world.client(world.owner) as client:
        answer, said = (await client.get(DESK)).json()["items"]
    assert said == {
        "id": receipt["message"],
        "author": "person",
        "name": "Owner",
        "text": "what?\r\n\u2028 <b>",
        "at": said["at"],
        "task": receipt["task"],
        "thread": receipt["thread"],
        "reply_to": None,
        "interrupted": False,
        "attachments": [],
    }
    assert said["at"].endswith("Z")
    assert (answer["author"], answer["task"]) == ("agent", str(lease.task))


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "\uff11", "99999999999999999999"])
async def test_a_limit_out_of_range_is_refused(world: World, limit: str) -> None:
    async with world.client(world.owner) as client:
        assert "limit" in error_of(await client.get("/api/channels", params={"limit": limit}), 422)["fields"]


@pytest.mark.parametrize(
    "cursor", ["x", "!!!", "bnVsbA", "W10", "WzEsMl0", "W251bGxd", "WzFlOTk5XQ", "Wy0xXQ", "W3RydWVd", "ä", "A" * 5000]
)
async def test_what_is_not_a_cursor_is_refused(world: World, cursor: str) -> None:
    async with world.client(world.owner) as client:
        assert "cursor" in error_of(await client.get("/api/tasks", params={"cursor": cursor}), 422)["fields"]
