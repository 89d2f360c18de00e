"""The accounts over the API: a member's own, everybody's for operators, and what has no price is said."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from antiphon.domain.work import Outcome, TaskState, Usage
from tests.integration.api_world import Someone, World
from tests.integration.test_api_messages import error_of


async def _turn(world: World, who: Someone, channel: str, model: str, cost: float) -> None:
    await world.say(who, channel, "hello")
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    usage = Usage(input_tokens=100, output_tokens=20, cost=cost, seconds=1.5, model=model)
    await world.stores.tasks.finish(work.lease, Outcome(TaskState.DONE, "hi", ("hi",), usage=usage))


async def test_members_see_their_own_and_operators_everybodys(world: World) -> None:
    await _turn(world, world.owner, "web:a", "small", 0.5)
    await _turn(world, world.other, "web:b", "strange", 0.0)
    async with world.client(world.owner) as client:
        everybody = (await client.get("/api/usage?by=person")).json()
        assert {item["key"] for item in everybody["items"]} == {str(world.owner.person), str(world.other.person)}
        assert everybody["unpriced"] == ["small", "strange"]
        total = everybody["total"]
        assert (total["turns"], total["input_tokens"], total["output_tokens"], total["cost"], total["seconds"]) == (
            2,
            200,
            40,
            0.5,
            3.0,
        )
        mine = (await client.get("/api/usage?by=model&person=me")).json()
        assert [item["key"] for item in mine["items"]] == ["small"]
    async with world.client(world.other) as client:
        own = (await client.get("/api/usage?days=1&by=day")).json()
        assert [(item["turns"], item["cost"]) for item in own["items"]] == [(1, 0.0)]
        assert [item["key"] for item in (await client.get("/api/usage?by=person")).json()["items"]] == [
            str(world.other.person)
        ]
        assert own["unpriced"] == ["strange"]


async def test_days_are_those_of_the_persons_zone(world: World) -> None:
    await _turn(world, world.owner, "web:a", "small", 0.5)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours apart: never the same day
        await world.stores.people.set_preferences(world.owner.person, timezone=zone)
        async with world.client(world.owner) as client:
            table = (await client.get("/api/usage?days=1&by=day")).json()
        today = datetime.now(ZoneInfo(zone)).date().isoformat()
        assert (table["timezone"], table["today"]) == (zone, today)
        assert [(item["key"], item["turns"]) for item in table["items"]] == [(today, 1)]


@pytest.mark.parametrize("query", ["days=0", "days=-1", "days=367", "days=x", "days=\u00b2", "by=colour", "person=1"])
async def test_what_is_not_taken_is_named(world: World, query: str) -> None:
    async with world.client(world.owner) as client:
        assert query.partition("=")[0] in error_of(await client.get(f"/api/usage?{query}"), 422)["fields"]
