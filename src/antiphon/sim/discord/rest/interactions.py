"""Answers to interactions, and webhooks: both live under tokens of their own.

Source: docs, Receiving and Responding, "Endpoints"; Webhook ("Create Webhook", "Execute Webhook", "Edit Webhook
Message").
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from antiphon.sim.discord.errors import Form, refused, unknown
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rest.call import Call, Reply, Route
from antiphon.sim.discord.rules import audit, interactions
from antiphon.sim.discord.rules.answers import send_as_webhook
from antiphon.sim.discord.rules.messages import remove, rewrite
from antiphon.sim.discord.rules.need import need, need_in_guild
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import Interaction
from antiphon.sim.discord.world.messages import Message
from antiphon.sim.discord.world.webhooks import Webhook


def _callback(call: Call) -> Reply:
    token = call.parameters["interaction_token"]
    started = interactions.respond(call.world, call.id("interaction_id"), token, call.body, call.uploads)
    if call.query.get("with_response", "").lower() in ("true", "1"):
        return Reply(interactions.callback_payload(started))
    return Reply(None, 204)


# Both kinds of `/webhooks/{id}/{token}`


def _interaction(call: Call) -> Interaction | None:
    """The interaction when the id is an application's, None when it is a webhook's."""
    if call.id("webhook_id") not in call.world.applications:
        return None
    return interactions.by_token(call.world, call.id("webhook_id"), call.parameters["webhook_token"])


def _webhook(call: Call) -> Webhook:
    webhook = call.world.webhooks.get(call.id("webhook_id"))
    if webhook is None:
        raise unknown("webhook")
    if "webhook_token" in call.parameters and not hmac.compare_digest(webhook.token, call.parameters["webhook_token"]):
        raise refused(401, 50027, "Invalid Webhook Token")
    return webhook


def _target(call: Call, webhook: Webhook) -> Channel:
    """Source: docs, Webhook, "Execute Webhook", `thread_id`."""
    if "thread_id" not in call.query:
        return webhook.channel
    thread = call.world.channels.get(int(call.query["thread_id"]))
    if thread is None or thread.parent is not webhook.channel:
        raise unknown("channel")
    return thread


def _execute(call: Call) -> Reply:
    started = _interaction(call)
    if started is not None:
        return Reply(interactions.follow_up(call.world, started, call.body, call.uploads).payload())
    webhook = _webhook(call)
    channel = _target(call, webhook)
    author = call.world.users.get(webhook.application_id or 0, webhook.creator)
    message = send_as_webhook(call.world, webhook, author, channel, call.body, call.uploads)
    waits = call.query.get("wait", "").lower() in ("true", "1")
    return Reply(message.payload()) if waits else Reply(None, 204)


def _found(call: Call) -> tuple[Message, Interaction | None]:
    started, name = _interaction(call), call.parameters["message_id"]
    if started is not None:
        message = (
            interactions.original(started)
            if name == "@original"
            else interactions.answer(started, call.id("message_id"))
        )
        return message, started
    webhook = _webhook(call)
    message = call.world.message(_target(call, webhook), call.id("message_id"))
    if message.webhook_id != webhook.id:
        raise unknown("message")
    return message, None


def _get(call: Call) -> dict[str, Any]:
    return _found(call)[0].payload()


def _edit(call: Call) -> dict[str, Any]:
    message, started = _found(call)
    if started is not None and message is started.original:
        return interactions.edit_original(call.world, started, call.body, call.uploads).payload()
    return rewrite(call.world, message, call.body, call.uploads).payload()


def _delete(call: Call) -> None:
    message, started = _found(call)
    if started is not None:
        interactions.delete_answer(call.world, started, message)
    else:
        remove(call.world, message)


# Webhooks of channels


def _create(call: Call) -> dict[str, Any]:
    channel = call.channel()
    need(call.world, channel, call.actor, P.MANAGE_WEBHOOKS)
    form = Form()
    name = form.text("name", call.body.get("name"), least=1, most=80, none=False)
    if name and ("discord" in name.lower() or "clyde" in name.lower()):
        form.add("name", "USERNAME_INVALID_CONTAINS", "Username cannot contain this word")
    form.check()
    if sum(one.channel is channel for one in call.world.webhooks.values()) >= 15:
        raise refused(400, 30007, "Maximum number of webhooks reached (15)")
    webhook = Webhook(call.world.ids.new(), secrets.token_urlsafe(51), name or "", channel, call.actor, call.actor.id)
    call.world.webhooks[webhook.id] = webhook
    audit.record(call.world, channel.guild, call.actor, audit.WEBHOOK_CREATE, webhook.id, reason=call.reason)
    _changed(call, channel)
    return webhook.payload()


def _changed(call: Call, channel: Channel) -> None:
    data = {"guild_id": str(channel.guild.id if channel.guild else 0), "channel_id": str(channel.id)}
    call.world.tell("WEBHOOKS_UPDATE", data, channel=channel)


def _of_channel(call: Call) -> list[dict[str, Any]]:
    channel = call.channel()
    need(call.world, channel, call.actor, P.MANAGE_WEBHOOKS)
    return [one.payload() for one in call.world.webhooks.values() if one.channel is channel]


def _of_guild(call: Call) -> list[dict[str, Any]]:
    guild = call.guild()
    need_in_guild(call.world, guild, call.actor, P.MANAGE_WEBHOOKS)
    return [one.payload() for one in call.world.webhooks.values() if one.channel.guild is guild]


def _managed(call: Call) -> Webhook:
    webhook = _webhook(call)
    if "webhook_token" not in call.parameters:
        need(call.world, webhook.channel, call.actor, P.MANAGE_WEBHOOKS)
    return webhook


def _get_webhook(call: Call) -> dict[str, Any]:
    return _managed(call).payload()


def _edit_webhook(call: Call) -> dict[str, Any]:
    webhook = _managed(call)
    form = Form()
    webhook.name = form.text("name", call.body.get("name"), least=1, most=80) or webhook.name
    form.check()
    _changed(call, webhook.channel)
    return webhook.payload()


def _delete_webhook(call: Call) -> None:
    webhook = _managed(call)
    del call.world.webhooks[webhook.id]
    _changed(call, webhook.channel)


_TOKEN = "/webhooks/{webhook_id}/{webhook_token}"  # noqa: S105 - a path
_ANSWER = _TOKEN + "/messages/{message_id}"

ROUTES = [
    Route(
        "POST", "/interactions/{interaction_id}/{interaction_token}/callback", _callback, public=True, interaction=True
    ),
    Route("POST", _TOKEN, _execute, public=True, interaction=True),
    Route("GET", _ANSWER, _get, public=True, interaction=True),
    Route("PATCH", _ANSWER, _edit, public=True, interaction=True),
    Route("DELETE", _ANSWER, _delete, public=True, interaction=True),
    Route("GET", _TOKEN, _get_webhook, public=True),
    Route("PATCH", _TOKEN, _edit_webhook, public=True),
    Route("DELETE", _TOKEN, _delete_webhook, public=True),
    Route("GET", "/webhooks/{webhook_id}", _get_webhook),
    Route("PATCH", "/webhooks/{webhook_id}", _edit_webhook),
    Route("DELETE", "/webhooks/{webhook_id}", _delete_webhook),
    Route("POST", "/channels/{channel_id}/webhooks", _create),
    Route("GET", "/channels/{channel_id}/webhooks", _of_channel),
    Route("GET", "/guilds/{guild_id}/webhooks", _of_guild),
]
