"""`antiphon demo`: the whole product with a simulated Discord, no token and nothing that stays.

The simulator runs in this process, on a loopback port of its own that only the product's client knows; a page of the
console plays the people of its one small server. Everything is written into a temporary folder.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from antiphon.config import Settings
from antiphon.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.run.wiring import Extras
    from antiphon.sim.discord import DiscordSim
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.commands import Interaction
    from antiphon.sim.discord.world.messages import Message
    from antiphon.sim.discord.world.users import User

LOG_CHANNEL = "antiphon-log"
SHOWN = 60
"""Messages of a channel that the page shows."""
_ANSWERS = 20
_FORM = 9
"""The kind of answer to an interaction that opens a form (a modal)."""
_MOST_PEOPLE = 12
_KINDS = {0: "text", 2: "voice", 15: "forum"}
_PAIR = re.compile(r"(\w+):\s*")
_QUOTE = re.compile(r"\*\*|__|~~|`|^> ?", re.MULTILINE)
"""Marks that a message quoted in one line is shown without."""
_REFERENCES = re.compile(r"<(@!?|@&|#)(\d+)>")


def run_demo(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. Raises as `roles.run_role`."""
    from antiphon.run.roles import ROLES, run_role

    with tempfile.TemporaryDirectory(prefix="antiphon-demo-") as folder:
        update = {"data_dir": Path(folder), "database_url": SecretStr(""), "redis_url": SecretStr("")}
        # Not read from anywhere: what the Settings page writes shall not bring a token back.
        alone = settings.model_copy(update=update).with_origins({})
        run_role(ROLES["up"], alone, announce=announce, beforehand=a_stage)


@asynccontextmanager
async def a_stage(settings: Settings) -> AsyncIterator[tuple[Settings, Extras]]:
    """A simulated Discord, and the settings that lead there and nowhere else."""
    from antiphon.run.wiring import Extras
    from antiphon.sim.discord import DiscordSim

    async with DiscordSim() as sim:
        changes = {
            "token": SecretStr(sim.token),
            "ca_file": sim.ca_file,
            "loopback": sim.port,
            "log_channel": LOG_CHANNEL,
            "names": ("antiphon",),
        }
        discord = settings.discord.model_copy(update=changes)
        yield settings.model_copy(update={"discord": discord}), Extras(demo=Stage(sim))


