"""The history, the people and everybody's tasks: what is found, and who may look how far."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from antiphon.domain.conversation import InboundMessage, Sender, ServerRef
from antiphon.domain.identity import Role
from antiphon.domain.work import Outcome, TaskFailure, TaskState
from tests.integration.api_world import Someone, World, both_engines
from tests.integration.test_api_messages import error_of


async def heard(world: World, channel: str, sender: str, text: str, *, server: str = "") -> None:
    """Something said on another platform, in a server or in private."""
    await world.services.receive(
        InboundMessage(
            platform="discord",
            channel=channel,
            native_id=f"{channel}-{text}",
            sender=Sender(native_id=sender, name=f"name of {sender}"),
            text=text,
            at=datetime.now(UTC),
            receiver="bot",
            server=ServerRef("discord", server, "Harbour") if server else None,
        )
    )


async def operator(world: World) -> Someone:
    user = await world.stores.users.create("operator", Role.OPERATOR)
    key, secret = await world.stores.keys.create("key", ["chat", "admin"], user.person)
    return Someone(user, secret, key.id)


async def texts(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/history", params=query)
    assert answer.status_code == 200, answer.text
    return [item["text"] for item in answer.json()["items"]]


@both_engines
async def test_words_are_found_whatever_their_case_and_signs(world: World) -> None:
    await world.say(world.owner, "web:one", "The HALL is 100% booked_out!")
    await world.answer("Then another hall.")
    await world.say(world.owner, "web:two", "Nothing to see")
    async with world.client(world.owner) as client:
        assert await texts(client, q="hall") == ["Then another hall.", "The HALL is 100% booked_out!"]
        assert await texts(client, q="100%") == ["The HALL is 100% booked_out!"]
        assert await texts(client, q="d_o") == ["The HALL is 100% booked_out!"]
        assert await texts(client, q="o_n") == []
        assert await texts(client, q="out!") == ["The HALL is 100% booked_out!"]
        assert await texts(client, q="hall", author="agent") == ["Then another hall."]
        assert await texts(client, channel="web:two") == ["Nothing to see"]
        now = datetime.now(UTC)
        assert await texts(client, **{"from": (now + timedelta(hours=1)).isoformat()}) == []
        assert len(await texts(client, **{"from": (now - timedelta(hours=1)).isoformat()})) == 3
        assert await texts(client, to=(now - timedelta(hours=1)).isoformat()) == []


@both_engines
async def test_everyone_looks_as_far_as_they_may(world: World) -> None:
    await world.say(world.owner, "web:mine", "said by the owner alone")
    await world.say(world.other, "web:theirs", "said by the other alone")
    await heard(world, "discord:hall", "ingo", "said in the hall", server="harbour")
    await heard(world, "discord:private", "mara", "said in private")
    async with world.client(world.other) as client:
        assert await texts(client) == ["said by the other alone"]
    async with world.client(await operator(world)) as client:
        assert await texts(client) == ["said in the hall"]
        (item,) = (await client.get("/api/history")).json()["items"]
        assert (item["server"], item["platform"], item["name"]) == ("Harbour", "discord", "name of ingo")
        assert await texts(client, person=item["person"]) == ["said in the hall"]
        assert await texts(client, person="999999") == []
    async with world.client(world.owner) as client:
        assert await texts(client) == ["said in the hall", "said by the owner alone"]


@both_engines
async def test_a_link_to_a_message_shows_what_was_said_around_it_and_more_on_both_sides(world: World) -> None:
    for number in range(70):
        await world.services.receive(
            InboundMessage(
                platform="web",
                channel="web:long",
                native_id=str(number),
                sender=Sender(native_id=str(world.owner.person), name="Owner"),
                text=f"line {number}",
                at=datetime.now(UTC),
                person=world.owner.person,
            )
        )
    async with world.client(world.owner) as client:
        middle = (await client.get("/api/history", params={"q": "line 34"})).json()["items"][0]["id"]
        around = (await client.get(f"/api/history/{middle}")).json()
        shown = [item["text"] for item in around["items"]]
        assert shown == [f"line {number}" for number in range(4, 65)]
        older = await texts(client, channel="web:long", cursor=around["older"])
        newer = await texts(client, channel="web:long", order="oldest", cursor=around["newer"])
        assert (older, newer) == ([f"line {n}" for n in (3, 2, 1, 0)], [f"line {n}" for n in range(65, 70)])
        error_of(await client.get("/api/history/999999"), 404)
    async with world.client(world.other) as client:
        error_of(await client.get(f"/api/history/{middle}"), 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"q": "x" * 201}, "q"),
        ({"person": "one"}, "person"),
        ({"author": "bird"}, "author"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-45T00:00:00Z"}, "to"),
        ({"order": "random"}, "order"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_named(world: World, query: dict[str, str], field: str) -> None:
    async with world.client(world.owner) as client:
        assert field in error_of(await client.get("/api/history", params=query), 422)["fields"]


@both_engines
async def test_operators_see_who_is_known_and_members_do_not(world: World) -> None:
    await heard(world, "discord:hall", "ingo", "hello", server="harbour")
    async with world.client(await operator(world)) as client:
        everybody = (await client.get("/api/people")).json()["items"]
        assert {person["name"] for person in everybody} >= {"Owner", "other", "name of ingo"}
        (ingo,) = (await client.get("/api/people", params={"q": "INGO", "platform": "discord"})).json()["items"]
        assert ingo["accounts"] == [{"platform": "discord", "name": "name of ingo", "id": "ingo"}]
        assert (ingo["messages"], ingo["role"]) == (1, None)
        assert (await client.get("/api/people", params={"q": "nobody"})).json()["items"] == []
    async with world.client(world.other) as client:
        error_of(await client.get("/api/people"), 403)


@both_engines
async def test_operators_see_that_others_work_died_and_retry_it_without_reading_it(world: World) -> None:
    await world.say(world.other, "web:theirs", "my secret heron")
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    failure = TaskFailure("model_failed", "The model did not answer.")
    await world.stores.tasks.finish(work.lease, Outcome(TaskState.DEAD, "heron", ("heron",), failure=failure))
    await heard(world, "discord:hall", "ingo", "public words", server="harbour")
    async with world.client(await operator(world)) as client:
        assert (await client.get("/api/tasks")).json()["items"] == []
        found = (await client.get("/api/tasks", params={"everybody": "1"})).json()["items"]
        assert [(item["state"], item["asked"]) for item in found] == [("queued", "public words"), ("dead", "")]
        assert "heron" not in str(found)
        (dead,) = (await client.get("/api/tasks", params={"everybody": "1", "dead": "1"})).json()["items"]
        assert dead["error"]["message"] == "The model did not answer."
        again = await client.post(f"/api/tasks/{dead['id']}/retry")
        assert (again.status_code, again.json()["state"]) == (200, "queued")
        assert "heron" not in again.text
    async with world.client(world.other) as client:
        error_of(await client.get("/api/tasks", params={"everybody": "1"}), 403)
        (mine,) = (await client.get("/api/tasks")).json()["items"]
        assert mine["asked"] == "my secret heron"
