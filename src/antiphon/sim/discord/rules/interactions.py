"""What people start (commands, buttons, selects, modals, autocompletion) and what applications answer.

Source: docs, Receiving and Responding: "Interaction Object", "Interaction Callback" (types, 3 seconds: afterwards
10062; twice: 40060), "Followup Messages" (15 minutes: afterwards 50027), "Autocomplete" (25 choices), "Modal".
"""

from __future__ import annotations

import secrets
from typing import Any

from antiphon.sim.discord.errors import Form, Refused, refused, unknown
from antiphon.sim.discord.permissions import ALL, P
from antiphon.sim.discord.rules import commands
from antiphon.sim.discord.rules.answers import send_as_answer
from antiphon.sim.discord.rules.components import SELECTS, check_modal, find
from antiphon.sim.discord.rules.messages import remove, rewrite
from antiphon.sim.discord.rules.need import need
from antiphon.sim.discord.rules.uploads import Upload
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL, Interaction
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.messages import EPHEMERAL, LOADING, Message
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.world import World

PONG, REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 1, 4, 5, 6, 7, 8, 9


def command(
    world: World, user: User, channel: Channel, name: str, values: dict[str, Any], *, bot: int | None = None
) -> Interaction:
    """A slash command; `name` may be "group sub". Raises when the user does not see such a command."""
    need(world, channel, user, P.USE_APPLICATION_COMMANDS)
    top, *path = name.split(" ")
    application, found = commands.find(world, channel, user, top, bot)
    data = commands.fill(world, channel, found, values, path)
    return _begin(world, COMMAND, application, user, channel, data)


def menu(
    world: World, user: User, channel: Channel, name: str, target: User | Message, *, bot: int | None = None
) -> Interaction:
    """A context menu command on a user or a message."""
    need(world, channel, user, P.USE_APPLICATION_COMMANDS)
    kind = 3 if isinstance(target, Message) else 2
    application, found = commands.find(world, channel, user, name, bot, kind)
    data: dict[str, Any] = {"id": str(found.id), "name": name, "type": kind, "target_id": str(target.id)}
    data["resolved"] = {"messages" if kind == 3 else "users": {str(target.id): target.payload()}}
    if isinstance(target, User) and channel.guild and target.id in channel.guild.members:
        member = {**channel.guild.members[target.id].payload(user=False), "permissions": "0"}
        data["resolved"]["members"] = {str(target.id): member}
    return _begin(world, COMMAND, application, user, channel, data)


def autocomplete(
    world: World, user: User, channel: Channel, name: str, option: str, typed: str, values: dict[str, Any]
) -> Interaction:
    """What the client asks while somebody types into `option`."""
    top, *path = name.split(" ")
    application, found = commands.find(world, channel, user, top, None)
    data = commands.fill(world, channel, found, {**values, option: typed}, path, focused=option)
    return _begin(world, AUTOCOMPLETE, application, user, channel, data)


def use(world: World, user: User, message: Message, custom_id: str, values: list[str] | None = None) -> Interaction:
    """Press a button, or choose in a select. Raises for a component that is not there or is switched off."""
    if message.visible_to != user.id:
        need(world, message.channel, user, P.VIEW_CHANNEL)
    component = find(message.components, custom_id)
    application = world.applications.get(message.application_id or 0)
    if component is None or application is None or component.get("disabled"):
        raise refused(404, 10008, "There is no such component to use")
    data: dict[str, Any] = {"custom_id": custom_id, "component_type": component["type"], "id": component.get("id")}
    if component["type"] in SELECTS:
        data["values"] = values or []
        if component["type"] == 3 and not set(data["values"]) <= {one["value"] for one in component["options"]}:
            raise refused(400, 50035, "There is no such option to choose")
    return _begin(world, COMPONENT, application, user, message.channel, data, message)


def submit(world: World, shown: Interaction, values: dict[str, str]) -> Interaction:
    """Fill in the modal that was the answer to `shown`."""
    if shown.response_type != SHOW_MODAL or shown.response is None:
        raise Refused(400, 50035, "This interaction was not answered by a modal")
    components = [_filled(one, values) for one in shown.response["components"]]
    data = {"custom_id": shown.response["custom_id"], "components": components}
    return _begin(world, MODAL, shown.application, shown.user, shown.channel, data, shown.message)