class Stage:
    """Plays people in the simulated server. Implements `api.services.DemoStage`."""

    def __init__(self, sim: DiscordSim) -> None:
        self._sim = sim
        self._control = sim.control
        self._changes = 0
        sim.world.listen(self._changed)

    def _changed(self, dispatch: object) -> None:
        del dispatch
        self._changes += 1

    @property
    def version(self) -> int:
        """Grows with everything that happens there, and with what comes late (answers to one person alone)."""
        late = sum(1 for one in self._sim.world.interactions.values() if one.original is not None)
        return self._changes + late

    # --- what the page shows ------------------------------------------------------------------------------------------

    def scene(self, channel: str) -> dict[str, Any]:
        """The server, its people, and one channel as Discord would show it."""
        guild = self._control.guild()
        places = [one for one in [*guild.channels.values(), *guild.threads.values()] if self._shown(one)]
        chosen = next((one for one in places if str(one.id) == channel), None) or self._first(places)
        bot = self._control.bot
        known = {**bot.commands, **guild.commands.get(bot.id, {})}
        return {
            "server": {"id": str(guild.id), "name": guild.name},
            "bot": {"id": str(bot.user.id), "name": bot.user.name, "connected": self._control.connected},
            "people": [
                {"id": str(one.user.id), "name": _name(one.user), "voice": self._voice_of(one.user)}
                for one in guild.members.values()
                if not one.user.bot
            ],
            "channels": [
                {
                    "id": str(one.id),
                    "name": one.name,
                    "kind": "thread" if one.is_thread else _KINDS.get(one.type, "text"),
                    "inside": [
                        _name(state.member.user) for state in guild.voice_states.values() if state.channel is one
                    ],
                    "last": str(one.last_message_id or ""),
                }
                for one in places
            ],
            "channel": {
                "id": str(chosen.id),
                "name": chosen.name,
                "messages": [self._message(one) for one in self._messages(chosen)],
            },
            "commands": [
                {"name": one.name, "description": str(one.body.get("description", ""))}
                for one in known.values()
                if one.type == 1
            ],
        }

    @staticmethod
    def _shown(channel: Channel) -> bool:
        return channel.is_thread or channel.type in _KINDS

    def _first(self, places: list[Channel]) -> Channel:
        return next((one for one in places if one.name == "general"), places[0])

    def _voice_of(self, user: User) -> str:
        state = self._control.guild().voice_states.get(user.id)
        return "" if state is None else state.channel.name

    def _messages(self, channel: Channel) -> list[Message]:
        """What stands in a channel, and the last answers that only one person sees."""
        started = [one for one in self._sim.world.interactions.values() if one.channel is channel][-_ANSWERS:]
        answers = [message for one in started for message in (one.original, *one.followups) if message is not None]
        alone = [message for message in answers if message.visible_to is not None]
        return sorted([*channel.messages.values(), *alone], key=lambda one: one.id)[-SHOWN:]

    def _message(self, message: Message) -> dict[str, Any]:
        replied = message.referenced
        quoted = None if replied is None else _QUOTE.sub("", self._plain(replied.content))[:100]
        seer = self._sim.world.users.get(message.visible_to or 0)
        return {
            "id": str(message.id),
            "author": _name(message.author),
            "bot": message.author.bot,
            "at": message.timestamp,
            "edited": message.edited is not None,
            "text": self._plain(message.content),
            "reply": None if replied is None else {"author": _name(replied.author), "text": quoted},
            "only": "" if seer is None else _name(seer),
            "embeds": [self._embed(one) for one in message.embeds],
            "buttons": [[_button(one) for one in row.get("components", ())] for row in message.components],
            "files": [one.filename for one in message.attachments],
        }

    def _embed(self, embed: dict[str, Any]) -> dict[str, Any]:
        return {
            "title": self._plain(embed.get("title") or ""),
            "text": self._plain(embed.get("description") or ""),
            "colour": int(embed.get("color") or 0),
            "fields": [{"name": one["name"], "value": self._plain(one["value"])} for one in embed.get("fields", ())],
            "footer": (embed.get("footer") or {}).get("text", ""),
        }

    def _plain(self, text: str) -> str:
        """Text with names instead of references."""

        def named(found: re.Match[str]) -> str:
            kind, number = found[1], int(found[2])
            if kind == "#":
                channel = self._sim.world.channels.get(number)
                return f"#{channel.name}" if channel else "#unknown"
            user = self._sim.world.users.get(number)
            return f"@{_name(user)}" if user else "@unknown"

        return _REFERENCES.sub(named, text)

    # --- what people do -----------------------------------------------------------------------------------------------

    def say(self, person: str, channel: str, text: str) -> None:
        """Write a message, or use a command when it begins with a slash and names one."""
        place, player = self._channel(channel), self._person(person)
        with _refusals():
            if text.startswith("/"):
                name, _, rest = text[1:].partition(" ")
                player.slash(name, place, self._values(name, rest.strip()))
            elif _KINDS.get(place.type) == "forum":
                player.post(place, text.splitlines()[0][:90], text)
            else:
                player.send(place, self._referring(text))

    def press(self, person: str, message: str, button: str) -> None:
        """Press a button."""
        player = self._person(person)
        with _refusals():
            player.press(self._control.message(message), button)

    def shown_form(self, person: str) -> dict[str, Any] | None:
        """The form that the last press of a person was answered with, if it was."""
        shown = self._last_of(person)
        if shown is None or shown.response_type != _FORM or shown.response is None:
            return None
        fields = [field for row in shown.response["components"] for field in row.get("components", [row])]
        return {
            "title": str(shown.response.get("title", "")),
            "fields": [
                {
                    "id": str(field["custom_id"]),
                    "label": str(field.get("label", "")),
                    "value": str(field.get("value") or ""),
                }
                for field in fields
                if field.get("type") == 4
            ],
        }

    def fill_in(self, person: str, values: dict[str, str]) -> None:
        """Send that form."""
        shown = self._last_of(person)
        if shown is None or shown.response_type != _FORM:
            raise NotFound("No form waits for this person.")
        with _refusals():
            self._person(person).submit(shown, values)

    def _last_of(self, person: str) -> Interaction | None:
        started = reversed(self._sim.world.interactions.values())
        return next((one for one in started if str(one.user.id) == person), None)

    def voice(self, person: str, channel: str, *, speaking: bool) -> None:
        """Be in a voice channel, speaking or silent; "" leaves."""
        player = self._person(person)
        with _refusals():
            if not channel:
                player.leave_voice()
                return
            place = self._channel(channel)
            state = self._control.guild().voice_states.get(player.id)
            if state is None or state.channel is not place:
                player.join_voice(place)
            player.speak(speaking)

    def invite(self, name: str) -> str:
        """Somebody new joins the server; their id."""
        if len(self._control.guild().members) > _MOST_PEOPLE:
            raise InvalidInput("The server of the demo is small: nobody more fits in.", fields={"name": "too many"})
        with _refusals():
            return str(self._control.create_user(name.lower()).id)

    def _channel(self, channel: str) -> Channel:
        guild = self._control.guild()
        for one in [*guild.channels.values(), *guild.threads.values()]:
            if str(one.id) == channel and self._shown(one):
                return one
        raise NotFound("There is no such channel.")

    def _person(self, person: str) -> Any:
        for one in self._control.guild().members.values():
            if str(one.user.id) == person and not one.user.bot:
                return self._control.user(one.user)
        raise NotFound("There is nobody of this id.")

    def _referring(self, text: str) -> str:
        """What was typed, with `@Name` and `#name` as Discord's client would send them."""
        guild = self._control.guild()
        names = {f"@{_name(one.user)}".lower(): f"<@{one.user.id}>" for one in guild.members.values()}
        names |= {f"#{one.name}".lower(): f"<#{one.id}>" for one in guild.channels.values()}
        for name in sorted(names, key=len, reverse=True):
            text = re.sub(rf"{re.escape(name)}\b", names[name], text, flags=re.IGNORECASE)
        return text

    def _values(self, name: str, typed: str) -> dict[str, Any]:
        """What was typed behind a command: `option: value` pairs, and the rest for the first option without one."""
        bot, guild = self._control.bot, self._control.guild()
        known = {one.name: one for one in [*bot.commands.values(), *guild.commands.get(bot.id, {}).values()]}
        if name not in known:
            raise InvalidInput(f"There is no command /{name[:32]}.", fields={"text": "unknown command"})
        options = {one["name"]: int(one["type"]) for one in known[name].body.get("options", ()) if int(one["type"]) > 2}
        values: dict[str, str] = {}
        parts = _PAIR.split(typed)
        first, pairs = parts[0].strip(), list(zip(parts[1::2], parts[2::2], strict=True))
        for key, value in pairs:
            if key in options:
                values[key] = value.strip()
            else:
                first = f"{first} {key}: {value}".strip()
        if first and (free := next((one for one in options if one not in values), None)):
            values[free] = first
        return {key: _typed(options[key], value) for key, value in values.items()}


def _typed(kind: int, value: str) -> Any:
    """A typed value as its option wants it (4 whole number, 5 yes or no, 10 number)."""
    try:
        if kind == 4:
            return int(value)
        if kind == 10:
            return float(value)
    except ValueError:
        raise InvalidInput("That is not a number.", fields={"text": "not a number"}) from None
    return value.lower() in ("yes", "true", "on", "1") if kind == 5 else value


def _name(user: User) -> str:
    return user.global_name or user.name


def _button(component: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(component.get("custom_id", "")),
        "label": str(component.get("label") or (component.get("emoji") or {}).get("name") or ""),
        "style": int(component.get("style") or 2),
        "disabled": bool(component.get("disabled")) or component.get("type") != 2,
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """What Discord would refuse, said to the page."""
    from antiphon.sim.discord import Refused

    try:
        yield
    except Refused as error:
        raise InvalidInput(f"Discord refuses this: {error.message}", fields={"text": "refused"}) from error
    except LookupError as error:
        raise NotFound("That is not there (any more).") from error
