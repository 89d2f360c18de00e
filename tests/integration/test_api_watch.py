"""What operators watch: the log and the events of the bus, listed and live, and nobody else does."""

from __future__ import annotations

import json

import httpx

from antiphon.domain.identity import Role
from antiphon.telemetry.recent import LogLine
from tests.integration.api_world import Someone, World
from tests.integration.test_api_messages import error_of


def written(world: World, level: str, event: str, **keys: object) -> None:
    world.services.watched.lines.add(LogLine("2026-01-01T00:00:00Z", level, "antiphon.test", event, keys))


async def test_the_last_lines_are_listed_and_filtered_newest_first(world: World) -> None:
    for number in range(3):
        written(world, "info", f"counted.{number}")
    written(world, "error", "broke.down", reason="the disk")
    async with world.client(world.owner) as client:

        async def events(**query: str) -> list[str]:
            return [line["event"] for line in (await client.get("/api/logs", params=query)).json()["items"]]

        assert await events() == ["broke.down", "counted.2", "counted.1", "counted.0"]
        assert await events(level="warning") == ["broke.down"]
        assert await events(q="THE DISK") == ["broke.down"]
        first = (await client.get("/api/logs", params={"limit": "2"})).json()
        assert await events(cursor=first["next"]) == ["counted.1", "counted.0"]
        assert "level" in error_of(await client.get("/api/logs", params={"level": "loud"}), 422)["fields"]


async def stream(base: str, who: Someone, path: str, wanted: int) -> list[dict[str, object]]:
    """The first `wanted` entries of a stream."""
    found: list[dict[str, object]] = []
    async with (
        httpx.AsyncClient(base_url=f"http://{base}", headers=who.bearer, timeout=10, trust_env=False) as client,
        client.stream("GET", path) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
            if len(found) == wanted:
                return found
    return found


async def test_both_streams_bring_what_was_kept_and_resume_where_they_were_left(world: World) -> None:
    written(world, "info", "first")
    written(world, "info", "second")
    async with world.served() as base:
        lines = await stream(base, world.owner, "/api/logs/stream", 2)
        assert [line["event"] for line in lines] == ["first", "second"]
        (second,) = await stream(base, world.owner, f"/api/logs/stream?after={lines[0]['id']}", 1)
        assert second["event"] == "second"


async def test_events_are_shown_without_the_words_of_people(world: World) -> None:
    for event in ("turn.started", "text.delta", "reply"):
        await world.publish("web:theirs", event, text="a secret heron")
    async with world.client(world.owner) as client:
        answer = await client.get("/api/events")
    assert [event["name"] for event in answer.json()["items"]] == ["reply", "turn.started"]
    assert answer.json()["items"][0]["topic"] == "turn.web:theirs"
    assert "heron" not in answer.text


async def test_only_operators_watch(world: World) -> None:
    _, secret = await world.stores.keys.create("all", ["chat", "admin", "metrics"], world.other.person)
    operator = await world.stores.users.create("operator", Role.OPERATOR)
    _, good = await world.stores.keys.create("all", ["chat", "admin"], operator.person)
    for path in ("/api/logs", "/api/logs/stream", "/api/events", "/api/events/stream"):
        async with world.client(world.other) as client:
            error_of(await client.get(path), 403)
        async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
            error_of(await client.get(path), 403)
    async with world.client(headers={"Authorization": f"Bearer {good}"}) as client:
        assert (await client.get("/api/logs")).status_code == 200
