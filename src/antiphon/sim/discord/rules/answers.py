"""Messages of webhooks and interactions, which need no permission of a member."""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import Form
from antiphon.sim.discord.rules.messages import announce, check_message, new, not_empty, publish
from antiphon.sim.discord.rules.uploads import Upload, link_files, take_in
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import Interaction
from antiphon.sim.discord.world.messages import COMMAND_REPLY, EPHEMERAL, LOADING, REPLY, Message
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.webhooks import Webhook
from antiphon.sim.discord.world.world import World


def send_as_webhook(
    world: World, webhook: Webhook, author: User, channel: Channel, body: dict[str, Any], uploads: list[Upload]
) -> Message:
    """Source: docs, Webhook, "Execute Webhook": own name and picture; 80 characters of name."""
    form = Form()
    draft = check_message(world, form, body, uploads)
    name = form.text("username", body.get("username"), least=1, most=80)
    form.check()
    not_empty(draft, uploads, [])
    attachments = take_in(world, form, channel, body.get("attachments"), uploads, [])
    form.check()
    message = new(world, author, channel, draft)
    message.attachments, message.webhook_id = link_files(message.embeds, attachments), webhook.id
    message.application_id = webhook.application_id
    message.webhook_author = {
        "id": str(webhook.id),
        "username": name or webhook.name,
        "avatar": None,
        "discriminator": "0000",
        "public_flags": 0,
        "flags": 0,
        "bot": True,
        "global_name": None,
    }
    return publish(world, message)


def send_as_answer(
    world: World, interaction: Interaction, body: dict[str, Any], uploads: list[Upload], *, waiting: bool = False
) -> Message:
    """An interaction's answer. Ephemeral ones reach only the user who asked and are not kept in the channel.

    Source: docs, Receiving and Responding, "Interaction Callback", "Followup Messages"; Message, "Message Flags".
    """
    channel, author = interaction.channel, interaction.application.user
    form = Form()
    draft = check_message(world, form, body, uploads)
    form.check()
    if not waiting:
        not_empty(draft, uploads, [])
    attachments = take_in(world, form, channel, body.get("attachments"), uploads, [])
    form.check()
    message = new(world, author, channel, draft)
    message.attachments = link_files(message.embeds, attachments)
    message.interaction = interaction.metadata()
    message.webhook_id = message.application_id = author.id
    message.type = COMMAND_REPLY if interaction.type == 2 else REPLY if interaction.message else 0
    if message.type == REPLY:
        message.referenced = interaction.message
    if waiting:
        message.flags |= LOADING
    if draft.flags & EPHEMERAL:
        message.visible_to = interaction.user.id
        announce(world, "MESSAGE_CREATE", message)
        return message
    return publish(world, message)
