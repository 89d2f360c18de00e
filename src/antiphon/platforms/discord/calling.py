"""The two ways to call a command: written with the prefix, and as an interaction (slash commands and buttons).

Interactions are acknowledged before anything is looked up: Discord waits three seconds. What a command says goes to its
caller alone; for a written one that is a direct message where the command was called in a server and something private
or an error is to be told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import ServerRef
from antiphon.domain.errors import AntiphonError
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.command_list import CommandList
from antiphon.platforms.discord.commands import FAILED, MOST_CHOICES, Answer, Call, Commands, Says, values_of
from antiphon.platforms.discord.delivery import NO_MENTIONS, shown_text
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused
from antiphon.platforms.discord.ids import PLATFORM, channel_key, time_of
from antiphon.platforms.discord.permissions import PERMISSIONS
from antiphon.platforms.discord.reading import Json, Place, clean, question, sender_of
from antiphon.platforms.discord.rest import DiscordRest
from antiphon.platforms.discord.taking import Command, Places

log = structlog.stdlib.get_logger(__name__)

_PRIVATE = 1 << 6
_PING, _COMMAND, _COMPONENT, _SUGGEST, _FORM = 1, 2, 3, 4, 5
_SAY, _LATER, _UPDATE_LATER, _UPDATE, _CHOICES = 4, 5, 6, 7, 8
_SHOWN_TO_ALL = frozenset({"help", "status", "join", "leave"})
"""Written commands whose answers stand in the channel; those of the others are private."""

Handler = Callable[[Json], Awaitable[Json]]
"""Takes a press or a form, and returns how to answer it: `{"type": ..., "data": ...}` as Discord takes it."""


class Calling:
    """Takes calls, runs them and answers."""

    def __init__(
        self,
        commands: Commands,
        listed: CommandList,
        api: DiscordRest,
        store: PlatformStore,
        places: Places,
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._listed = listed
        self._api = api
        self._store = store
        self._places = places
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Handler] = {}

    def handle(self, prefix: str, handler: Handler) -> None:
        """Let `handler` answer buttons and forms whose custom id begins with `prefix`."""
        self._handlers[prefix] = handler

    async def close(self) -> None:
        """Let what runs end, for a moment."""
        if self._running:
            await asyncio.wait(self._running, timeout=1.0)
        for task in list(self._running):
            task.cancel()

    async def register(self, application: str) -> None:
        """Make the slash commands known to Discord, if they are not those it has."""
        wanted = [spec.as_discord() for spec in self._commands.specs.values()]
        try:
            there: list[Json] = await self._api.call(rest.COMMANDS, application=application)
            if _digest(there) != _digest(wanted):
                await self._api.call(rest.SET_COMMANDS, body=wanted, application=application)
                log.info("discord.commands_registered", count=len(wanted))
        except (DiscordRefused, DiscordAway) as error:
            log.warning("discord.commands_not_registered", reason=str(error))

    # --- written ------------------------------------------------------------------------------------------------------

    async def written(self, command: Command) -> None:
        """A command with the prefix."""
        message, spec = command.message, self._commands.specs[command.name]
        sender = sender_of(message)
        call = await self._call(
            command.name, values_of(spec, command.words), sender, command.place, f"c{message['id']}", message
        )
        answer, ok = await self._commands.run(call)
        if answer.text:
            await self._reply(call, answer, private=not ok or command.name not in _SHOWN_TO_ALL)

    async def _reply(self, call: Call, answer: Answer, *, private: bool) -> None:
        body = _body(answer)
        body |= {"nonce": call.origin[:25], "enforce_nonce": True}
        channel = call.place.id
        try:
            if private and call.place.server:
                try:
                    direct: Json = await self._api.call(rest.DIRECT, body={"recipient_id": call.sender.native_id})
                    await self._api.call(rest.SEND, body=body, channel=str(direct["id"]))
                    return
                except DiscordRefused:
                    # What is private stays so.
                    body = _body(Answer(f"I may not write to you directly; please use the command `/{call.name}`."))
            if call.message is not None:
                body["message_reference"] = {"message_id": str(call.message["id"]), "fail_if_not_exists": False}
            await self._api.call(rest.SEND, body=body, channel=channel)
        except (DiscordRefused, DiscordAway) as error:
            log.info("discord.command_unanswered", command=call.name, reason=str(error))

    # --- interactions -------------------------------------------------------------------------------------------------

    def feed(self, interaction: Json) -> None:
        """`INTERACTION_CREATE`."""
        task = asyncio.get_running_loop().create_task(self._interact(interaction), name="discord-interaction")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _interact(self, interaction: Json) -> None:
        try:
            match interaction.get("type"):
                case 2:
                    await self._slash(interaction)
                case 3 | 5:
                    await self._press(interaction)
                case 4:
                    await self._suggest(interaction)
                case _:
                    log.debug("discord.interaction_ignored", kind=str(interaction.get("type")))
        except (DiscordRefused, DiscordAway) as error:
            log.warning("discord.interaction_failed", reason=str(error))
        except AntiphonError as error:
            log.warning("discord.interaction_failed", code=error.code)
        except Exception:
            log.exception("discord.interaction_failed")

    async def _slash(self, interaction: Json) -> None:
        spec = self._commands.specs.get(str(interaction["data"].get("name")))
        if spec is not None and spec.says is not None:
            await self._ask(interaction, spec.name, spec.says)
            return
        await self._answer(interaction, _LATER, {"flags": _PRIVATE})
        log.debug("discord.acknowledged", seconds=self._age(interaction))
        name = str(interaction["data"].get("name"))
        if name not in self._commands.specs:
            await self._finish(interaction, Answer("I do not know this command (any more)."))
            return
        try:
            call = await self._call_of(interaction, name)
            answer, _ = await self._commands.run(call)
        except AntiphonError as error:
            answer = Answer(error.message)
        except Exception:
            log.exception("command.failed", command=name)
            answer = Answer(FAILED)
        await self._finish(interaction, answer)

    async def _ask(self, interaction: Json, name: str, says: Says) -> None:
        """A question to the agent: the acknowledgement itself shows it to everybody.

        What is shown is heard like any other message (`reading.asked`), from the gateway or after a crash from the
        history. So there is no moment in which it was acknowledged and could be lost.
        """
        began = time.monotonic()
        place, sender, values = self._about(interaction)
        text = clean(says(values)).strip()
        if not text:
            ok, data = False, {"content": "Something is missing: what shall I answer?", "flags": _PRIVATE}
        elif not _may_answer(interaction):
            refusal = "I cannot answer here: I lack the permission to see this channel or to write in it."
            ok, data = False, {"content": refusal, "flags": _PRIVATE}
        else:
            ok, data = True, {"content": question(sender.name, text), "allowed_mentions": NO_MENTIONS}
        await self._answer(interaction, _SAY, data)
        await self._commands.count(name, place, ok, time.monotonic() - began, written=False)

    async def _suggest(self, interaction: Json) -> None:
        name = str(interaction["data"].get("name"))
        spec = self._commands.specs.get(name)
        focused = next((one for one in interaction["data"].get("options") or () if one.get("focused")), None)
        choices: list[Json] = []
        if spec is not None and spec.suggest is not None and focused is not None:
            try:
                call = await self._call_of(interaction, name)
                for label, value in list(await spec.suggest(call, str(focused.get("value", ""))))[:MOST_CHOICES]:
                    numeric = focused.get("type") == 4 and value.isdigit()
                    choices.append({"name": label[:100], "value": int(value) if numeric else value[:100]})
            except AntiphonError as error:
                log.info("command.not_suggested", command=name, code=error.code)
        await self._answer(interaction, _CHOICES, {"choices": choices})

    async def _press(self, interaction: Json) -> None:
        custom = str(interaction["data"].get("custom_id", ""))
        for prefix, handler in self._handlers.items():
            if custom.startswith(prefix):
                answer = await handler(interaction)
                await self._answer(interaction, int(answer["type"]), answer.get("data"))
                return
        kind, _, rest_of = custom.partition(":")
        if kind in ("approve", "deny") and rest_of.isdigit():
            await self._decide(interaction, int(rest_of), approve=kind == "approve")
        elif kind in ("forget", "keep"):
            await self._forget(interaction, kind == "forget", *rest_of.partition(":")[::2])
        else:
            await self._answer(interaction, _SAY, {"content": "This button does nothing any more.", "flags": _PRIVATE})

    async def _decide(self, interaction: Json, approval: int, *, approve: bool) -> None:
        """An approval is answered by a button: the buttons of it go, whoever pressed first."""
        await self._answer(interaction, _UPDATE_LATER, None)
        call = await self._call_of(interaction, "approve")
        try:
            said = await self._listed.decide(approval, call, approve=approve)
        except AntiphonError as error:
            await self._whisper(interaction, error.message)
            if error.code not in ("conflict", "not_found"):
                return  # somebody else may still answer
            said = "Answered already, or too late."
        message = interaction.get("message") or {}
        left = [
            row
            for row in message.get("components") or ()
            if not any(str(one.get("custom_id", "")).endswith(f":{approval}") for one in row.get("components") or ())
        ]
        text = f"{message.get('content', '')}\n*{said} ({call.sender.name})*".strip()
        await self._finish(interaction, Answer(text), components=left)

    async def _forget(self, interaction: Json, agreed: bool, kind: str, user: str) -> None:
        call = await self._call_of(interaction, "forget-me")
        if call.sender.native_id != user:
            await self._answer(interaction, _SAY, {"content": "This is not yours to answer.", "flags": _PRIVATE})
            return
        await self._answer(interaction, _UPDATE_LATER, None)
        try:
            said = "Nothing was forgotten."
            if agreed:
                said = await self._listed.forgotten(call.requester.person, everything=kind == "all")
        except AntiphonError as error:
            said = error.message
        await self._finish(interaction, Answer(said), components=[])

    async def _answer(self, interaction: Json, kind: int, data: Json | None) -> None:
        body: Json = {"type": kind} if data is None else {"type": kind, "data": data}
        await self._api.call(
            rest.ANSWER, body=body, interaction=str(interaction["id"]), token=str(interaction["token"])
        )

    async def _finish(self, interaction: Json, answer: Answer, *, components: list[Json] | None = None) -> None:
        body = _body(answer if answer.text else Answer("Done.", answer.buttons))
        if components is not None:
            body["components"] = components
        await self._api.call(
            rest.ANSWER_EDIT, body=body, webhook=str(interaction["application_id"]), token=str(interaction["token"])
        )

    async def _whisper(self, interaction: Json, text: str) -> None:
        await self._api.call(
            rest.FOLLOW_UP,
            body={"content": text, "flags": _PRIVATE, "allowed_mentions": NO_MENTIONS},
            webhook=str(interaction["application_id"]),
            token=str(interaction["token"]),
        )

    def _age(self, interaction: Json) -> float:
        now: datetime = self._clock.now()
        return round((now - time_of(str(interaction["id"]))).total_seconds(), 3)

    # --- who calls ----------------------------------------------------------------------------------------------------

    async def _call_of(self, interaction: Json, name: str) -> Call:
        place, sender, values = self._about(interaction)
        return await self._call(name, values, sender, place, f"i{interaction['id']}", None)

    def _about(self, interaction: Json) -> tuple[Place, Sender, dict[str, str]]:
        """Where an interaction was started, by whom, and with what values."""
        member = interaction.get("member") or {}
        user = member.get("user") or interaction.get("user") or {}
        place = self._places.place(str(interaction.get("channel_id") or ""), str(interaction.get("guild_id") or ""))
        options = interaction["data"].get("options") or ()
        values = {str(one["name"]): str(one.get("value", "")) for one in options}
        return place, sender_of({"author": user, "member": member}), values

    async def _call(
        self, name: str, values: Mapping[str, str], sender: Sender, place: Place, origin: str, message: Json | None
    ) -> Call:
        person = await self._store.person_of(PLATFORM, sender)
        server = (
            await self._store.server_of(ServerRef(PLATFORM, place.server, place.server_name)) if place.server else None
        )
        requester = Requester(
            person=person, platform=PLATFORM, channel=channel_key(place.id), account=sender.native_id, server=server
        )
        return Call(name, values, sender, requester, place, origin, message)


def _may_answer(interaction: Json) -> bool:
    """Whether the bot may see and write where a command was used, as Discord says with it."""
    told = str(interaction.get("app_permissions") or "")
    if not told.isdigit():
        return True
    thread = (interaction.get("channel") or {}).get("type") in (10, 11, 12)
    wanted = PERMISSIONS["send_messages_in_threads" if thread else "send_messages"] | PERMISSIONS["view_channel"]
    return int(told) & wanted == wanted or bool(int(told) & PERMISSIONS["administrator"])


def _body(answer: Answer) -> Json:
    components: list[Json] = []
    if answer.buttons:
        components.append(
            {
                "type": 1,
                "components": [
                    {"type": 2, "style": 4 if one.danger else 2, "label": one.label, "custom_id": one.id}
                    for one in answer.buttons
                ],
            }
        )
    return {"content": shown_text(answer.text), "allowed_mentions": NO_MENTIONS, "components": components}


def _digest(commands: list[Json]) -> list[tuple[object, ...]]:
    """What makes two lists of commands the same, whatever Discord adds to them."""
    return sorted(
        (
            str(command.get("name")),
            str(command.get("description")),
            tuple(int(one) for one in command.get("contexts") or (0, 1)),
            tuple(
                (
                    str(option.get("name")),
                    str(option.get("description")),
                    int(option.get("type") or 3),
                    bool(option.get("required")),
                    bool(option.get("autocomplete")),
                    int(option.get("max_length") or 0),
                    tuple(str(one.get("value")) for one in option.get("choices") or ()),
                )
                for option in command.get("options") or ()
            ),
        )
        for command in commands
    )
