"""Playing people in the simulated server of the demo: what the page asks, and that it is only there in a demo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from antiphon.api.asgi import build_asgi
from antiphon.config import Settings
from antiphon.domain.health import PartState
from antiphon.run.demo import LOG_CHANNEL, Stage, a_stage
from antiphon.run.probes.trials import Trials
from antiphon.sim.discord import DiscordSim
from tests.integration.api_world import World
from tests.integration.discord_world import DiscordWorld, connected, running
from tests.integration.test_api_messages import error_of
from tests.integration.test_api_schema import description, matches
from tests.integration.test_api_watch import stream


@dataclass
class Demo:
    """The API with a simulated server behind it, and what speaks to both."""

    world: World
    sim: DiscordSim
    stage: Stage
    client: httpx.AsyncClient
    document: dict[str, Any]

    async def post(self, what: str, status: int = 204, **body: Any) -> Any:
        answer = await self.client.post(f"/api/demo/{what}", json=body)
        assert answer.status_code == status, answer.text
        matches(self.document, answer, "POST", f"/api/demo/{what}")
        return answer.json() if answer.content else None

    async def scene(self, channel: str = "") -> dict[str, Any]:
        answer = await self.client.get("/api/demo", params={"channel": channel})
        assert answer.status_code == 200
        matches(self.document, answer, "GET", "/api/demo")
        return answer.json()

    def id(self, name: str) -> str:
        return str(self.sim.control.user(name).id)

    def channel(self, name: str) -> str:
        return str(self.sim.control.channel(name).id)


@pytest.fixture
async def demo(world: World) -> AsyncIterator[Demo]:
    async with DiscordSim() as sim:
        stage = Stage(sim)
        services = replace(world.services, demo=stage)
        world.api = build_asgi(services)
        async with world.client(world.owner) as client:
            yield Demo(world, sim, stage, client, await description(world, {}))
        await world.api.aclose()


async def test_played_people_talk_and_the_page_sees_it_as_discord_shows_it(demo: Demo) -> None:
    scene = await demo.scene()
    assert (scene["server"]["name"], scene["bot"]["name"]) == ("Rehearsal room", "Antiphon")
    assert [one["name"] for one in scene["people"]] == ["Olive", "Ada", "Ben", "Mona"]
    assert {one["kind"] for one in scene["channels"]} == {"text", "voice", "forum"}
    general = demo.channel("general")
    await demo.post("say", person=demo.id("ada"), channel=general, text="hello @ben, see #random <b>now</b>")
    (message,) = (await demo.scene(general))["channel"]["messages"]
    assert (message["author"], message["bot"]) == ("Ada", False)
    assert message["text"] == "hello @Ben, see #random <b>now</b>"
    sent = next(iter(demo.sim.control.channel("general").messages.values()))
    assert [one.name for one in sent.mentions] == ["ben"]


async def test_people_come_enter_voice_and_leave_again(demo: Demo) -> None:
    guest = (await demo.post("people", 201, name="Ingo"))["id"]
    lounge = demo.channel("Lounge")
    await demo.post("voice", person=guest, channel=lounge)
    scene = await demo.scene()
    assert next(one for one in scene["channels"] if one["id"] == lounge)["inside"] == ["Ingo"]
    assert next(one for one in scene["people"] if one["id"] == guest)["voice"] == "Lounge"
    await demo.post("voice", person=guest, channel="")
    assert next(one for one in (await demo.scene())["channels"] if one["id"] == lounge)["inside"] == []


@pytest.mark.parametrize(
    ("what", "status", "body"),
    [
        ("say", 404, {"person": "1", "channel": "general", "text": "x"}),
        ("say", 404, {"person": "ada", "channel": "1", "text": "x"}),
        ("say", 422, {"person": "ada", "channel": "general", "text": ""}),
        ("say", 422, {"person": "ada", "channel": "general", "text": "/nonsense"}),
        ("say", 422, {"person": "ada", "channel": "general", "text": "x" * 2001}),
        ("press", 404, {"person": "ada", "message": "1", "button": "x"}),
        ("form", 404, {"person": "ada", "values": {}}),
        ("voice", 404, {"person": "ada", "channel": "1"}),
        ("people", 422, {"name": "no blanks"}),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    demo: Demo, what: str, status: int, body: dict[str, Any]
) -> None:
    given = dict(body)
    if given.get("person") == "ada":
        given["person"] = demo.id("ada")
    if given.get("channel") == "general":
        given["channel"] = demo.channel("general")
    await demo.post(what, status, **given)


async def test_the_server_stays_small(demo: Demo) -> None:
    for number in range(20):
        answer = await demo.client.post("/api/demo/people", json={"name": f"guest{number}"})
        if answer.status_code == 422:
            break
    assert number < 12
    assert "small" in answer.json()["error"]["message"]


async def test_only_operators_play_and_the_scene_comes_live(demo: Demo) -> None:
    async with demo.world.client(demo.world.other) as client:
        error_of(await client.get("/api/demo"), 403)
    async with demo.world.served() as base:
        (scene,) = await stream(base, demo.world.owner, "/api/demo/stream", 1)
    assert scene["server"]["name"] == "Rehearsal room"  # type: ignore[index]


async def test_the_product_answers_there_with_commands_buttons_and_forms(sqlite_settings: Settings) -> None:
    async with a_stage(sqlite_settings) as (settings, extras):
        stage = extras.demo
        assert isinstance(stage, Stage)
        assert settings.discord.loopback > 0
        tried = await Trials(lambda: settings, asyncio.Event().wait).run("discord", {})
        assert (tried.state, tried.remedy) == (PartState.OK, "")
        async with running(settings, extras=extras) as antiphon:
            assert "?next=/demo" in await antiphon.announcement("http://127.0.0.1")
            sim = stage._sim
            world = DiscordWorld(sim, antiphon, settings)
            await connected(world)
            olive, general = str(sim.control.user("olive").id), str(sim.control.channel("general").id)
            stage.say(olive, general, "@Antiphon what is 6 * 7?")
            await world.replied()
            await sim.control.wait_for(lambda: stage.scene(general)["commands"])
            stage.say(olive, general, "/ask what is 6 * 111")
            await sim.control.wait_for(lambda: "666" in str(stage.scene(general)["channel"]["messages"]), 15)
            await sim.control.wait_for(lambda: LOG_CHANNEL in str(stage.scene("")["channels"]), 15)
            lounge = str(sim.control.channel("Lounge").id)
            stage.voice(olive, lounge, speaking=False)
            stage.say(olive, general, "/join")
            await world.until(lambda: antiphon.board.panel("voice").status == "connected")
            stage.voice(olive, lounge, speaking=True)
            await world.until(lambda: "speaking" in [row.badge for row in antiphon.board.panel("voice").rows])
            place = str(sim.control.channel(LOG_CHANNEL).id)
            await sim.control.wait_for(lambda: len(stage.scene(place)["channel"]["messages"]) == 5, 15)
            logs = stage.scene(place)["channel"]["messages"][1]
            search = next(one for row in logs["buttons"] for one in row if one["label"] == "Search")
            stage.press(olive, logs["id"], search["id"])
            await sim.control.wait_for(lambda: stage.shown_form(olive))
            form = stage.shown_form(olive)
            assert form is not None
            stage.fill_in(olive, {form["fields"][0]["id"]: "nothing like it"})
            await sim.control.wait_for(
                lambda: "No line fits" in str(stage.scene(place)["channel"]["messages"][1]["embeds"])
            )
