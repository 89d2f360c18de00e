"""Commands, autocompletion, buttons, selects and modals with the unmodified library."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest
from discord import app_commands

from antiphon.sim.discord import DiscordSim, Refused
from antiphon.sim.discord.world.messages import EPHEMERAL
from tests.fixtures_discord import Connect

Interaction = discord.Interaction[Any]


class Commands(discord.Client):
    """A client with a few commands, synchronised at the start."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(_ask)
        self.tree.add_command(_slow)
        self.tree.add_command(_secret)
        self.tree.add_command(_form)
        self.tree.add_command(_panel)
        self.tree.add_command(_silent)

    async def setup_hook(self) -> None:
        await self.tree.sync()


@app_commands.command(name="ask", description="Ask something")
@app_commands.describe(text="what", whom="about whom", times="how often")
async def _ask(
    interaction: Interaction, text: str, whom: discord.Member | None = None, times: app_commands.Range[int, 1, 3] = 1
) -> None:
    await interaction.response.send_message(f"{interaction.user.name}: {text * times} {whom}")
    await interaction.followup.send("more")


@_ask.autocomplete("text")
async def _choices(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    del interaction
    return [app_commands.Choice(name=f"{typed}{end}", value=f"{typed}{end}") for end in "ab"]


@app_commands.command(name="slow", description="Think first")
async def _slow(interaction: Interaction) -> None:
    await interaction.response.defer(ephemeral=True)
    await asyncio.sleep(0.01)
    await interaction.followup.send("thought")


@app_commands.command(name="secret", description="For moderators")
@app_commands.default_permissions(kick_members=True)
async def _secret(interaction: Interaction) -> None:
    await interaction.response.send_message("psst", ephemeral=True)


class _Form(discord.ui.Modal, title="Tell me"):
    name: discord.ui.TextInput[Any] = discord.ui.TextInput(label="Name", custom_id="name")

    async def on_submit(self, interaction: Interaction) -> None:
        await interaction.response.send_message(f"hello {self.name.value}")


@app_commands.command(name="form", description="Show a form")
async def _form(interaction: Interaction) -> None:
    await interaction.response.send_modal(_Form())


class _View(discord.ui.View):
    @discord.ui.button(label="Next", custom_id="next")
    async def press(self, interaction: Interaction, button: discord.ui.Button[Any]) -> None:
        button.disabled = True
        await interaction.response.edit_message(content="page 2", view=self)

    @discord.ui.select(
        custom_id="level", options=[discord.SelectOption(label="Error"), discord.SelectOption(label="Info")]
    )
    async def choose(self, interaction: Interaction, select: discord.ui.Select[Any]) -> None:
        await interaction.response.send_message(f"chose {select.values}", ephemeral=True)


@app_commands.command(name="panel", description="Show buttons")
async def _panel(interaction: Interaction) -> None:
    await interaction.response.send_message("page 1", view=_View())


@app_commands.command(name="silent", description="Never answers")
async def _silent(interaction: Interaction) -> None:
    del interaction


async def test_command_with_options_is_answered_and_followed_up(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    ada, ben = control.user("ada"), control.user("ben")
    asked = ada.slash("ask", "general", {"text": "hi", "whom": ben.id, "times": 2})
    answer = await control.answered(asked)
    assert answer.content == "ada: hihi ben"
    await control.wait_for(lambda: asked.followups)
    assert [message.content for message in control.replies("general")] == ["ada: hihi ben", "more"]
    for wrong in ({}, {"text": "x", "times": 9}, {"text": "x", "unknown": 1}):
        with pytest.raises(Refused):
            ada.slash("ask", "general", wrong)


async def test_autocompletion(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    typed = control.user("ada").autocomplete("ask", "general", "text", "x")
    assert [choice["value"] for choice in await control.choices(typed)] == ["xa", "xb"]


async def test_deferred_answer_is_private_and_waited_out(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    ada = control.user("ada")
    answer = await control.answered(ada.slash("slow", "general"))
    assert (answer.content, answer.flags & EPHEMERAL) == ("thought", EPHEMERAL)
    assert (ada.sees(answer), control.user("ben").sees(answer)) == (True, False)
    assert control.replies("general") == []


async def test_commands_are_shown_to_whom_they_are_meant_for(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    assert (await control.answered(control.user("mona").slash("secret", "general"))).content == "psst"
    with pytest.raises(Refused, match="Unknown Application Command"):
        control.user("ada").slash("secret", "general")


async def test_modal_is_shown_and_submitted(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    ada = control.user("ada")
    shown = ada.slash("form", "general")
    assert (await control.modal(shown))["title"] == "Tell me"
    assert (await control.answered(ada.submit(shown, {"name": "Ada"}))).content == "hello Ada"
    with pytest.raises(Refused, match="required"):
        ada.submit(shown, {"name": ""})


async def test_buttons_and_selects(discord_sim: DiscordSim, discord_client: Connect) -> None:
    await discord_client(kind=Commands)
    control = discord_sim.control
    ada, ben = control.user("ada"), control.user("ben")
    panel = await control.answered(ada.slash("panel", "general"))
    chosen = await control.answered(ben.choose(panel, "level", ["Info"]))
    assert (chosen.content, chosen.visible_to) == ("chose ['Info']", ben.id)
    await control.answered(ben.press(panel, ada.button(panel, "Next")))
    assert panel.content == "page 2"
    for refused in (
        lambda: ben.press(panel, "next"),
        lambda: ben.press(panel, "gone"),
        lambda: ben.choose(panel, "level", ["x"]),
    ):
        with pytest.raises(Refused):
            refused()


async def test_silence_and_late_answers(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client(kind=Commands)
    control = discord_sim.control
    seen: asyncio.Future[Interaction] = asyncio.get_running_loop().create_future()

    @client.event
    async def on_interaction(interaction: Interaction) -> None:
        seen.set_result(interaction)

    asked = control.user("ada").slash("silent", "general")
    interaction = await seen
    control.advance(4)
    assert control.failed(asked)
    with pytest.raises(Refused, match="did not respond"):
        await control.answered(asked)
    with pytest.raises(discord.NotFound) as late:
        await interaction.response.send_message("too late")
    assert late.value.code == 10062


async def test_tokens_end_after_a_quarter_of_an_hour_and_answers_come_once(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    client = await discord_client(kind=Commands)
    control = discord_sim.control
    asked = control.user("ada").slash("ask", "general", {"text": "x"})
    await control.wait_for(lambda: asked.followups)
    route = discord.http.Route("POST", f"/interactions/{asked.id}/{asked.token}/callback")
    with pytest.raises(discord.HTTPException) as twice:
        await client.http.request(route, json={"type": 4, "data": {"content": "again"}})
    assert twice.value.code == 40060
    control.advance(901)
    late = discord.http.Route("POST", f"/webhooks/{control.bot.id}/{asked.token}")
    with pytest.raises(discord.HTTPException) as expired:
        await client.http.request(late, json={"content": "late"})
    assert (expired.value.status, expired.value.code) == (401, 50027)


async def test_overwriting_commands_keeps_ids_and_checks_names(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    client = await discord_client(kind=Commands)
    before = {command.name: command.id for command in await client.tree.fetch_commands()}  # type: ignore[attr-defined]
    after = {command.name: command.id for command in await client.tree.sync()}  # type: ignore[attr-defined]
    assert before == after
    with pytest.raises(discord.HTTPException) as refused:
        await client.http.bulk_upsert_global_commands(
            discord_sim.control.bot.id,
            [{"name": "UPPER", "description": "x", "type": 1}],  # type: ignore[list-item]
        )
    assert (refused.value.code, "APPLICATION_COMMAND_INVALID_NAME" in str(refused.value.response)) in (
        (50035, True),
        (50035, False),
    )
