"""Messages both ways between played people and the unmodified library."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta

import discord
import pytest

from antiphon.sim.discord import DiscordSim, Refused
from antiphon.sim.discord.permissions import P
from tests.fixtures_discord import Connect


async def test_message_reaches_client_and_reply_reaches_channel(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    client = await discord_client()
    control = discord_sim.control

    @client.event
    async def on_message(message: discord.Message) -> None:
        if message.author != client.user:
            content = await message.attachments[0].read()
            answer = await message.reply(
                f"{message.content} {content.decode()}", file=discord.File(io.BytesIO(b"x"), "b.txt")
            )
            await answer.edit(content="done", attachments=[])

    asked = control.user("ada").send("general", "read this:", files=[("a.txt", b"words")])
    [reply] = await control.wait_for(lambda: [one for one in control.replies("general") if one.edited])
    assert (reply.content, reply.attachments, reply.referenced) == ("done", [], asked)
    routes = [(entry["route"].partition("/")[0], entry["status"]) for entry in control.log("rest")]
    assert ("POST ", 200) in routes
    assert all(status < 300 for _, status in routes)


async def test_enforced_nonce_is_forgotten_after_minutes(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    http, channel = client.http, discord_sim.control.channel("general")
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=channel.id)
    body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    first, again = [await http.request(route, json=body) for _ in range(2)]
    assert first["id"] == again["id"]
    discord_sim.control.advance(600)
    assert (await http.request(route, json=body))["id"] != first["id"]
    assert len(discord_sim.control.replies("general")) == 2


async def test_what_discord_refuses_is_refused_with_its_codes(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    general = client.get_channel(control.channel("general").id)
    assert isinstance(general, discord.TextChannel)
    embeds = [discord.Embed(description="x" * 4000) for _ in range(2)]
    for sending, code in (
        (lambda: general.send("x" * 2001), 50035),
        (lambda: general.send(""), 50006),
        (lambda: general.send(embeds=embeds), 50035),
        (lambda: general.get_partial_message(1).reply("to nothing"), 50035),
        (lambda: general.get_partial_message(1).edit(content="x"), 10008),
    ):
        with pytest.raises(discord.HTTPException) as refusal:
            await sending()
        assert refusal.value.code == code
    secret = control.create_channel("secret")
    control.permit(secret, control.bot, deny=int(P.VIEW_CHANNEL))
    with pytest.raises(discord.Forbidden) as hidden:
        await client.http.send_message(secret.id, params=discord.http.handle_message_parameters("x"))
    assert hidden.value.code == 50001
    control.permit("general", control.bot, deny=int(P.SEND_MESSAGES))
    with pytest.raises(discord.Forbidden) as mute:
        await general.send("x")
    assert mute.value.code == 50013


async def test_content_is_withheld_without_the_intent(discord_sim: DiscordSim, discord_client: Connect) -> None:
    intents = discord.Intents.default()
    client = await discord_client(intents=intents)
    got: list[str] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        got.append(message.content)

    ada = discord_sim.control.user("ada")
    ada.send("general", "not for you")
    ada.send("general", f"<@{discord_sim.control.bot.id}> for you")
    ada.send(ada.dm(), "for you too")
    await discord_sim.control.wait_for(lambda: len(discord_sim.control.log("gateway.out", event="MESSAGE_CREATE")) == 3)
    await asyncio.sleep(0.05)
    assert got == ["", f"<@{discord_sim.control.bot.id}> for you", "for you too"]


async def test_mentions_notify_only_whom_the_request_allows(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    general = client.get_channel(control.channel("general").id)
    assert isinstance(general, discord.TextChannel)
    text = f"@everyone <@{control.user('ada').id}>"
    control.role_permissions(control.role("Antiphon"), int(P.ADMINISTRATOR))
    await general.send(text)
    await general.send(text, allowed_mentions=discord.AllowedMentions.none())
    loud, quiet = control.replies("general")
    assert (loud.mention_everyone, [one.name for one in loud.mentions]) == (True, ["ada"])
    assert (quiet.mention_everyone, quiet.mentions) == (False, [])


async def test_people_are_held_to_permissions_timeouts_and_slow_mode(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    client = await discord_client()
    control = discord_sim.control
    guild = client.guilds[0]
    ben = control.user("ben")
    member = guild.get_member(ben.id)
    assert member is not None
    await member.timeout(discord.utils.utcnow() + timedelta(minutes=5), reason="calm down")
    with pytest.raises(Refused, match="Missing Permissions"):
        ben.send("general", "but")
    entry = await anext(aiter(guild.audit_logs(limit=1)))
    assert (entry.action, entry.reason) == (discord.AuditLogAction.member_update, "calm down")
    control.advance(301)
    ben.send("general", "back")
    control.channel("general").slowmode = 10
    ben.send("general", "one")
    with pytest.raises(Refused, match="slowmode"):
        ben.send("general", "two")
    with pytest.raises(discord.Forbidden):
        await guild.get_member(control.user("olive").id).kick()  # type: ignore[union-attr]