def _filled(component: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    filled = {key: component[key] for key in ("type", "id", "custom_id") if key in component}
    if "components" in component:
        filled["components"] = [_filled(one, values) for one in component["components"]]
    if isinstance(component.get("component"), dict):
        filled["component"] = _filled(component["component"], values)
    if component["type"] == 4:
        filled["value"] = values.get(component["custom_id"], component.get("value") or "")
        if component.get("required", True) and not filled["value"]:
            raise Refused(400, 50035, f"{component['custom_id']} is required")
    elif component["type"] in SELECTS:
        chosen = values.get(component["custom_id"], "")
        filled["values"] = [chosen] if chosen else []
    return filled


def _begin(
    world: World,
    kind: int,
    application: Application,
    user: User,
    channel: Channel,
    data: dict[str, Any],
    message: Message | None = None,
) -> Interaction:
    token = secrets.token_urlsafe(64)
    started = Interaction(world.ids.new(), token, kind, application, user, channel, data, world.clock.now(), message)
    world.interactions[started.id] = world.interaction_tokens[token] = started
    world.announce(
        Dispatch(
            "INTERACTION_CREATE", _payload(world, started), channel.guild, users=frozenset({application.id}), intents=0
        )
    )
    return started


def _payload(world: World, started: Interaction) -> dict[str, Any]:
    channel, guild, user = started.channel, started.channel.guild, started.user
    member = guild.members.get(user.id) if guild else None
    bits = int(world.permissions(channel, started.application.user)) if guild else int(ALL)
    payload: dict[str, Any] = {
        "id": str(started.id),
        "application_id": str(started.application.id),
        "type": started.type,
        "token": started.token,
        "version": 1,
        "channel_id": str(channel.id),
        "channel": channel.payload(),
        "data": started.data,
        "locale": "en-US",
        "app_permissions": str(bits),
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
        "context": 0 if guild else 1,
        "attachment_size_limit": world.limits.upload,
    }
    if guild is not None and member is not None:
        payload |= {
            "guild_id": str(guild.id),
            "guild": {"id": str(guild.id), "locale": guild.preferred_locale, "features": guild.features},
            "guild_locale": guild.preferred_locale,
            "member": {**member.payload(), "permissions": str(int(world.permissions(channel, user)))},
        }
    else:
        payload["user"] = user.payload()
    if started.message is not None:
        payload["message"] = started.message.payload()
    return payload


# Answers


def respond(world: World, interaction_id: int, token: str, body: dict[str, Any], uploads: list[Upload]) -> Interaction:
    """The initial answer."""
    started = world.interactions.get(interaction_id)
    if started is None or started.token != token:
        raise unknown("interaction")
    if started.acknowledged is not None:
        raise refused(400, 40060, "Interaction has already been acknowledged.")
    now = world.clock.now()
    if now - started.created > world.limits.acknowledge_within:
        raise unknown("interaction")
    form, data = Form(), body.get("data") or {}
    allowed = {CHOICES} if started.type == AUTOCOMPLETE else {REPLY, DEFER, SHOW_MODAL, 12}
    if started.message is not None:
        allowed |= {DEFER_UPDATE, UPDATE}
    if started.type == MODAL:
        allowed -= {SHOW_MODAL}
    kind = form.choice("type", body.get("type"), allowed)
    if kind is None:
        form.required("type")
    if kind == SHOW_MODAL:
        check_modal(form, data)
    if kind == CHOICES:
        for index, choice in enumerate(form.items("data.choices", data.get("choices"), most=25)):
            form.text(f"data.choices.{index}.name", choice.get("name"), least=1, most=100, none=False)
    form.check()
    if kind in (REPLY, DEFER):
        started.original = send_as_answer(world, started, data, uploads, waiting=kind == DEFER)
        started.waiting = kind == DEFER
        started.first_ephemeral = bool(started.original.flags & EPHEMERAL)
    elif kind in (UPDATE, DEFER_UPDATE):
        started.original = started.message
        if kind == UPDATE and started.message is not None:
            rewrite(world, started.message, data, uploads)
    started.acknowledged, started.response_type, started.response = now, kind, data
    return started


def callback_payload(started: Interaction) -> dict[str, Any]:
    """Source: docs, Receiving and Responding, "Interaction Callback Response Object" (with `with_response`)."""
    message = started.original if started.response_type in (REPLY, DEFER, UPDATE, DEFER_UPDATE) else None
    about: dict[str, Any] = {
        "id": str(started.id),
        "type": started.type,
        "response_message_loading": started.waiting,
        "response_message_ephemeral": started.first_ephemeral,
    }
    payload: dict[str, Any] = {"interaction": about, "resource": {"type": started.response_type}}
    if message is not None:
        about["response_message_id"] = str(message.id)
        payload["resource"]["message"] = message.payload()
    return payload


def by_token(world: World, application_id: int, token: str) -> Interaction:
    """The interaction whose token is still good."""
    started = world.interaction_tokens.get(token)
    if started is None or started.application.id != application_id:
        raise unknown("webhook")
    if world.clock.now() - started.created > world.limits.interaction_token:
        raise refused(401, 50027, "Invalid Webhook Token")
    return started


def follow_up(world: World, started: Interaction, body: dict[str, Any], uploads: list[Upload]) -> Message:
    """Another message. The first one after "thinking" takes its place, and keeps whether it is private."""
    if started.acknowledged is None:
        raise unknown("webhook")
    if started.waiting and started.original is not None:
        return edit_original(world, started, body, uploads)
    message = send_as_answer(world, started, body, uploads)
    started.followups.append(message)
    return message


def original(started: Interaction) -> Message:
    if started.original is None:
        raise unknown("message")
    return started.original


def edit_original(world: World, started: Interaction, body: dict[str, Any], uploads: list[Upload]) -> Message:
    message = rewrite(world, original(started), body, uploads)
    if started.waiting:
        started.waiting = False
        message.flags &= ~LOADING
        message.edited = None
    return message


def answer(started: Interaction, message_id: int) -> Message:
    """One of the messages of this interaction, also an ephemeral one."""
    everything = [one for one in (started.original, *started.followups) if one is not None]
    found = next((one for one in everything if one.id == message_id), None)
    if found is None:
        raise unknown("message")
    return found


def delete_answer(world: World, started: Interaction, message: Message) -> None:
    if message is started.original:
        started.original, started.waiting = None, False
    else:
        started.followups = [one for one in started.followups if one is not message]
    remove(world, message)
