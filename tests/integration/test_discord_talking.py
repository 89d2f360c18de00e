"""Talking on Discord, with the real library on the simulated server: what reaches the agent, how it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from antiphon.config import Settings
from antiphon.domain.errors import ModelError
from antiphon.domain.platforms import ServerDiscord
from antiphon.domain.turns import Final, TextDelta, TurnRequest
from antiphon.platforms.discord.delivery import FILE_NAME
from antiphon.sim.discord import DiscordSim
from tests.fakes.brain import Step
from tests.integration.discord_world import DiscordWorld, discord_world, echo


@pytest_asyncio.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(sqlite_settings, sim) as running:
        yield running


async def test_what_is_for_the_agent_is_answered_and_nothing_else(world: DiscordWorld) -> None:
    brain, control, ada = world.script(echo), world.sim.control, world.ada
    helper = control.create_bot("helper")
    server = await _server(world)
    await world.antiphon.stores.platforms.set_discord(
        server, ServerDiscord(names=("dex",), channels=(str(control.channel("questions").id),))
    )
    ada.send("general", "just talking")
    asked = ada.send("general", f"{world.bot} one")
    [first] = await world.replied(1)
    assert (first.content, str(first.reference["message_id"])) == ("You said: one", str(asked.id))  # type: ignore[index]
    ada.send("general", "two", reply_to=first)
    ada.send("general", "Dex, three")
    ada.send("general", "!four is a number")
    ada.send("general", "d\u200bex: f\u200bive \u202erev")
    ada.send("general", "Antiphon six")
    ada.send("general", "!!! wow")
    ada.send("general", "indexes")
    await world.quiet()
    said = [request.text for request in brain.requests]
    assert said == ["one", "two", "three", "four is a number", "five rev", "six"]
    direct = ada.dm()
    ada.send(direct, "in private")
    post = ada.post("questions", "How do I tune?", "By ear?")
    ada.send("general", f"{world.bot}")
    ada.send("general", f"{world.bot} hello <@{ada.id}> in <#{control.channel('random').id}>")
    await world.quiet()
    assert sorted(request.text for request in brain.requests[6:]) == [
        "Hello",
        "How do I tune?\n\nBy ear?",
        "hello @Ada in #random",
        "in private",
    ]
    assert world.replies(direct) == ["You said: in private"]
    ada.send(post.channel, "and by fork?")  # only the first message of a post goes with its title
    await world.replied(2, post.channel)
    assert world.replies(post.channel) == ["You said: How do I tune?\n\nBy ear?", "You said: and by fork?"]
    assert helper.user.bot
    assert world.refused() == []


async def _server(world: DiscordWorld) -> int:
    from antiphon.domain.conversation import ServerRef

    guild = world.sim.control.guild()
    return await world.antiphon.stores.platforms.server_of(ServerRef("discord", str(guild.id), guild.name))


async def test_an_answer_grows_in_one_message(world: DiscordWorld) -> None:
    words = [f"word{n} " for n in range(40)]

    async def slow(_: TurnRequest) -> None:
        await asyncio.sleep(0.1)

    def script(request: TurnRequest) -> list[Step]:
        steps: list[Step] = []
        for word in words:
            steps += [TextDelta(word), slow]
        return [*steps, Final("".join(words).strip())]

    world.script(script)
    world.ada.send("general", f"{world.bot} tell me")
    [reply] = await world.replied()
    assert reply.content != "".join(words).strip(), "the first words are shown before the last"
    await world.quiet()
    assert [one.content for one in world.sim.control.replies("general")] == ["".join(words).strip()]
    edits = [one for one in world.sim.control.log("rest") if one["route"].startswith("PATCH")]
    assert 2 <= len(edits) <= 5
    assert any(one["route"].endswith("/typing") for one in world.sim.control.log("rest"))
    assert world.refused() == []


async def test_long_answers_come_in_parts_and_very_long_ones_as_a_file(world: DiscordWorld) -> None:
    code = "```python\n" + "\n".join(f"print({n})" for n in range(300)) + "\n```"
    texts = {"long": f"Here:\n{code}\nDone. @everyone", "longest": "line\n" * 5000}
    world.script(lambda request: [Final(texts[request.text])])
    world.ada.send("general", f"{world.bot} long")
    await world.quiet()
    parts = world.replies()
    assert 1 < len(parts) <= 5
    assert all(len(part) <= 2000 and part.count("```") % 2 == 0 for part in parts)
    assert [line for part in parts for line in part.splitlines() if line.startswith("print")] == code.splitlines()[1:-1]
    assert not any(message.mention_everyone for message in world.sim.control.replies("general"))
    world.ada.send("random", f"{world.bot} longest")
    [whole] = await world.replied(1, "random")
    await world.quiet()
    assert len(world.replies("random")) == 1
    [file] = whole.attachments
    assert (file.filename, file.content.decode().strip()) == (FILE_NAME, texts["longest"].strip())


async def test_edits_are_answered_anew_and_deletions_are_forgotten(world: DiscordWorld) -> None:
    gate = asyncio.Event()

    def script(request: TurnRequest) -> list[Step]:
        return [gate, Final(f"About {request.text}")] if "wait" in request.text else [Final(f"About {request.text}")]

    brain = world.script(script)
    asked = world.ada.send("general", f"{world.bot} teh song")
    await world.replied(1)
    world.ada.edit(asked, f"{world.bot} the song")
    await world.replied(2)
    assert world.replies() == ["About teh song", "About the song"]
    asked = world.ada.send("general", f"{world.bot} halp me")
    await world.replied(3)
    world.ada.edit(asked, f"{world.bot} help me")  # begins like a command, and is none
    await world.replied(4)
    assert world.replies()[2:] == ["About halp me", "About help me"]
    waiting = world.ada.send("general", f"{world.bot} wait for my secret")
    await world.until(lambda: len(brain.requests) == 5)
    world.ada.delete(waiting)
    await world.quiet()
    assert len(world.replies()) == 4, "nobody waits for that answer any more"
    recent = await world.antiphon.stores.threads.recent(
        f"discord:{world.sim.control.channel('general').id}", before=None, limit=20
    )
    assert not any("secret" in message.text for message in recent)
    # Deleted while the answer is on its way: it comes, without a reference.
    late = world.ada.send("general", f"{world.bot} quick")
    world.sim.control.fault("latency", route="POST /channels/.*/messages", seconds=0.3)
    await world.until(lambda: len(brain.requests) == 6)
    world.ada.delete(late)
    await world.quiet()
    assert world.refused() == []


async def test_threads_of_their_own_keep_conversations_apart(sim: DiscordSim, sqlite_settings: Settings) -> None:
    async with discord_world(sqlite_settings, sim, threads=True) as world:
        world.script(echo)
        asked = world.ada.send("general", f"{world.bot} a long question")
        thread = await sim.control.wait_for(
            lambda: sim.control.channel(asked.id) if asked.id in sim.world.channels else None
        )
        assert thread.name == "a long question"
        await world.replied(1, thread)
        world.ada.send(thread, "and another one")
        await world.replied(2, thread)
        assert world.replies(thread) == ["You said: a long question", "You said: and another one"]
        assert world.replies("general") == []
        sim.control.permit("random", sim.control.bot, deny=(1 << 35) | (1 << 38))
        world.ada.send("random", f"{world.bot} no threads here")
        await world.replied(1, "random")


async def test_a_refused_turn_says_so_once(world: DiscordWorld) -> None:
    error = ModelError("The model is gone.")
    error.retryable = False  # type: ignore[misc]
    world.script(lambda _: [error])
    world.ada.send("general", f"{world.bot} try")
    [reply] = await world.replied()
    await world.quiet()
    assert "went wrong" in reply.content
    assert len(world.replies()) == 1


async def test_what_comes_with_a_message_is_kept(world: DiscordWorld) -> None:
    brain = world.script(echo)
    world.ada.send("general", f"{world.bot} look", files=[("notes.txt", b"la la la")])
    await world.quiet()
    recent = await world.antiphon.stores.threads.recent(brain.requests[0].channel, before=None, limit=5)
    assert [(file.name, file.size) for file in recent[0].attachments] == [("notes.txt", 8)]
    assert recent[0].attachments[0].url.startswith("https://cdn.discordapp.com/")
