"""Exporting and importing a thread over the API."""

from __future__ import annotations

from tests.integration.api_world import World, both_engines
from tests.integration.test_api_messages import error_of


@both_engines
async def test_a_thread_is_exported_and_imported_by_its_person(world: World) -> None:
    receipt = await world.say(world.owner, "web:x", "heron")
    async with world.client(world.owner) as client:
        error_of(await client.get(f"/api/threads/{receipt['thread']}/export"), 409)
        await world.answer("a bird")
        exported = await client.get(f"/api/threads/{receipt['thread']}/export")
        assert exported.status_code == 200
        assert exported.headers["content-disposition"] == f'attachment; filename="thread-{receipt["thread"]}.json"'
    async with world.client(world.other) as client:
        error_of(await client.get(f"/api/threads/{receipt['thread']}/export"), 404)
        first = await client.post("/api/threads/import", json=exported.json())
        assert (first.status_code, first.json()["messages"]) == (201, 2)
        again = await client.post("/api/threads/import", json=exported.json())
        assert (again.status_code, again.json()["thread"]) == (200, first.json()["thread"])
        said = (await client.get(f"/api/channels/{first.json()['channel']}/messages")).json()["items"]
        assert [(item["author"], item["text"]) for item in said] == [("agent", "a bird"), ("person", "heron")]
        assert said[0]["task"] == said[1]["task"]
        (task,) = (await client.get("/api/tasks")).json()["items"]
        assert (task["state"], task["reply"]) == ("done", "a bird")


async def test_what_is_no_thread_is_refused_with_its_place(world: World) -> None:
    receipt = await world.say(world.owner, "web:x", "heron")
    await world.answer("a bird")
    async with world.client(world.owner) as client:
        document = (await client.get(f"/api/threads/{receipt['thread']}/export")).json()
        document["messages"][0]["role"] = "owner"
        wrong = error_of(await client.post("/api/threads/import", json=document), 422)
        assert list(wrong["fields"]) == ["messages[0].role"]
        error_of(
            await client.post("/api/threads/import", content=b"{", headers={"Content-Type": "application/json"}), 400
        )
        error_of(await client.post("/api/threads/import", content=b"{}", headers={"Content-Type": "text/plain"}), 415)
        assert [item["key"] for item in (await client.get("/api/channels")).json()["items"]] == ["web:x"]


async def test_a_file_may_be_larger_than_other_bodies_but_not_endless(world: World) -> None:
    limits = world.settings.limits
    async with world.client(world.owner) as client:
        large = b'"' + b"x" * (limits.body_bytes + 1000) + b'"'
        as_json = {"Content-Type": "application/json"}
        error_of(await client.post("/api/threads/import", content=large, headers=as_json), 422)
        error_of(await client.post("/api/me", content=large, headers=as_json), 413)
        endless = b'"' + b"x" * limits.thread_file_bytes + b'"'
        error_of(await client.post("/api/threads/import", content=endless, headers=as_json), 413)
