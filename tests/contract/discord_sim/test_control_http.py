"""The control over HTTP, as pages and other processes use it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from antiphon.sim.discord import DiscordSim
from tests.contract.discord_sim.raw import identify, raw


class Page:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.get(f"{self.url}/{path}", **options) as response:
            return response.status, await response.json()

    async def do(self, action: str, **fields: Any) -> tuple[int, Any]:
        async with self.http.post(f"{self.url}/do/{action}", json=fields) as response:
            return response.status, await response.json()


@pytest_asyncio.fixture
async def page(discord_sim: DiscordSim) -> AsyncIterator[Page]:
    url = await discord_sim.serve_control()
    async with aiohttp.ClientSession() as http:
        yield Page(http, url)


async def test_people_are_played_and_changes_are_streamed(discord_sim: DiscordSim, page: Page) -> None:
    async with page.http.get(f"{page.url}/events") as stream:
        await stream.content.readuntil(b"\n\n")
        status, body = await page.do(
            "send",
            user="ada",
            channel="general",
            text="hi",
            files=[{"name": "a.txt", "base64": base64.b64encode(b"x").decode()}],
        )
        assert (status, body["result"]["content"]) == (200, "hi")
        number, line, _ = (await stream.content.readuntil(b"\n\n")).split(b"\n", 2)
        event = json.loads(line.removeprefix(b"data: "))
        assert (event["event"], event["data"]["author"]["username"]) == ("MESSAGE_CREATE", "ada")
    await page.do("react", user="ben", message=body["result"]["id"], emoji="👍")
    last = number.removeprefix(b"id: ").decode()
    async with page.http.get(f"{page.url}/events", headers={"Last-Event-ID": last}) as stream:
        await stream.content.readuntil(b"\n\n")
        assert b"MESSAGE_REACTION_ADD" in await stream.content.readuntil(b"\n\n")
    _, listed = await page.get("channels/general/messages?as=ada")
    assert [message["reactions"][0]["count"] for message in listed["items"]] == [1]
    _, world = await page.get("world")
    assert {member["user"]["username"] for member in world["servers"][0]["members"]} == {
        "olive",
        "ada",
        "ben",
        "mona",
        "Antiphon",
    }


async def test_interactions_are_waited_for(discord_sim: DiscordSim, page: Page) -> None:
    body = [{"name": "ping", "description": "answers", "type": 1}]
    headers = {"Authorization": f"Bot {discord_sim.token}", "User-Agent": "DiscordBot (https://example.org, 1)"}
    api = "https://discord.com/api/v10"
    bot = discord_sim.control.bot.id
    async with (
        aiohttp.ClientSession(connector=discord_sim.connector(), headers=headers) as http,
        raw(discord_sim) as client,
    ):
        assert (await http.put(f"{api}/applications/{bot}/commands", json=body)).status == 200
        await client.send(2, identify(discord_sim))
        await client.expect("GUILD_CREATE")
        _, found = await page.do("commands", user="ada", channel="general")
        assert [command["name"] for command in found["result"]] == ["ping"]
        asked = asyncio.create_task(page.do("slash", user="ada", channel="general", command="ping", wait=5))
        data = (await client.expect("INTERACTION_CREATE"))["d"]
        answer = {"type": 4, "data": {"content": "pong", "flags": 64}}
        await http.post(f"{api}/interactions/{data['id']}/{data['token']}/callback", json=answer)
        _, outcome = await asked
        assert (outcome["result"]["state"], outcome["result"]["message"]["content"]) == ("answered", "pong")
        for name, count in (("ada", 1), ("ben", 0)):
            _, listed = await page.get(f"channels/general/messages?as={name}")
            assert len(listed["items"]) == count


@pytest.mark.parametrize(
    ("action", "fields", "status", "code"),
    [
        ("nothing", {}, 404, "unknown"),
        ("send", {"user": "nobody", "channel": "general"}, 404, "unknown"),
        ("send", {"user": "ada"}, 422, "invalid"),
        ("send", {"user": "ada", "channel": "general", "text": 5}, 422, "invalid"),
        ("send", {"user": "ada", "channel": "general"}, 400, "refused"),
        ("fault", {"kind": "flood"}, 422, "invalid"),
        ("slash", {"user": "ada", "channel": "general", "command": "no"}, 404, "refused"),
    ],
)
async def test_wrong_requests_say_what_is_wrong(
    page: Page, action: str, fields: dict[str, Any], status: int, code: str
) -> None:
    got, body = await page.do(action, **fields)
    assert (got, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]


async def test_control_is_closed_to_others(page: Page) -> None:
    for url, headers, status in (
        (f"{page.url}/world", {"Host": "evil.example"}, 421),
        (f"{page.url}/world", {"Origin": "https://evil.example"}, 403),
        (page.url.rsplit("/", 1)[0] + "/world", {}, 404),
        (f"{page.url}/world", {"Origin": "http://127.0.0.1:8000"}, 200),
    ):
        async with page.http.get(url, headers=headers) as response:
            assert response.status == status


async def test_faults_time_and_log(discord_sim: DiscordSim, page: Page) -> None:
    await page.do("fault", kind="refuse_identify", settings={})
    await page.do("advance", seconds=60)
    async with raw(discord_sim) as client:
        await client.send(2, identify(discord_sim))
        assert (await client.expect(9))["d"] is False
    _, log = await page.get("log?kind=fault")
    assert [entry["fault"] for entry in log["items"]] == ["refuse_identify"]


async def test_limits_are_changed_while_it_runs(discord_sim: DiscordSim, page: Page) -> None:
    status, _ = await page.do("limits", values={"routes": {"GET /users/@me": [1, 60]}, "identify_every": 1})
    assert (status, discord_sim.limits.identify_every) == (200, 1.0)
    headers = {"Authorization": f"Bot {discord_sim.token}", "User-Agent": "DiscordBot (https://example.org, 1)"}
    async with aiohttp.ClientSession(connector=discord_sim.connector(), headers=headers) as http:
        url = "https://discord.com/api/v10/users/@me"
        assert [(await http.get(url)).status for _ in range(2)] == [200, 429]
        await page.do("limits", values={"routes": {}})
        discord_sim.control.fault("slow_answer", seconds=0.05)
        assert (await http.get(url)).status == 200
    assert (await page.do("limits", values={"speed": 1}))[0] == 422
