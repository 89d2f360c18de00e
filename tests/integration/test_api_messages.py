"""Saying something over HTTP: accepted once, owned by whoever began the conversation, never lost to bad input."""

from __future__ import annotations

from tests.fixtures_api import World


async def test_a_message_is_accepted_and_the_same_id_again_gives_the_same_numbers(world: World) -> None:
    async with world.client(world.owner) as client:
        first = await client.post("/api/channels/api:desk/messages", json={"text": "hello", "id": "m-1"})
        again = await client.post("/api/channels/api:desk/messages", json={"text": "hello", "id": "m-1"})
    assert first.status_code == 202
    assert set(first.json()) == {"task", "message", "thread"}
    assert again.status_code == 200
    assert again.json() == first.json()
