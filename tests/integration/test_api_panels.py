"""The dashboard's panels over HTTP: who sees which, filtered, paged, searched, and live."""

from __future__ import annotations

import asyncio
from typing import Any

from antiphon.domain.events import DISCORD_GATEWAY, DISCORD_SERVER, DISCORD_VOICE
from antiphon.telemetry.recent import LogLine
from tests.integration.api_world import World
from tests.integration.test_api_messages import error_of
from tests.integration.test_api_watch import stream


async def joined(world: World, name: str, server: str = "1") -> None:
    empty = dict.fromkeys(("channel", "place", "person", "detail"), "")
    event = {"event": "GUILD_MEMBER_ADD", "server": server, "name": name, **empty}
    await world.bus.publish(DISCORD_GATEWAY, "gateway", event)


async def somebody_speaks(world: World) -> None:
    speaker = {"ssrc": 7, "user": "5", "name": "mara", "speaking": True, "speaking_ms": 2000}
    fields: dict[str, Any] = {"channel": "9", "place": "Quay", "state": "connected", "since": None}
    await world.bus.publish(DISCORD_VOICE, "voice", {"server": "1", **fields, "speakers": [speaker]})


async def test_the_dashboard_works_without_discord_and_says_so(world: World) -> None:
    async with world.client(world.owner) as client:
        found = (await client.get("/api/panels")).json()
    assert (found["connected"], found["servers"], found["next"]) == (False, [], None)
    assert [panel["name"] for panel in found["items"]] == ["server", "logs", "events", "messages", "voice"]
    server = found["items"][0]
    assert (server["tone"], server["status"]) == ("off", "not connected")
    assert {cell["value"] for cell in server["stats"]} == {None}


async def test_members_see_how_things_are_and_not_who_did_what(world: World) -> None:
    await joined(world, "mara")
    await somebody_speaks(world)
    async with world.client(world.other) as client:
        found = (await client.get("/api/panels")).json()
        assert [panel["name"] for panel in found["items"]] == ["server", "messages", "voice"]
        assert found["items"][2]["status"] == "connected"
        for name in ("logs", "events"):
            error_of(await client.get(f"/api/panels/{name}"), 404)
        text = (await client.get("/api/panels")).text + (await client.get("/api/panels/voice")).text
    assert "mara" not in text
    async with world.client(world.owner) as client:
        assert "mara" in (await client.get("/api/panels/voice")).text
        assert "mara joined" in (await client.get("/api/panels/events")).text


async def test_a_panel_is_filtered_searched_and_paged(world: World) -> None:
    for number in range(20):
        await joined(world, f"guest{number}")
    broke = LogLine("2026-01-01T00:00:00Z", "error", "antiphon.x", "broke.down", {"why": "disk"})
    world.services.watched.lines.add(broke)
    async with world.client(world.owner) as client:

        async def panel(name: str, **query: str) -> dict[str, Any]:
            return (await client.get(f"/api/panels/{name}", params=query)).json()

        second = await panel("events", page="2")
        assert (second["page"], second["pages"], second["total"]) == (2, 3, 20)
        assert [row["text"] for row in (await panel("events", q="guest7"))["rows"]] == ["guest7 joined"]
        assert (await panel("events", filter="messages"))["total"] == 0
        assert (await panel("events", page="999"))["page"] == 3
        assert (await panel("logs", filter="error", q="DISK"))["rows"][0]["text"] == "broke.down why=disk"
        for query in ({"page": "0"}, {"page": "x"}, {"page": "9" * 9}, {"q": "x" * 201}, {"server": "x" * 41}):
            error_of(await client.get("/api/panels/events", params=query), 422)
        error_of(await client.get("/api/panels/weather"), 404)


async def test_a_server_is_chosen_and_an_unknown_one_is_empty_and_leaves_nothing_behind(world: World) -> None:
    facts: dict[str, Any] = {"icon": "", "owner": "7", "boost_level": 0, "boosts": 0, "features": [], "members": 3}
    await world.bus.publish(
        DISCORD_SERVER, "server", {"server": "1", "name": "Harbour", **facts, "online": None, "channels": 1, "roles": 1}
    )
    await joined(world, "mara")
    async with world.client(world.owner) as client:
        assert (await client.get("/api/panels")).json()["servers"] == [{"id": "1", "name": "Harbour"}]
        here = (await client.get("/api/panels/events", params={"server": "1"})).json()
        elsewhere = (await client.get("/api/panels/events", params={"server": "2"})).json()
    assert (here["total"], elsewhere["total"]) == (1, 0)


async def test_panels_come_live_and_again_only_when_they_changed(world: World) -> None:
    async with world.served() as base:
        first = await stream(base, world.owner, "/api/panels/stream", 5)
        assert [panel["name"] for panel in first] == ["server", "logs", "events", "messages", "voice"]
        members = await stream(base, world.other, "/api/panels/stream", 3)
        assert [panel["name"] for panel in members] == ["server", "messages", "voice"]

        async def later() -> None:
            await asyncio.sleep(0.3)
            await joined(world, "mara")

        joining = asyncio.create_task(later())
        six = await stream(base, world.owner, "/api/panels/stream", 6)
        await joining
    assert six[5]["name"] == "events"
    assert six[5]["rows"][0]["text"] == "mara joined"  # type: ignore[index]
