"""Reminders over the API: made once or repeating, changed and refused, always one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api_world import World
from tests.integration.test_api_messages import error_of


def _in(**length: float) -> str:
    return (datetime.now(UTC) + timedelta(**length)).isoformat(timespec="seconds").replace("+00:00", "Z")


async def _made(world: World, **fields: Any) -> dict[str, Any]:
    await world.say(world.owner, "web:x", "hello", id="hello")
    async with world.client(world.owner) as client:
        answer = await client.post(
            "/api/reminders", json={"channel": "web:x", "text": "stretch", "due_at": _in(hours=2), **fields}
        )
        assert answer.status_code == 201, answer.text
        return answer.json()


async def test_a_reminder_is_made_once_per_id(world: World) -> None:
    first = await _made(world, id="mine-1")
    assert (await _made(world, id="mine-1", text="other"))["id"] == first["id"]
    assert (first["state"], first["text"], first["repeats"], first["fired_at"]) == ("pending", "stretch", None, None)
    async with world.client(world.owner) as client:
        assert [item["id"] for item in (await client.get("/api/reminders")).json()["items"]] == [first["id"]]


async def test_a_repeating_one_keeps_its_hour_in_another_zone_and_can_stop_repeating(world: World) -> None:
    made = await _made(world, due_at="2030-01-07T09:00:00+01:00", rule="freq=weekly;byday=MO", timezone="Europe/Berlin")
    assert made["due_at"] == "2030-01-07T08:00:00.000Z"
    assert made["repeats"] == {
        "rule": "FREQ=WEEKLY;BYDAY=MO",
        "timezone": "Europe/Berlin",
        "words": "every Monday at 09:00",
    }
    async with world.client(world.owner) as client:
        address = f"/api/reminders/{made['id']}"
        moved = (await client.patch(address, json={"timezone": "America/New_York"})).json()
        assert (moved["due_at"], moved["repeats"]["words"]) == ("2030-01-07T14:00:00.000Z", "every Monday at 09:00")
        daily = (await client.patch(address, json={"rule": "FREQ=DAILY", "text": "run"})).json()
        assert (daily["text"], daily["repeats"]["words"]) == ("run", "every day at 09:00")
        once = (await client.patch(address, json={"rule": "", "due_at": _in(hours=1)})).json()
        assert once["repeats"] is None
        assert (await client.delete(address)).json()["state"] == "cancelled"
        error_of(await client.patch(address, json={"text": "late"}), 404)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"due_at": "tomorrow"}, "due_at"),
        ({"due_at": "2030-01-01T09:00:00"}, "due_at"),
        ({"due_at": 5}, "due_at"),
        ({"due_at": "2001-01-01T09:00:00Z"}, "due_at"),
        ({"due_at": "2099-01-01T09:00:00Z"}, "due_at"),
        ({"rule": "every day"}, "rule"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
        ({"rule": "FREQ=DAILY;UNTIL=20200101"}, "rule"),
        ({"rule": "FREQ=DAILY", "timezone": "Mars/Base"}, "timezone"),
        ({"rule": "FREQ=DAILY", "timezone": "../../etc/passwd"}, "timezone"),
        ({"person": "1"}, "person"),
    ],
)
async def test_what_is_not_taken_is_named(world: World, fields: dict[str, Any], wrong: str) -> None:
    await world.say(world.owner, "web:x", "hello")
    body = {"channel": "web:x", "due_at": "2030-01-01T09:00:00Z", **fields}
    async with world.client(world.owner) as client:
        assert wrong in error_of(await client.post("/api/reminders", json=body), 422)["fields"]
        assert (await client.get("/api/reminders")).json()["items"] == []


async def test_nobody_reminds_or_changes_in_anothers_name(world: World) -> None:
    made = await _made(world)
    async with world.client(world.other) as client:
        refused = await client.post("/api/reminders", json={"channel": "web:x", "due_at": _in(hours=1)})
        assert error_of(refused, 422)["fields"] == {"channel": "no such conversation"}
        error_of(await client.patch(f"/api/reminders/{made['id']}", json={"text": "theirs"}), 404)
        error_of(await client.delete(f"/api/reminders/{made['id']}"), 404)
