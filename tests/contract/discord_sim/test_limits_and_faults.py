"""Rate limits, broken answers and the guard that nothing leaves the machine."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import discord
import pytest

from antiphon.sim.discord import DiscordSim, Limits
from tests.fixtures_discord import Connect, running_client

AGENT = {"User-Agent": "DiscordBot (https://example.org, 1)"}


def _general(client: discord.Client, sim: DiscordSim) -> discord.TextChannel:
    channel = client.get_channel(sim.control.channel("general").id)
    assert isinstance(channel, discord.TextChannel)
    return channel


async def test_library_waits_by_the_headers_and_is_never_refused() -> None:
    limits = Limits(routes={"POST /channels/{}/messages": (2, 0.2)})
    async with DiscordSim(limits=limits) as sim, running_client(sim) as client:
        general = _general(client, sim)
        started = time.monotonic()
        for number in range(5):
            await general.send(str(number))
        assert time.monotonic() - started >= 0.35
        assert {entry["status"] for entry in sim.control.log("rest")} == {200}


async def test_buckets_are_apart_for_channels_and_refuse_with_headers() -> None:
    limits = Limits(routes={"POST /channels/{}/messages": (1, 60.0)})
    async with (
        DiscordSim(limits=limits) as sim,
        aiohttp.ClientSession(connector=sim.connector(), headers=AGENT) as http,
    ):
        headers = {"Authorization": f"Bot {sim.token}"}

        async def send(channel: str) -> aiohttp.ClientResponse:
            url = f"https://discord.com/api/v10/channels/{sim.control.channel(channel).id}/messages"
            async with http.post(url, json={"content": "x"}, headers=headers) as response:
                await response.read()
                return response

        first, second, other = [await send(channel) for channel in ("general", "general", "random")]
        assert [one.status for one in (first, second, other)] == [200, 429, 200]
        assert first.headers["X-RateLimit-Remaining"] == "0"
        assert first.headers["X-RateLimit-Bucket"] == other.headers["X-RateLimit-Bucket"]
        body = await second.json()
        assert (body["global"], second.headers["X-RateLimit-Scope"]) == (False, "user")
        assert 55 < body["retry_after"] <= 60
        assert "Via" in second.headers
        sim.control.advance(60)
        assert (await send("general")).status == 200


async def test_global_limit_and_the_ban_for_invalid_requests() -> None:
    limits = Limits(global_per_second=3, invalid_requests=5)
    async with (
        DiscordSim(limits=limits) as sim,
        aiohttp.ClientSession(connector=sim.connector(), headers=AGENT) as http,
    ):
        headers = {"Authorization": f"Bot {sim.token}"}
        url = "https://discord.com/api/v10/users/@me"
        statuses: list[int] = []
        for _ in range(4):
            async with http.get(url, headers=headers) as response:
                statuses.append(response.status)
                body = await response.json()
        assert statuses == [200, 200, 200, 429]
        assert (body["global"], response.headers["X-RateLimit-Scope"]) == (True, "global")
        for _ in range(4):
            async with http.get(url, headers={"Authorization": "Bot wrong"}) as response:
                assert response.status == 401
        async with http.get(url, headers=headers) as response:
            assert (response.status, response.content_type) == (429, "text/plain")
            assert "Via" not in response.headers
        sim.control.advance(600)
        async with http.get(url, headers=headers) as response:
            assert response.status == 200


async def test_requests_without_a_proper_agent_or_version_are_refused(discord_sim: DiscordSim) -> None:
    async with aiohttp.ClientSession(connector=discord_sim.connector()) as http:
        for url, headers, code in (
            ("https://discord.com/api/v10/users/@me", {}, 40333),
            ("https://discord.com/api/v6/gateway", AGENT, 50041),
            ("https://discord.com/api/v10/nothing", AGENT, 0),
        ):
            async with http.get(url, headers=headers) as response:
                assert (await response.json())["code"] == code


async def test_refused_and_broken_answers(discord_sim: DiscordSim, discord_client: Connect) -> None:
    """What the library retries reaches the channel once; an answer that is lost after the effect does not undo it."""
    client = await discord_client()
    general, control = _general(client, discord_sim), discord_sim.control
    control.fault("rate_limit", route="POST .*/messages", retry_after=0.05)
    await general.send("limited")
    control.fault("status", route="POST .*/messages", status=403, code=50013, message="Missing Permissions")
    with pytest.raises(discord.Forbidden):
        await general.send("forbidden")
    control.fault("latency", route="POST .*/messages", seconds=0.05)
    await general.send("late")
    control.fault("lost_request", route="POST .*/messages")
    with pytest.raises((discord.HTTPException, aiohttp.ClientError, OSError)):
        await general.send("never")
    control.fault("lost_answer", route="POST .*/messages")
    with pytest.raises((discord.HTTPException, aiohttp.ClientError, OSError)):
        await general.send("done")
    assert [message.content for message in control.replies("general")] == ["limited", "late", "done"]
    assert len(control.log("fault")) == 5


async def test_nothing_outside_of_the_machine_can_be_reached(discord_sim: DiscordSim) -> None:
    connector = discord_sim.connector()
    async with aiohttp.ClientSession(connector=connector) as http:
        for url in (
            "https://example.org/",
            "https://192.0.2.1/",
            "http://[2001:db8::1]/",
            "https://discord.com.example.org/",
        ):
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(url)


async def test_certificate_of_another_simulation_is_not_trusted(discord_sim: DiscordSim) -> None:
    from antiphon.sim.discord import connector

    async with (
        DiscordSim() as other,
        aiohttp.ClientSession(connector=connector(other.port, discord_sim.ca_file)) as http,
    ):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get("https://discord.com/api/v10/gateway")


async def test_storm_is_delivered_whole(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    got: list[int] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        got.append(message.id)

    sent = await discord_sim.control.storm("general", rate=1000, seconds=0.3)
    async with asyncio.timeout(5):
        while len(got) < sent:  # noqa: ASYNC110 - the library announces nothing of its own
            await asyncio.sleep(0.01)
    assert sent == 300
    assert got == sorted(set(got))
