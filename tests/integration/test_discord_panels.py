"""The five panels on the simulated Discord, with the real library and program: posted, edited, pressed, kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from antiphon.config import Settings
from antiphon.sim.discord import DiscordSim
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.world.messages import Message
from antiphon.telemetry import metrics
from tests.integration.discord_world import DiscordWorld, discord_world

NAME = "antiphon-log"
TITLES = ["Server", "Logs", "Events", "Messages", "Voice"]


@pytest.fixture
async def sim() -> AsyncIterator[DiscordSim]:
    async with DiscordSim() as running:
        yield running


def quick(settings: Settings) -> Settings:
    """Panels that are edited as often as is allowed at all."""
    return settings.model_copy(update={"dashboards": settings.dashboards.model_copy(update={"interval_seconds": 2.0})})


@pytest.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(quick(sqlite_settings), sim, log_channel=NAME) as running:
        await posted(running)
        yield running


def panels(sim: DiscordSim) -> dict[str, Message]:
    """The panels that stand in the log channel, by title; a second one of a title is an error."""
    try:
        messages = sim.control.replies(NAME)
    except LookupError:
        return {}
    titles = [message.embeds[0]["title"].partition(" · ")[0] for message in messages if message.embeds]
    assert len(titles) == len(set(titles)), "no panel twice"
    return dict(zip(titles, messages, strict=True))


async def posted(world: DiscordWorld) -> dict[str, Message]:
    return await world.sim.control.wait_for(lambda: found if len(found := panels(world.sim)) == 5 else None, 15)


def says(message: Message) -> str:
    embed: dict[str, Any] = message.embeds[0]
    return " ".join([embed["title"], embed["description"], *(one["value"] for one in embed.get("fields", ()))])


async def told(world: DiscordWorld, title: str, words: str) -> Message:
    """Wait until a panel says something."""
    return await world.sim.control.wait_for(
        lambda: found if (found := panels(world.sim).get(title)) and words in says(found) else None, 15
    )


async def test_five_panels_stand_in_a_channel_only_administrators_see_and_follow_what_happens(
    world: DiscordWorld,
) -> None:
    assert list(panels(world.sim)) == TITLES
    channel = world.sim.control.channel(NAME)
    for name, sees in (("ada", False), ("olive", True)):
        may = world.sim.world.permissions(channel, world.sim.control.user(name).user)
        assert bool(may & P.VIEW_CHANNEL) is sees
    before = {title: message.id for title, message in panels(world.sim).items()}
    world.ada.send("general", f"{world.bot} what is 6 * 7?")
    await told(world, "Events", "Ada wrote in \\#general")
    messages = await told(world, "Messages", "**Edited** 0")
    await world.sim.control.wait_for(lambda: messages.embeds[0]["fields"][1]["value"] == "1")
    await told(world, "Server", "connected")
    assert {title: message.id for title, message in panels(world.sim).items()} == before, "edited in place"
    counted = metrics.REGISTRY.get_sample_value("antiphon_dashboard_updates_total", {"panel": "events"})
    assert counted is not None
    assert world.refused() == []


async def test_a_restart_finds_the_panels_and_in_between_they_say_offline(
    sim: DiscordSim, sqlite_settings: Settings
) -> None:
    async with discord_world(sqlite_settings, sim, log_channel=NAME) as first:
        before = {title: message.id for title, message in (await posted(first)).items()}
    assert all("offline" in says(message) for message in panels(sim).values())
    assert all(message.components == [] for message in panels(sim).values())
    async with discord_world(quick(sqlite_settings), sim, log_channel=NAME) as second:
        await told(second, "Server", "connected")
        await sim.control.wait_for(lambda: not any("offline" in says(one) for one in panels(sim).values()))
        assert {title: message.id for title, message in panels(sim).items()} == before
        assert second.refused() == []


async def test_changed_settings_say_offline_before_the_bot_goes(world: DiscordWorld) -> None:
    without = world.settings.discord.model_copy(update={"token": SecretStr("")})
    await world.antiphon.discord.replace(world.settings.model_copy(update={"discord": without}))
    assert all("offline" in says(message) for message in panels(world.sim).values())
    assert not world.sim.control.connected


async def test_those_who_manage_the_server_choose_what_a_panel_shows(world: DiscordWorld) -> None:
    sim, olive = world.sim, world.sim.control.user("olive")
    sim.control.permit(NAME, sim.control.user("ada").user, allow=int(P.VIEW_CHANNEL))
    for number in range(12):
        sim.control.create_user(f"guest{number}")
    events = await told(world, "Events", "Guest11")
    olive.press(events, olive.button(events, "Older ▶"))
    await sim.control.wait_for(lambda: "page 2 of" in events.embeds[0]["footer"]["text"])
    olive.press(events, olive.button(events, "People"))
    await sim.control.wait_for(lambda: "joined" in says(events) and "Antiphon" not in says(events))

    refused = world.ada.press(events, world.ada.button(events, "All"))
    answer = await sim.control.answered(refused)
    assert "manage the server" in answer.content
    assert answer.visible_to == world.ada.id

    shown = olive.press(events, olive.button(events, "Search"))
    await sim.control.modal(shown)
    olive.submit(shown, {"words": "guest7"})
    await sim.control.wait_for(lambda: says(events).count("joined") == 1)
    sim.control.create_user("guest70")
    await sim.control.wait_for(lambda: says(events).count("joined") == 2, 15)
    olive.press(events, olive.button(events, "Show all"))
    await sim.control.wait_for(lambda: says(events).count("joined") > 2)


async def test_a_panel_or_the_whole_channel_that_was_deleted_comes_back(world: DiscordWorld) -> None:
    sim, olive = world.sim, world.sim.control.user("olive")
    olive.delete(panels(sim)["Events"])
    sim.control.create_user("guest")
    await told(world, "Events", "Guest")
    sim.control.delete_channel(NAME)
    sim.control.create_user("another")
    await told(world, "Events", "Another")
    assert list(await posted(world)) == TITLES


async def test_a_storm_stays_inside_of_discords_budget(world: DiscordWorld) -> None:
    """Real time, real library, real limits of the simulated server: not one answer is 429."""
    sim = world.sim
    began = sim.control.log()[-1]["n"]
    await sim.control.storm("random", rate=400, seconds=4)
    await told(world, "Messages", "Messages")
    edits = [
        entry
        for entry in sim.control.log("rest", after=began)
        if str(entry.get("route")).startswith("PATCH") and "messages" in str(entry.get("route"))
    ]
    assert 1 <= len(edits) <= 5 * 3
    assert world.refused() == []
