"""Messages, reactions, pins and typing.

Source: docs, Message and its sections named as the handlers are; Channel, "Trigger Typing Indicator"; Poll.
"""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.rest.call import Call, Route
from antiphon.sim.discord.rules import messages as rules
from antiphon.sim.discord.rules import polls, reactions
from antiphon.sim.discord.world.messages import Message


def _message(call: Call) -> Message:
    return call.world.message(call.channel(), call.id("message_id"))


def _list(call: Call) -> list[dict[str, Any]]:
    """Source: docs, Message, "Get Channel Messages": 1 to 100, newest first; around, before or after."""
    channel = call.channel()
    limit = call.number("limit", 50, least=1, most=100)
    if not rules.readable(call.world, call.actor, channel):
        return []
    ids = list(channel.messages)
    if "around" in call.query:
        middle, half = int(call.query["around"]), limit // 2
        older = [one for one in ids if one < middle][-half:]
        newer = [one for one in ids if one >= middle][: limit - half]
        chosen = older + newer
    elif "after" in call.query:
        after = int(call.query["after"])
        chosen = [one for one in ids if one > after][:limit]
    else:
        before = int(call.query.get("before", 1 << 63))
        chosen = [one for one in ids if one < before][-limit:]
    return [channel.messages[one].payload(viewer=call.actor.id) for one in reversed(chosen)]


def _get(call: Call) -> dict[str, Any]:
    return _message(call).payload(viewer=call.actor.id)


def _create(call: Call) -> dict[str, Any]:
    channel = call.channel()
    return rules.send(call.world, call.actor, channel, call.body, call.uploads).payload(viewer=call.actor.id)


def _edit(call: Call) -> dict[str, Any]:
    return rules.edit(call.world, call.actor, _message(call), call.body, call.uploads).payload(viewer=call.actor.id)


def _delete(call: Call) -> None:
    rules.delete(call.world, call.actor, _message(call), call.reason)


def _bulk_delete(call: Call) -> None:
    rules.bulk_delete(call.world, call.actor, call.channel(), call.body.get("messages") or [], call.reason)


def _crosspost(call: Call) -> dict[str, Any]:
    message = _message(call)
    message.flags |= 1
    rules.announce(call.world, "MESSAGE_UPDATE", message)
    return message.payload(viewer=call.actor.id)


def _typing(call: Call) -> None:
    rules.typing(call.world, call.actor, call.channel())


def _react(call: Call) -> None:
    reactions.react(call.world, call.actor, _message(call), call.parameters["emoji"])


def _unreact(call: Call) -> None:
    whose = call.world.user(call.user_id())
    reactions.unreact(call.world, call.actor, _message(call), call.parameters["emoji"], whose)


def _reactors(call: Call) -> list[dict[str, Any]]:
    message = _message(call)
    key, _ = reactions.emoji_of(call.world, message.channel, call.parameters["emoji"])
    limit, after = call.number("limit", 25, least=1, most=100), int(call.query.get("after", 0))
    found = message.reactions.get(key)
    users = sorted(found.users.values(), key=lambda one: one.id) if found else []
    return [user.payload() for user in users if user.id > after][:limit]


def _clear(call: Call) -> None:
    reactions.clear_reactions(call.world, call.actor, _message(call), call.parameters.get("emoji"))


def _pin(call: Call) -> None:
    rules.pin(call.world, call.actor, _message(call), reason=call.reason)


def _unpin(call: Call) -> None:
    rules.unpin(call.world, call.actor, _message(call), reason=call.reason)


def _pins(call: Call) -> dict[str, Any]:
    """Source: docs, Message, "Get Channel Pins": newest first, `before` a time, up to 50."""
    channel = call.channel()
    limit = call.number("limit", 50, least=1, most=50)
    before = call.query.get("before", "9999")
    pinned = [(at, one) for one, at in reversed(channel.pins.items()) if at < before]
    items = [
        {"pinned_at": at, "message": channel.messages[one].payload(viewer=call.actor.id)} for at, one in pinned[:limit]
    ]
    return {"items": items, "has_more": len(pinned) > limit}


def _old_pins(call: Call) -> list[dict[str, Any]]:
    return [item["message"] for item in _pins(call)["items"]]


def _voters(call: Call) -> dict[str, Any]:
    message = _message(call)
    limit, after = call.number("limit", 25, least=1, most=100), int(call.query.get("after", 0))
    users = sorted(message.votes.get(call.id("answer_id"), {}).values(), key=lambda one: one.id)
    return {"users": [user.payload() for user in users if user.id > after][:limit]}


def _expire(call: Call) -> dict[str, Any]:
    return polls.expire(call.world, call.actor, _message(call)).payload(viewer=call.actor.id)


_ONE = "/channels/{channel_id}/messages/{message_id}"
_EMOJI = _ONE + "/reactions/{emoji}"

ROUTES = [
    Route("GET", "/channels/{channel_id}/messages", _list),
    Route("POST", "/channels/{channel_id}/messages", _create),
    Route("GET", _ONE, _get),
    Route("PATCH", _ONE, _edit),
    Route("DELETE", _ONE, _delete),
    Route("POST", _ONE + "/crosspost", _crosspost),
    Route("POST", "/channels/{channel_id}/messages/bulk-delete", _bulk_delete),
    Route("POST", "/channels/{channel_id}/typing", _typing),
    Route("PUT", _EMOJI + "/{user_id}", _react),
    Route("DELETE", _EMOJI + "/{user_id}", _unreact),
    Route("GET", _EMOJI, _reactors),
    Route("DELETE", _EMOJI, _clear),
    Route("DELETE", _ONE + "/reactions", _clear),
    Route("GET", "/channels/{channel_id}/messages/pins", _pins),
    Route("PUT", "/channels/{channel_id}/messages/pins/{message_id}", _pin),
    Route("DELETE", "/channels/{channel_id}/messages/pins/{message_id}", _unpin),
    Route("GET", "/channels/{channel_id}/pins", _old_pins),
    Route("PUT", "/channels/{channel_id}/pins/{message_id}", _pin),
    Route("DELETE", "/channels/{channel_id}/pins/{message_id}", _unpin),
    Route("GET", "/channels/{channel_id}/polls/{message_id}/answers/{answer_id}", _voters),
    Route("POST", "/channels/{channel_id}/polls/{message_id}/expire", _expire),
]
