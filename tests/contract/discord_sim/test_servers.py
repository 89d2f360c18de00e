"""Threads, forums, moderation, roles and channels with the unmodified library."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta

import discord
import pytest

from antiphon.sim.discord import DiscordSim, Refused
from antiphon.sim.discord.permissions import P
from tests.fixtures_discord import Connect


def _channel(client: discord.Client, sim: DiscordSim, name: str) -> discord.TextChannel:
    channel = client.get_channel(sim.control.channel(name).id)
    assert isinstance(channel, discord.TextChannel)
    return channel


async def _seen(what: object) -> None:
    async with asyncio.timeout(5):
        while not what():  # type: ignore[operator]  # noqa: ASYNC110 - the library announces nothing of its own
            await asyncio.sleep(0.01)


async def test_thread_of_a_message(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    ada = control.user("ada")
    asked = ada.send("general", "let us talk")
    message = await _channel(client, discord_sim, "general").fetch_message(asked.id)
    thread = await message.create_thread(name="talk", auto_archive_duration=60)
    assert thread.id == message.id
    with pytest.raises(discord.HTTPException) as second:
        await message.create_thread(name="again")
    assert second.value.code == 160004
    ada.send(thread.id, "here")
    await thread.edit(archived=True, locked=True)
    with pytest.raises(Refused, match="locked"):
        ada.send(thread.id, "still here?")
    assert [one.id async for one in _channel(client, discord_sim, "general").archived_threads()] == [thread.id]
    await thread.delete()
    with pytest.raises(discord.NotFound):
        await client.fetch_channel(thread.id)


async def test_forum_posts(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    posts: list[discord.Thread] = []

    @client.event
    async def on_thread_create(thread: discord.Thread) -> None:
        posts.append(thread)

    post = control.user("ada").post("questions", "How?", "Like this?")
    await _seen(lambda: posts)
    starter = await posts[0].fetch_message(posts[0].id)
    assert (posts[0].name, starter.content, starter.id) == ("How?", "Like this?", post.id)
    forum = client.get_channel(control.channel("questions").id)
    assert isinstance(forum, discord.ForumChannel)
    made = await forum.create_thread(name="Mine", content="first")
    assert made.message.id == made.thread.id
    with pytest.raises(discord.HTTPException) as refused:
        await client.http.send_message(forum.id, params=discord.http.handle_message_parameters("x"))
    assert refused.value.code == 40058


async def test_moderation_follows_the_hierarchy_and_is_audited(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    client = await discord_client()
    control = discord_sim.control
    guild = client.guilds[0]
    ben, mona = control.user("ben"), control.user("mona")
    ben.send("general", "spam")
    await guild.ban(discord.Object(ben.id), reason="spam", delete_message_seconds=600)
    assert control.messages("general", by=ben) == []
    with pytest.raises(Refused, match="banned"):
        ben.join()
    assert [entry.reason async for entry in guild.bans()] == ["spam"]
    await guild.unban(discord.Object(ben.id))
    ben.join()
    with pytest.raises(discord.Forbidden):
        await guild.kick(discord.Object(control.user("olive").id))
    top = control.create_role("Top", int(P.KICK_MEMBERS))
    control.guild().members[mona.id].roles.append(top.id)
    with pytest.raises(discord.Forbidden):
        await guild.kick(discord.Object(mona.id))
    actions = [entry.action async for entry in guild.audit_logs(limit=10)]
    assert actions == [discord.AuditLogAction.unban, discord.AuditLogAction.ban]


async def test_roles_and_overwrites(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    guild, control = client.guilds[0], discord_sim.control
    role = await guild.create_role(name="Quiet", permissions=discord.Permissions(send_messages=True), reason="calm")
    with pytest.raises(discord.Forbidden):
        await guild.create_role(name="Boss", permissions=discord.Permissions(administrator=True))
    ada = control.user("ada")
    member = guild.get_member(ada.id)
    assert member is not None
    await member.add_roles(role)
    general = _channel(client, discord_sim, "general")
    await general.set_permissions(role, send_messages=False)
    with pytest.raises(Refused, match="Missing Permissions"):
        ada.send("general", "x")
    await general.set_permissions(role, overwrite=None)
    ada.send("general", "x")
    await role.delete()
    assert control.guild().members[ada.id].roles == []
    with pytest.raises(discord.Forbidden):
        await member.add_roles(guild.self_role)  # type: ignore[arg-type]


async def test_channels_are_made_changed_and_deleted(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    guild = client.guilds[0]
    made = await guild.create_text_channel(
        "Bot Log",
        topic="what happens",
        overwrites={
            guild.default_role: discord.PermissionOverwrite(view_channel=False),
            guild.me: discord.PermissionOverwrite(view_channel=True),
        },
    )
    assert made.name == "bot-log"
    with pytest.raises(Refused, match="Missing Access"):
        discord_sim.control.user("ada").send(made.id, "x")
    await made.edit(topic="other", slowmode_delay=5)
    assert (discord_sim.control.channel(made.id).topic, discord_sim.control.channel(made.id).slowmode) == ("other", 5)
    discord_sim.control.delete_channel(made.id)
    with pytest.raises(discord.NotFound) as gone:
        await made.send("x")
    assert gone.value.code == 10003


async def test_reactions_pins_and_bulk_deletion(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    ada, general = control.user("ada"), _channel(client, discord_sim, "general")
    reacted: list[str] = []

    @client.event
    async def on_raw_reaction_add(event: discord.RawReactionActionEvent) -> None:
        reacted.append(f"{event.user_id} {event.emoji}")

    first = await general.send("first")
    ada.react(control.message(first.id), "✅")
    await _seen(lambda: reacted)
    assert reacted == [f"{ada.id} ✅"]
    with pytest.raises(discord.NotFound):
        await first.add_reaction("nope")
    fetched = await general.fetch_message(first.id)
    assert [user.id async for user in fetched.reactions[0].users()] == [ada.id]
    await first.pin()
    assert [message.id async for message in general.pins()] == [first.id]
    old = await general.send("old")
    control.advance(15 * 86400)
    with pytest.raises(discord.HTTPException) as too_old:
        await general.delete_messages([first, old])
    assert too_old.value.code == 50034
    fresh = [await general.send(str(number)) for number in range(3)]
    await general.delete_messages(fresh)
    assert [message.content for message in control.messages("general") if message.type == 0] == ["first", "old"]


async def test_polls_webhooks_and_voice_messages(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    general = _channel(client, discord_sim, "general")
    poll = discord.Poll(question="Tea?", duration=timedelta(hours=1))
    poll.add_answer(text="yes")
    poll.add_answer(text="no")
    asked = await general.send(poll=poll)
    control.user("ada").vote(control.message(asked.id), 1)
    fetched = await general.fetch_message(asked.id)
    assert fetched.poll is not None
    assert [answer.vote_count for answer in fetched.poll.answers] == [1, 0]
    await fetched.end_poll()
    webhook = await general.create_webhook(name="News")
    sent = await webhook.send("from outside", username="Reporter", wait=True)
    assert (sent.author.name, sent.webhook_id) == ("Reporter", webhook.id)
    got: list[discord.Message] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        if not message.author.bot:
            got.append(message)

    control.user("ada").voice_message("general", b"OggS", seconds=1.5)
    await _seen(lambda: got)
    [attachment] = got[0].attachments
    assert (attachment.is_voice_message(), attachment.duration) == (True, 1.5)
    assert await attachment.read() == b"OggS"
    control.advance(25 * 3600)
    with pytest.raises(discord.NotFound):
        await attachment.read()


async def test_outage_of_a_server(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    discord_sim.control.unavailable()
    await _seen(lambda: client.guilds[0].unavailable)
    discord_sim.control.unavailable(on=False)
    await _seen(lambda: not client.guilds[0].unavailable)
    discord_sim.control.create_guild("Second")
    await _seen(lambda: len(client.guilds) == 2)


async def test_direct_messages(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    got: list[discord.Message] = []

    @client.event
    async def on_message(message: discord.Message) -> None:
        got.append(message)

    ada = control.user("ada")
    ada.send(ada.dm(), "between us")
    await _seen(lambda: got)
    assert got[0].guild is None
    await got[0].channel.send("yes")
    ada.user.dms_closed = True
    with pytest.raises(discord.Forbidden) as closed:
        await got[0].author.send("hello?")
    assert closed.value.code == 50007


async def test_files_are_shown_in_embeds(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    embed = discord.Embed(title="Picture").set_image(url="attachment://a.png")
    file = discord.File(io.BytesIO(b"\x89PNG"), "a.png")
    sent = await _channel(client, discord_sim, "general").send(embed=embed, file=file)
    assert sent.attachments == []
    assert sent.embeds[0].image.url.startswith("https://cdn.discordapp.com/attachments/")  # type: ignore[union-attr]


async def test_time_archives_idle_threads_and_ends_polls(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    general = _channel(client, discord_sim, "general")
    started = await (await general.send("talk")).create_thread(name="talk", auto_archive_duration=60)
    control.user("ada").send(started.id, f"hello {control.user('ben').mention}")
    assert set(control.channel(started.id).thread_members) == {
        client.user.id,
        control.user("ada").id,
        control.user("ben").id,
    }  # type: ignore[union-attr]
    poll = discord.Poll(question="Tea?", duration=timedelta(hours=1))
    poll.add_answer(text="yes")
    asked = await general.send(poll=poll)
    control.advance(3700)
    assert control.channel(started.id).archived
    with pytest.raises(Refused, match="Poll expired"):
        control.user("ada").vote(control.message(asked.id), 1)
    await started.send("back")
    assert not control.channel(started.id).archived
