"""The gateway's rules: close codes, resuming, sharding, intents, limits, faults."""

from __future__ import annotations

import asyncio

import discord
import pytest

from antiphon.sim.discord import DiscordSim, Limits
from tests.contract.discord_sim.raw import GATEWAY, identify, raw
from tests.fixtures_discord import Connect, running_client


class Eager(discord.Client):
    """Identifies again without the library's wait of five seconds."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        del shard_id, initial


class EagerShards(Eager, discord.AutoShardedClient):
    """The same with shards."""


@pytest.mark.parametrize(
    ("op", "changes", "code"),
    [
        (2, {"token": "wrong"}, 4004),
        (2, {"intents": 1 << 60}, 4013),
        (2, {"shard": [3, 2]}, 4010),
        (8, {}, 4003),
        (99, {}, 4003),
        (6, {"session_id": "x", "seq": 1, "token": "wrong"}, 4004),
    ],
)
async def test_close_codes(discord_sim: DiscordSim, op: int, changes: dict[str, object], code: int) -> None:
    async with raw(discord_sim) as client:
        await client.expect(10)
        await client.send(op, identify(discord_sim, **changes))
        assert await client.closed() == code


async def test_unapproved_intent_is_told_by_the_library(discord_sim: DiscordSim) -> None:
    discord_sim.control.bot.flags = 0
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running_client(discord_sim):
            pass


async def test_payloads_are_limited_in_size_and_number(discord_sim: DiscordSim) -> None:
    async with raw(discord_sim) as client:
        await client.send(2, identify(discord_sim, padding="x" * 4096))
        assert await client.closed() == 4002
    async with raw(discord_sim) as client:
        await client.send(2, identify(discord_sim))
        for _ in range(120):
            await client.send(1, None)
        assert await client.closed() == 4008


async def test_streams_are_compressed_when_asked(discord_sim: DiscordSim) -> None:
    async with raw(discord_sim, GATEWAY + "&compress=zlib-stream") as client:
        assert (await client.receive())["op"] == 10
        await client.send(2, identify(discord_sim))
        assert (await client.expect("GUILD_CREATE"))["d"]["name"] == "Rehearsal room"


async def test_a_silent_client_is_closed() -> None:
    async with DiscordSim(limits=Limits(heartbeat_interval=0.05)) as sim, raw(sim) as client:
        assert await client.closed() == 4009


async def test_resume_replays_what_was_missed_once_and_in_order(discord_sim: DiscordSim) -> None:
    control = discord_sim.control
    ada = control.user("ada")
    async with raw(discord_sim) as client:
        await client.send(2, identify(discord_sim))
        session = (await client.expect("READY"))["d"]["session_id"]
        ada.send("general", "0")
        seen = (await client.expect("MESSAGE_CREATE"))["s"]
        control.disconnect(0)
        await client.closed()
    for number in range(1, 4):
        ada.send("general", str(number))
    async with raw(discord_sim) as client:
        await client.send(6, {"token": discord_sim.token, "session_id": session, "seq": seen})
        told = [(await client.receive()) for _ in range(5)]
        assert [message["d"].get("content", message["t"]) for message in told[1:]] == ["1", "2", "3", "RESUMED"]
        assert [message["s"] for message in told[1:]] == list(range(seen + 1, seen + 5))
        async with raw(discord_sim) as ahead:
            await ahead.send(6, {"token": discord_sim.token, "session_id": session, "seq": seen + 99})
            assert await ahead.closed() == 4007
        control.disconnect(4000)
        await client.closed()
    await control.wait_for(lambda: control.log("gateway.close", code=4000))
    control.advance(3600)
    async with raw(discord_sim) as client:
        await client.send(6, {"token": discord_sim.token, "session_id": session, "seq": seen})
        assert (await client.expect(9))["d"] is False


async def test_identify_too_often_is_refused() -> None:
    async with DiscordSim() as sim, raw(sim) as first, raw(sim) as second:
        await first.send(2, identify(sim))
        await first.expect("READY")
        await second.send(2, identify(sim))
        assert (await second.expect(9))["d"] is False
        sim.control.advance(5)
        await second.send(2, identify(sim))
        await second.expect("READY")


async def test_shards_divide_the_servers(discord_sim: DiscordSim) -> None:
    control = discord_sim.control
    for number in range(3):
        await asyncio.sleep(0.002)  # ids of the same millisecond share a shard
        control.create_guild(f"server {number}")
    async with running_client(discord_sim, kind=EagerShards, shard_count=2) as client:
        assert {guild.name for guild in client.guilds} == {guild.name for guild in control.world.guilds.values()}
        for guild in client.guilds:
            assert guild.shard_id == (guild.id >> 22) % 2
    identified = control.log("gateway.identify")
    assert [entry["shard"] for entry in identified] == [[0, 2], [1, 2]]


async def test_sharding_is_required_of_big_bots() -> None:
    async with DiscordSim(limits=Limits(shard_guilds=1)) as sim, raw(sim) as client:
        await client.send(2, identify(sim))
        assert await client.closed() == 4011


@pytest.mark.parametrize("fault", ["cut", "close", "reconnect", "invalidate", "refused_resume", "refused_connection"])
async def test_library_survives_and_misses_nothing(
    discord_sim: DiscordSim, discord_client: Connect, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A lost session takes events with it; a resumed one does not."""
    client = await discord_client(kind=Eager)
    control = discord_sim.control
    got: list[str] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        got.append(message.content)

    ada = control.user("ada")
    if fault == "cut":
        control.disconnect(0)
    elif fault == "close":
        control.disconnect(4000)
    elif fault == "reconnect":
        control.reconnect()
    elif fault == "invalidate":
        control.invalidate()
    elif fault == "refused_connection":
        monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda self: 0.01)
        control.fault("refuse_connection", times=2)
        control.disconnect(4000)
    else:
        control.fault("refuse_resume")
        control.disconnect(4000)
    if fault in ("invalidate", "refused_resume"):
        await control.wait_for(lambda: len(control.log("gateway.identify")) == 2)
    ada.send("general", "after")
    async with asyncio.timeout(5):
        while not got:  # noqa: ASYNC110 - the library announces nothing of its own
            await asyncio.sleep(0.01)
    assert got == ["after"]


