"""What Discord, the network and people do to the bot: nothing is lost or said twice, and it says what is wrong."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from pydantic import SecretStr

from antiphon.config import Settings
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.health import PartState
from antiphon.domain.turns import Final, TextDelta, TurnRequest
from antiphon.sim.discord import DiscordSim
from antiphon.telemetry import metrics
from tests.fakes.brain import Step
from tests.integration.discord_world import DiscordWorld, connected, discord_settings, discord_world, echo, running


@pytest_asyncio.fixture
async def world(sim: DiscordSim, sqlite_settings: Settings) -> AsyncIterator[DiscordWorld]:
    async with discord_world(sqlite_settings, sim, script=echo) as started:
        yield started


EVENTS = ("HELLO", "ACK", "READY", "RESUMED", "GUILD_CREATE", "MESSAGE_CREATE")
"""After each of these the gateway is cut once."""


async def says(world: DiscordWorld, text: str, channel: str = "general") -> None:
    """Ada says it to the agent, which answers it once."""
    world.ada.send(channel, f"{world.bot} {text}")
    await world.until(lambda: f"You said: {text}" in world.replies(channel))


async def test_a_token_that_is_refused_is_said_and_tried_again(sim: DiscordSim, sqlite_settings: Settings) -> None:
    async with discord_world(sqlite_settings, sim, ready=False, token=SecretStr("MTAw.wrong.token")) as world:
        await world.until(lambda: world.antiphon.discord.health().state is PartState.DEGRADED)
        await world.until(lambda: "refuses the bot's token" in world.antiphon.discord.health().detail)
        assert "developer portal" in (await world.health()).remedy
        # A better one counts without a restart.
        better = world.settings.discord.model_copy(update={"token": SecretStr(sim.token)})
        await world.antiphon.discord.replace(world.settings.model_copy(update={"discord": better}))
        await connected(world)
        await world.until(lambda: world.antiphon.discord.health().state is PartState.OK)


async def test_without_intents_it_goes_on_with_what_it_may(sim: DiscordSim, sqlite_settings: Settings) -> None:
    sim.control.bot.flags = 0
    async with discord_world(sqlite_settings, sim, script=echo) as world:
        await world.until(lambda: "without" in world.antiphon.discord.health().detail)
        health = world.antiphon.discord.health()
        assert "Server Members and Message Content" in health.detail
        assert health.remedy.startswith("switch Server Members and Message Content on")
        await says(world, "I was mentioned")


async def test_a_refused_identify_is_said_in_words_with_what_to_do(
    sim: DiscordSim, sqlite_settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = {
        4004: ("refuses the bot's token", "reset it: developer portal"),
        4010: ("does not know such a shard (close code 4010)", "discord.shards"),
        4011: ("wants more shards for so many servers (close code 4011)", "discord.shards"),
        4013: ("does not know an intent that was asked for (close code 4013)", "update Antiphon"),
        4014: ("refuses the privileged intents (close code 4014)", "switch Server Members and Message Content on"),
    }
    async with discord_world(sqlite_settings, sim, script=echo) as world:
        for code, (detail, remedy) in expected.items():
            sim.control.fault("close_on_op", op=2, code=code, times=1000)
            sim.control.fault("refuse_resume")
            sim.control.disconnect(4000)
            await world.until(lambda detail=detail: detail in world.antiphon.discord.health().detail)
            health = await world.health()  # what the status page shows
            assert health.state is PartState.DEGRADED
            assert remedy in health.remedy
            assert detail in capfd.readouterr().out.replace("\\'", "'"), "the log says it too"
            sim.control.clear_faults()
            await world.antiphon.discord.replace(touched(world))  # nobody waits for the next try here
            await connected(world)
        await says(world, "there again")


def touched(world: DiscordWorld) -> Settings:
    """Other settings with the same meaning: the connection is made anew."""
    settings = world.antiphon.discord._settings
    hours = settings.discord.backfill_hours + 0.1
    return settings.model_copy(update={"discord": settings.discord.model_copy(update={"backfill_hours": hours})})


@pytest.mark.parametrize("code", [0, 1001, 4000, 4009])
async def test_cuts_of_the_gateway_lose_nothing(world: DiscordWorld, code: int) -> None:
    await says(world, "before")
    for number in range(3):
        world.sim.control.disconnect(code)
        world.ada.send("general", f"{world.bot} during {number}")
        await world.until(lambda number=number: f"You said: during {number}" in world.replies())
    await world.quiet()
    assert world.replies() == ["You said: before", *(f"You said: during {number}" for number in range(3))]


async def test_reconnects_invalid_sessions_lost_and_doubled_events(world: DiscordWorld) -> None:
    control = world.sim.control
    await says(world, "one")
    control.reconnect()
    await says(world, "two")
    control.fault("refuse_resume")
    control.disconnect(4000)
    await says(world, "three")
    control.invalidate()
    await says(world, "four")
    control.fault("doubled_event", event="MESSAGE_CREATE", times=2)
    await says(world, "five")
    await world.quiet()
    control.fault("lost_event", event="MESSAGE_CREATE")
    world.ada.send("general", f"{world.bot} six")
    control.disconnect(4000)  # after a resume the busy channels are looked at
    await world.until(lambda: "You said: six" in world.replies())
    for op in (1, 2, 6):
        control.fault("close_on_op", op=op, code=4000)
    control.disconnect(4000)
    await says(world, "seven")
    for event in EVENTS:
        control.fault("close_on_event", event=event, code=4000)
        control.disconnect(4000)
        await says(world, f"after {event}")
    for event, ask in (("RECONNECT", control.reconnect), ("INVALID_SESSION", control.invalidate)):
        control.fault("close_on_event", event=event, code=4000)
        ask()
        await says(world, f"after {event}")
    control.fault("refuse_connection", times=3)
    control.disconnect(0)
    await says(world, "when it is let in again")
    await world.quiet()
    numbers = ("one", "two", "three", "four", "five", "six", "seven")
    after = [f"after {event}" for event in (*EVENTS, "RECONNECT", "INVALID_SESSION")]
    assert world.replies() == [f"You said: {text}" for text in (*numbers, *after, "when it is let in again")]


async def test_what_came_while_it_was_away_is_answered(sim: DiscordSim, sqlite_settings: Settings) -> None:
    async with discord_world(sqlite_settings, sim, script=echo) as world:
        await says(world, "before")
        direct = world.ada.dm()
        world.ada.send(direct, "privately")
        await world.replied(1, direct)
    for number in range(3):
        world.ada.send("general", f"{world.bot} missed {number}")
    world.ada.send("random", f"{world.bot} never heard here before")
    world.ada.send(direct, "are you there")
    world.ada.send("general", "not for you")
    async with discord_world(sqlite_settings, sim, script=echo) as world:
        await world.until(lambda: len(world.replies(direct)) == 2 and len(world.replies()) == 4)
        await world.until(lambda: world.replies("random"))
        await world.quiet()
        assert world.replies() == ["You said: before", *(f"You said: missed {number}" for number in range(3))]
        assert world.replies("random") == ["You said: never heard here before"]
        assert world.refused() == []


async def test_answers_survive_rate_limits_failures_and_lost_answers(world: DiscordWorld) -> None:
    control = world.sim.control
    send = "POST /channels/.*/messages"
    control.fault("rate_limit", route=send, retry_after=0.4)
    await says(world, "a limit of the route")
    control.fault("rate_limit", route=send, retry_after=0.3, scope="shared")
    await says(world, "a shared limit")
    control.fault("rate_limit", route=send, retry_after=0.3, scope="global")
    await says(world, "the limit of all")
    control.fault("status", route=send, status=503)
    await says(world, "an outage")
    control.fault("lost_answer", route=send)
    await says(world, "an answer that was lost")
    control.fault("lost_request", route=send)
    await says(world, "a request that was lost")
    await world.quiet()
    texts = world.replies()
    assert len(texts) == len(set(texts)) == 6


async def test_a_storm_of_429_is_waited_out_as_told_and_counted(world: DiscordWorld) -> None:
    control, send = world.sim.control, "POST /channels/.*/messages"
    control.fault("rate_limit", route=send, times=3, retry_after=0.2)
    await says(world, "a storm")
    await world.quiet()
    assert world.replies() == ["You said: a storm"]
    tries = [
        entry for entry in control.log("rest") if re.match(send, entry["route"]) and "typing" not in entry["route"]
    ]
    assert [entry["status"] for entry in tries] == [429] * 3 + [200]
    waits = [later["at"] - earlier["at"] for earlier, later in pairwise(tries)]
    assert min(waits) >= 0.2, "never before the time that was told"
    for name, labels in {
        "antiphon_discord_api_calls_total": {"route": "POST /channels/{channel}/messages", "status": "429"},
        "antiphon_messages_total": {"platform": "discord", "direction": "out"},
    }.items():
        assert metrics.REGISTRY.get_sample_value(name, labels), "counted for /metrics"


async def test_a_lost_answer_is_found_after_discord_forgot_the_nonce(world: DiscordWorld) -> None:
    world.sim.limits.nonce_kept = 0.0
    world.sim.control.fault("lost_answer", route="POST /channels/.*/messages")
    await says(world, "once")
    await world.quiet()
    assert world.replies() == ["You said: once"]

    def growing(request: TurnRequest) -> list[Step]:
        async def pause(_: TurnRequest) -> None:
            await asyncio.sleep(1.2)

        return [TextDelta("growing"), pause, TextDelta(" and growing"), pause, Final("All of it")]

    world.script(growing)
    world.sim.control.fault("lost_answer", route="POST /channels/.*/messages")
    world.ada.send("random", f"{world.bot} slowly")
    await world.until(lambda: "All of it" in world.replies("random"))
    await world.quiet()
    assert world.replies("random") == ["All of it"]


async def test_a_place_that_is_gone_or_closed_takes_no_other_with_it(world: DiscordWorld) -> None:
    control = world.sim.control
    gate = asyncio.Event()

    def script(request: TurnRequest) -> list[Step]:
        return [gate, Final("late")] if "wait" in request.text else echo(request)

    brain = world.script(script)
    gone, closed = control.create_channel("gone"), control.create_channel("closed")
    await asyncio.sleep(0.3)
    world.ada.send(gone, f"{world.bot} wait")
    world.ada.send(closed, f"{world.bot} wait too")
    await world.until(lambda: len(brain.requests) == 2)
    control.delete_channel(gone)
    control.permit(closed, control.bot, deny=1 << 11)
    gate.set()
    await says(world, "elsewhere")
    await world.quiet()

    def reasons(tx: object) -> list[str]:
        rows = tx.rows("SELECT reason FROM antiphon_reply WHERE state = 'dead' ORDER BY id")  # type: ignore[attr-defined]
        return sorted(row[0] for row in rows)

    assert await world.antiphon.stores.database.read(reasons) == [
        "Not delivered: the bot lacks a permission in the channel.",
        "Not delivered: the channel is gone.",
    ]


async def test_a_second_instance_stands_by_and_takes_over(sim: DiscordSim, sqlite_settings: Settings) -> None:
    settings = discord_settings(sqlite_settings, sim)
    stop = asyncio.Event()
    async with running(settings) as first:
        await _until(lambda: "Connected" in first.discord.health().detail)
        from antiphon.run.wiring import open_antiphon

        async with open_antiphon(settings, stop=stop) as second:
            # As a process of its own would do that shares the database.
            standing = asyncio.create_task(second.discord.run(stop))
            await _until(lambda: "Standing by" in second.discord.health().detail)
            assert len(sim.control.log("gateway.identify")) == 1
            await first.discord.replace(
                settings.model_copy(update={"discord": settings.discord.model_copy(update={"token": SecretStr("")})})
            )
            await _until(lambda: "Connected" in second.discord.health().detail)
            stop.set()
            await standing


async def test_a_lease_that_cannot_be_renewed_ends_the_connection_before_another_may_begin(world: DiscordWorld) -> None:
    service, control = world.antiphon.discord.service, world.sim.control
    assert service is not None
    await says(world, "before")
    leases, gate = service._leases, asyncio.Event()

    class Stuck:
        async def hold(self, *_: object) -> list[str]:
            await gate.wait()
            raise StoreUnavailable

        async def release(self, owner: str) -> None:
            return None

    service._leases = Stuck()  # type: ignore[assignment]
    await world.until(lambda: not control.connected)
    assert time.monotonic() < service._held_until
    world.ada.send("general", f"{world.bot} while nobody holds it")
    service._leases = leases
    gate.set()
    await world.until(lambda: "You said: while nobody holds it" in world.replies())
    # A process that slept for longer than its lease wakes up with events in its socket: they are its successor's.
    sessions = len(control.log("gateway.identify"))
    service._held_until = 0.0
    world.ada.send("general", f"{world.bot} after a sleep")
    await world.until(lambda: len(control.log("gateway.identify")) > sessions)
    await world.until(lambda: "You said: after a sleep" in world.replies())
    await world.quiet()
    assert len(world.replies()) == 3


async def test_mass_mentions_and_pasted_tokens_do_no_harm(
    world: DiscordWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    everybody = " ".join(f"<@{one.id}>" for one in (world.ada, world.sim.control.user("ben"))) + " @everyone"
    world.ada.send("general", f"{world.bot} {everybody}")
    [reply] = await world.replied()
    assert reply.content == "You said: @Ada @Ben @everyone"
    assert not reply.mention_everyone
    assert reply.mentions == []
    token = world.sim.token
    await says(world, f"my token is {token}")
    await world.quiet()
    out, err = capfd.readouterr()
    assert token not in out + err


async def _until(found: object, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not found():  # type: ignore[operator]  # noqa: ASYNC110 - several kinds of things are waited for
            await asyncio.sleep(0.02)
