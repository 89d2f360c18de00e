"""What the control can be asked over HTTP: each function is one action, its keywords are the fields of the request.

Users, channels and messages are named by id, or users and channels by name. Files travel in base64.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, validate_call

from antiphon.sim.discord.control.control import Control
from antiphon.sim.discord.control.views import interaction_view, message_view, option_view
from antiphon.sim.discord.rules.commands import visible
from antiphon.sim.discord.world.channels import TEXT
from antiphon.sim.discord.world.commands import Interaction

Action = Callable[..., Any]
_checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))


class File(BaseModel):
    name: str
    base64: str

    def read(self) -> tuple[str, bytes]:
        return self.name, _bytes(self.base64)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("the file is not base64") from error


# People


@_checked
def send(
    control: Control,
    *,
    user: str,
    channel: str,
    text: str = "",
    reply_to: str | None = None,
    files: list[File] | None = None,
    poll: dict[str, Any] | None = None,
) -> Any:
    replied = control.message(reply_to) if reply_to else None
    more: Any = {"poll": poll} if poll else {}
    read = [one.read() for one in files or []]
    return message_view(control.user(user).send(channel, text, reply_to=replied, files=read, **more))


@_checked
def voice_message(control: Control, *, user: str, channel: str, audio: str, seconds: float) -> Any:
    return message_view(control.user(user).voice_message(channel, _bytes(audio), seconds=seconds))


@_checked
def edit(control: Control, *, user: str, message: str, text: str) -> Any:
    return message_view(control.user(user).edit(control.message(message), text))


@_checked
def delete(control: Control, *, user: str, message: str) -> None:
    control.user(user).delete(control.message(message))


@_checked
def react(control: Control, *, user: str, message: str, emoji: str, remove: bool = False) -> None:
    player = control.user(user)
    (player.unreact if remove else player.react)(control.message(message), emoji)


@_checked
def vote(control: Control, *, user: str, message: str, answer: int) -> None:
    control.user(user).vote(control.message(message), answer)


@_checked
def typing(control: Control, *, user: str, channel: str) -> None:
    control.user(user).typing(channel)


@_checked
def thread(control: Control, *, user: str, message: str, name: str) -> Any:
    return control.user(user).thread(control.message(message), name).payload()


@_checked
def post(control: Control, *, user: str, forum: str, title: str, text: str) -> Any:
    return message_view(control.user(user).post(forum, title, text))


@_checked
def dm(control: Control, *, user: str) -> Any:
    return control.user(user).dm().payload()


@_checked
def join_voice(control: Control, *, user: str, channel: str, mute: bool = False, deaf: bool = False) -> None:
    control.user(user).join_voice(channel, mute=mute, deaf=deaf)


@_checked
def leave_voice(control: Control, *, user: str) -> None:
    control.user(user).leave_voice()


@_checked
def speak(control: Control, *, user: str, on: bool = True) -> None:
    control.user(user).speak(on)


@_checked
def join(control: Control, *, user: str, guild: str | None = None) -> None:
    control.user(user).join(guild)


@_checked
def leave(control: Control, *, user: str, guild: str | None = None) -> None:
    control.user(user).leave(guild)


@_checked
def presence(control: Control, *, user: str, status: str) -> None:
    control.user(user).presence(status)


# Commands and components. `wait` is for how many seconds the answer is waited for.


@_checked
def commands(control: Control, *, user: str, channel: str) -> Any:
    """What the client would list after a slash."""
    found = visible(control.world, control.channel(channel), control.user(user).user)
    return [option_view(application, command) for application, command in found]


@_checked
async def slash(
    control: Control,
    *,
    user: str,
    channel: str,
    command: str,
    options: dict[str, str | int | float | bool] | None = None,
    wait: float = 0,
) -> Any:
    return await _outcome(control, control.user(user).slash(command, channel, dict(options or {})), wait)


@_checked
async def autocomplete(
    control: Control,
    *,
    user: str,
    channel: str,
    command: str,
    option: str,
    typed: str,
    options: dict[str, str | int | float | bool] | None = None,
    wait: float = 3,
) -> Any:
    started = control.user(user).autocomplete(command, channel, option, typed, dict(options or {}))
    return await _outcome(control, started, wait)


@_checked
async def press(control: Control, *, user: str, message: str, custom_id: str, wait: float = 0) -> Any:
    return await _outcome(control, control.user(user).press(control.message(message), custom_id), wait)


@_checked
async def choose(
    control: Control, *, user: str, message: str, custom_id: str, values: list[str], wait: float = 0
) -> Any:
    return await _outcome(control, control.user(user).choose(control.message(message), custom_id, values), wait)


@_checked
async def submit(control: Control, *, user: str, interaction: str, values: dict[str, str], wait: float = 0) -> Any:
    return await _outcome(control, control.user(user).submit(_interaction(control, interaction), values), wait)


@_checked
async def interaction(control: Control, *, interaction: str, wait: float = 0) -> Any:
    return await _outcome(control, _interaction(control, interaction), wait)


def _interaction(control: Control, which: str) -> Interaction:
    found = control.world.interactions.get(int(which))
    if found is None:
        raise LookupError(f"There is no interaction {which}")
    return found


async def _outcome(control: Control, started: Interaction, wait: float) -> Any:
    deadline = asyncio.get_running_loop().time() + min(wait, 60)
    while interaction_view(control, started)["state"] == "waiting":
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        try:
            await control.wait_for(lambda: interaction_view(control, started)["state"] != "waiting", min(left, 0.25))
        except TimeoutError:
            continue
    return interaction_view(control, started)


# The world


@_checked
def create_user(control: Control, *, name: str, roles: list[str] | None = None, guild: str | None = None) -> Any:
    return control.create_user(name, roles=roles, guild=guild).user.payload()


@_checked
def create_guild(control: Control, *, name: str, owner: str = "olive") -> Any:
    return {"id": str(control.create_guild(name, owner=owner).id)}


@_checked
def create_channel(
    control: Control, *, name: str, type: int = TEXT, guild: str | None = None, topic: str | None = None
) -> Any:
    return control.create_channel(name, type, guild=guild, topic=topic).payload()


@_checked
def delete_channel(control: Control, *, channel: str) -> None:
    control.delete_channel(channel)


@_checked
def create_role(control: Control, *, name: str, permissions: int = 0, guild: str | None = None) -> Any:
    return control.create_role(name, permissions, guild=guild).payload()


@_checked
def permit(control: Control, *, channel: str, whom: str, role: bool = False, allow: int = 0, deny: int = 0) -> None:
    place = control.channel(channel)
    target = control.role(whom, place.guild) if role else control.user(whom).user
    control.permit(place, target, allow=allow, deny=deny)


@_checked
def big_world(control: Control, *, servers: int, members: int, channels: int = 20) -> Any:
    return {"guilds": [str(guild.id) for guild in control.big_world(servers, members, channels)]}


# Faults and time


@_checked
def fault(control: Control, *, kind: str, times: int = 1, settings: dict[str, Any] | None = None) -> None:
    """`settings` are those of `faults.py`: route, event, op, after, seconds, status, code, retry_after, scope."""
    control.fault(kind, times=times, **(settings or {}))


@_checked
def clear_faults(control: Control) -> None:
    control.clear_faults()


@_checked
def disconnect(control: Control, *, code: int = 0) -> Any:
    return {"connections": control.disconnect(code)}


@_checked
def disconnect_voice(control: Control, *, code: int = 4015) -> Any:
    return {"connections": control.disconnect_voice(code)}


@_checked
def reconnect(control: Control) -> None:
    control.reconnect()


@_checked
def invalidate(control: Control) -> None:
    control.invalidate()


@_checked
def ask_heartbeat(control: Control) -> None:
    control.ask_heartbeat()


@_checked
def revoke_token(control: Control) -> Any:
    return {"token": control.revoke_token()}


@_checked
def latency(control: Control, *, seconds: float) -> None:
    control.latency(seconds)


@_checked
def unavailable(control: Control, *, guild: str | None = None, on: bool = True) -> None:
    control.unavailable(guild, on=on)


@_checked
def intents(control: Control, *, flags: int) -> None:
    """The privileged intents that the application has switched on, as application flags."""
    control.bot.flags = flags


@_checked
def limits(control: Control, *, values: dict[str, Any]) -> None:
    """Fields of `Limits`, such as `{"identify_every": 0, "routes": {"POST /channels/{}/messages": [50, 1]}}`."""
    control.set_limits(**values)


@_checked
def advance(control: Control, *, seconds: float) -> None:
    control.advance(seconds)


@_checked
async def storm(
    control: Control, *, channel: str, rate: float, seconds: float, user: str = "ada", text: str = "storm {n}"
) -> Any:
    if not 0 < rate <= 10_000 or not 0 < seconds <= 600:
        raise ValueError("a storm has up to 10000 messages a second, for up to 600 seconds")
    return {"sent": await control.storm(channel, rate=rate, seconds=seconds, by=user, text=text)}


ACTIONS: dict[str, Action] = {
    function.__name__: function
    for function in (
        send, voice_message, edit, delete, react, vote, typing, thread, post, dm, join_voice, leave_voice, speak,
        join, leave, presence, commands, slash, autocomplete, press, choose, submit, interaction, create_user,
        create_guild, create_channel, delete_channel, create_role, permit, big_world, fault, clear_faults,
        disconnect, disconnect_voice, reconnect, invalidate, ask_heartbeat, revoke_token, latency, unavailable,
        intents, limits, advance, storm,
    )
}  # fmt: skip


async def act(control: Control, name: str, fields: dict[str, Any]) -> Any:
    """Raises LookupError for an unknown action or name, ValueError (also pydantic's) for wrong fields, and what Discord
    would refuse as `Refused`.
    """
    action = ACTIONS.get(name)
    if action is None:
        raise LookupError(f"There is no action {name!r}; there are {', '.join(ACTIONS)}.")
    result = action(control, **fields)
    return await result if isinstance(result, Awaitable) else result
