"""Each command on Discord both ways: as a slash command and written with the prefix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from antiphon.config import Settings
from antiphon.dashboards.panel import View
from antiphon.domain.approvals import ApprovalState
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.memories import MemoryScope
from antiphon.sim.discord import DiscordSim
from tests.integration.discord_world import DiscordWorld, discord_world


@pytest_asyncio.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(sqlite_settings, sim) as running:
        await running.until(lambda: sim.control.bot.commands)
        await asyncio.sleep(0.3)
        yield running


async def slash(world: DiscordWorld, name: str, values: dict[str, Any] | None = None, *, by: str = "ada") -> str:
    """Use a slash command in general; what its caller sees, which nobody else does."""
    started = world.sim.control.user(by).slash(name, "general", values or {})
    answer = await world.sim.control.answered(started)
    assert not world.sim.control.user("ben" if by != "ben" else "ada").sees(answer), "answers are for the caller"
    return answer.content


async def written(world: DiscordWorld, text: str, *, by: str = "ada") -> str:
    """Write a command in a direct conversation; the answer."""
    player = world.sim.control.user(by)
    channel = player.dm()
    before = len(world.replies(channel))
    player.send(channel, text)
    return (await world.replied(before + 1, channel))[-1].content


async def test_ask_remind_and_summary_are_answered_for_everybody(world: DiscordWorld) -> None:
    asked = world.ada.slash("ask", "general", {"question": "what is 6 * 7?"})
    shown, answer = await world.replied(2)
    assert asked.original is shown, "the question stands in the acknowledgement, for everybody"
    assert shown.content == "**Ada** asks:\n> what is 6 * 7?"
    assert "42" in answer.content
    assert str(answer.reference["message_id"]) == str(shown.id)  # type: ignore[index]
    assert "56" in await written(world, "!ask what is 7 * 8?")
    world.ada.slash("remind", "general", {"what": "in 20 minutes to tune the piano"})
    assert "tune the piano" in (await world.replied(4))[-1].content
    assert "water" in await written(world, "!remind in 10 minutes to drink water")
    person = await world.antiphon.stores.platforms.person_of("discord", Sender(str(world.ada.id), "Ada"))
    assert len(await world.antiphon.stores.schedule.pending(person)) == 2
    world.ada.slash("summary", "general")
    assert len((await world.replied(6))[-1].content) > 20
    assert await written(world, "!summary")
    direct = world.ada.dm()
    before = len(world.replies(direct))
    world.ada.slash("ask", direct, {"question": "what is 2 + 3?"})
    assert "5" in (await world.replied(before + 2, direct))[-1].content
    assert world.refused() == []


async def test_a_question_that_cannot_be_answered_there_is_refused_to_its_asker_alone(world: DiscordWorld) -> None:
    world.sim.control.permit("random", world.sim.control.bot, deny=1 << 11)
    await asyncio.sleep(0.2)
    started = world.ada.slash("ask", "random", {"question": "what is 6 * 7?"})
    answer = await world.sim.control.answered(started)
    assert "I cannot answer here" in answer.content
    assert not world.sim.control.user("ben").sees(answer)
    assert "Something is missing" in await slash(world, "ask", {"question": "\u200b "})
    await world.quiet()
    assert world.replies("random") == world.replies() == []


async def test_help_status_and_memory(world: DiscordWorld) -> None:
    assert "/forget-me" in await slash(world, "help")
    assert "`/memory [forget]`" in await slash(world, "help", {"command": "memory"})
    assert "/remind" in await written(world, "!help")
    assert "no such command" in await written(world, "!help nonsense")
    assert "- database: ok" in await slash(world, "status")
    assert "voice here: idle" in await written(world, "!status")
    assert "nothing about you" in await slash(world, "memory")
    person = await world.antiphon.stores.platforms.person_of("discord", Sender(str(world.ada.id), "Ada"))
    kept = await world.antiphon.stores.memories.remember(
        MemoryScope.PERSON, person, "sings alto", author=person, channel="discord:1", origin="t"
    )
    assert "sings alto" in await slash(world, "memory")
    offered = world.ada.autocomplete("memory", "general", "forget", "alto")
    assert [one["value"] for one in await world.sim.control.choices(offered)] == [str(kept.id)]
    assert "Forgotten: 1" in await written(world, f"!memory {kept.id}")
    assert "nothing about you" in await written(world, "!memory")
    # In a server private answers go to the caller directly.
    world.ada.send("general", "!memory")
    await world.quiet()
    assert world.replies("general") == []


async def test_settings_are_for_who_manages_the_server(world: DiscordWorld) -> None:
    assert "prefix: as everywhere" in await slash(world, "settings")
    assert "may manage this server" in await slash(world, "settings", {"name": "prefix", "value": "?"})
    assert "prefix: `?`" in await slash(world, "settings", {"name": "prefix", "value": "?"}, by="olive")
    assert "not a prefix" in await slash(world, "settings", {"name": "prefix", "value": "much too long"}, by="olive")
    assert "works in a server only" in await written(world, "!settings")
    world.sim.control.user("olive").send("general", "?settings names dex, antiphon")
    channel = world.sim.control.user("olive").dm()
    assert "names: dex, antiphon" in (await world.replied(1, channel))[0].content
    # It counts at once.
    world.ada.send("general", "dex what is 2 + 3?")
    assert "5" in (await world.replied(1))[0].content
    world.ada.send("general", "!status")
    await world.quiet()
    assert len(world.replies()) == 1


async def test_forgetting_asks_first(world: DiscordWorld) -> None:
    person = await world.antiphon.stores.platforms.person_of("discord", Sender(str(world.ada.id), "Ada"))
    await world.antiphon.stores.memories.remember(
        MemoryScope.PERSON, person, "sings alto", author=person, channel="discord:1", origin="t"
    )
    started = world.ada.slash("forget-me", "general", {})
    question = await world.sim.control.answered(started)
    pressed = world.ada.press(question, world.ada.button(question, "Forget it"))
    await world.until(lambda: "Done." in question.content)
    assert question.components == []
    assert pressed.acknowledged is not None
    assert await world.antiphon.stores.memories.recall(MemoryScope.PERSON, person, "", 5) == []
    direct = world.ada.dm()
    world.ada.send(direct, "!forget-me everything")
    [asked] = await world.replied(1, direct)
    world.ada.press(asked, world.ada.button(asked, "Keep it"))
    await world.until(lambda: "Nothing was forgotten" in asked.content)


async def test_approvals_by_button_and_by_command(world: DiscordWorld) -> None:
    world.ada.send("general", f"{world.bot} remember that I sing alto")
    await world.replied(1)
    world.ada.send("general", f"{world.bot} forget everything about me")
    notice = (await world.replied(2))[-1]
    stranger = world.sim.control.user("ben")
    stranger.press(notice, stranger.button(notice, "Approve"))
    await asyncio.sleep(0.5)
    [pending] = await world.antiphon.stores.approvals.pending()
    assert pending.state is ApprovalState.PENDING, "it is not Ben's to answer"
    assert notice.components
    world.ada.press(notice, world.ada.button(notice, "Refuse"))
    await world.until(lambda: not notice.components)
    assert "Refused" in notice.content
    await world.quiet()
    world.ada.send("general", f"{world.bot} forget everything about me")
    await world.until(lambda: any(one.components for one in world.sim.control.replies("general")))
    second = next(one for one in world.sim.control.replies("general") if one.components)
    assert "Forget" in await slash(world, "approve") or "forget" in await slash(world, "approve")
    offered = world.ada.autocomplete("approve", "general", "id", "")
    [choice] = await world.sim.control.choices(offered)
    assert "Approved" in await slash(world, "approve", {"id": choice["value"], "answer": "yes"})
    await world.quiet()
    await world.until(lambda: not second.components)
    assert "Nothing waits" in await written(world, "!approve")


async def test_authority_is_asked_of_discord_each_time(world: DiscordWorld) -> None:
    control = world.sim.control
    authority = world.antiphon.approvals._authority  # what tools and approvals ask

    async def holds(name: str, permission: str, channel: Any = "general") -> bool:
        user, place = control.user(name), control.channel(channel)
        person = await world.antiphon.stores.platforms.person_of("discord", Sender(str(user.id), name))
        who = Requester(person=person, platform="discord", channel=f"discord:{place.id}", account=str(user.id))
        return await authority.holds(who, permission)

    assert await holds("ada", "everyone")
    assert await holds("mona", "ban_members")
    assert not await holds("ada", "ban_members")
    assert await holds("olive", "server_owner")
    assert not await holds("mona", "server_owner")
    assert not await holds("olive", "operator"), "a server's owner does not run the installation"
    assert not await holds("olive", "anything")
    assert not await holds("ada", "send_messages", world.ada.dm())
    control.role_permissions(control.role("Moderators"), 0)
    assert not await holds("mona", "ban_members"), "what was taken away does not count any longer"
    control.fault("status", route="GET /guilds/", status=503, times=20)
    assert not await holds("olive", "server_owner"), "what cannot be found out is refused"
    control.clear_faults()


async def test_uses_are_counted(world: DiscordWorld) -> None:
    await slash(world, "status")
    await written(world, "!help")
    await world.until(lambda: len([event for event in world.events if event.topic == "command.used"]) == 2)
    used = [event.payload for event in world.events if event.topic == "command.used"]
    assert [(one["name"], one["ok"], one["platform"]) for one in used] == [
        ("status", True, "discord"),
        ("help", True, "discord"),
    ]
    panel = world.antiphon.board.panel("messages", "", View())
    assert next(cell.value for cell in panel.stats if cell.label == "Commands") == "2"