async def test_events_can_be_lost_and_doubled(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    got: list[str] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        got.append(message.content)

    control.fault("lost_event", event="MESSAGE_CREATE", after=1)
    control.fault("doubled_event", event="MESSAGE_CREATE", after=2)
    ada = control.user("ada")
    for number in range(4):
        ada.send("general", str(number))
    ada.send("general", "end")
    async with asyncio.timeout(5):
        while "end" not in got:  # noqa: ASYNC110 - the library announces nothing of its own
            await asyncio.sleep(0.01)
    assert sorted(got) == ["0", "2", "3", "3", "end"]


async def test_members_of_a_big_server_come_in_chunks(discord_sim: DiscordSim, discord_client: Connect) -> None:
    discord_sim.control.big_world(2, 1200, channels=1)
    client = await discord_client()
    big = [guild for guild in client.guilds if guild.name.startswith("Server")]
    assert [len(guild.members) for guild in big] == [1200, 1200]
    assert all(guild.chunked for guild in big)


async def test_presence_of_people_is_seen(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client(activity=discord.Game("chess"))
    ada = discord_sim.control.user("ada")
    ada.presence("idle")
    member = client.guilds[0].get_member(ada.id)
    assert member is not None
    async with asyncio.timeout(5):
        while member.status is not discord.Status.idle:  # noqa: ASYNC110 - the library announces nothing of its own
            await asyncio.sleep(0.01)
    presence = discord_sim.control.bot.user.presence or {}
    assert [activity["name"] for activity in presence["activities"]] == ["chess"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "close_on_op", "op": 1, "code": 4000},
        {"kind": "close_on_op", "op": 2, "code": 4000},
        {"kind": "close_on_event", "event": "HELLO", "code": 0},
        {"kind": "close_on_event", "event": "READY", "code": 4000},
        {"kind": "close_on_event", "event": "GUILD_CREATE", "code": 0},
        {"kind": "close_on_event", "event": "GUILD_MEMBERS_CHUNK", "code": 4001},
        {"kind": "refuse_identify"},
    ],
    ids=lambda fault: " ".join(str(value) for value in fault.values()),
)
async def test_library_gets_ready_though_the_connection_ends_at(
    discord_sim: DiscordSim, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object]
) -> None:
    monkeypatch.setattr(discord.backoff.ExponentialBackoff, "delay", lambda self: 0.01)
    if fault.get("op") == 8 or fault.get("event") == "GUILD_MEMBERS_CHUNK":
        discord_sim.control.big_world(1, 300, channels=1)
    discord_sim.control.fault(**fault)  # type: ignore[arg-type]
    async with running_client(discord_sim, kind=Eager):
        assert [entry["fault"] for entry in discord_sim.control.log("fault")] == [fault["kind"]]


async def test_revoked_token_is_told_by_the_library(discord_sim: DiscordSim) -> None:
    old = discord_sim.token
    async with running_client(discord_sim) as client:
        discord_sim.control.revoke_token()
        async with asyncio.timeout(5):
            while not client.is_closed():  # noqa: ASYNC110 - the library announces nothing of its own
                await asyncio.sleep(0.01)
    with pytest.raises(discord.LoginFailure):
        async with running_client(discord_sim, token=old):
            pass
    async with running_client(discord_sim):
        pass


async def test_client_answers_when_asked_for_a_heartbeat(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client()
    control = discord_sim.control
    before = len(control.log("gateway.in", op=1))
    control.ask_heartbeat()
    await control.wait_for(lambda: len(control.log("gateway.in", op=1)) > before)


async def test_the_library_measures_its_latency_from_its_own_heartbeat() -> None:
    async with DiscordSim(limits=Limits(heartbeat_interval=0.5)) as sim, running_client(sim) as client:
        await sim.control.wait_for(lambda: len(sim.control.log("gateway.in", op=1)) >= 3)
        await asyncio.sleep(0.1)
        assert client.latency < 0.4


async def test_heartbeats_may_stay_unacknowledged_and_events_come_late(discord_sim: DiscordSim) -> None:
    control = discord_sim.control
    control.fault("no_ack")
    control.fault("delayed_event", event="MESSAGE_CREATE", seconds=0.1)
    async with raw(discord_sim) as client:
        await client.send(2, identify(discord_sim))
        await client.expect("GUILD_CREATE")
        await client.send(1, None)
        ada = control.user("ada")
        for text in ("late", "soon"):
            ada.send("general", text)
        got = [await client.receive() for _ in range(2)]
        await client.send(1, None)
        assert [message["d"]["content"] for message in got] == ["soon", "late"]
        assert (await client.receive())["op"] == 11
