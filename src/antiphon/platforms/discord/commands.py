"""What a command is, and how one is run: the same for slash commands and for those written with the prefix.

A command is declared once (`Spec`); `command_list.py` holds them all, and `calling.py` has the two
ways to call one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from antiphon.domain.errors import AntiphonError, InvalidInput
from antiphon.domain.events import COMMAND_USED, DISCORD_MESSAGE, Bus
from antiphon.domain.identity import Requester, Sender
from antiphon.platforms.discord.reading import Json, Place, folded
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

TEXT, NUMBER, CHANNEL = 3, 4, 7
"""Kinds of options, by Discord's numbers."""
MOST_CHOICES = 25
FAILED = "That did not work: an unexpected error. Nothing was changed as far as I know; the log has the details."


@dataclass(frozen=True, slots=True)
class Option:
    """One value a command takes. The last text option of a written command takes all words that are left."""

    name: str
    description: str
    kind: int = TEXT
    required: bool = False
    choices: tuple[str, ...] = ()
    suggested: bool = False
    """Whether the command offers values while the person types."""
    most: int = 0
    """Characters a text may have; 0: as many as Discord takes."""


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press under an answer. `id` comes back when it is pressed."""

    id: str
    label: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says, to the caller alone."""

    text: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a command. `origin` names this use: the same use again has the same one."""

    name: str
    values: Mapping[str, str]
    sender: Sender
    requester: Requester
    place: Place
    origin: str
    message: Json | None = None
    """The message it was written in; None for a slash command."""

    def value(self, name: str) -> str:
        """What was given for an option, "" for nothing."""
        return self.values.get(name, "").strip()


Run = Callable[[Call], Awaitable[Answer]]
Says = Callable[[Mapping[str, str]], str]
Suggest = Callable[[Call, str], Awaitable[Sequence[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Spec:
    """A command: what people read about it, what it takes, and what it does."""

    name: str
    description: str
    run: Run
    options: tuple[Option, ...] = ()
    suggest: Suggest | None = None
    """Offers (label, value) pairs for what was typed so far."""
    servers_only: bool = False
    says: Says | None = None
    """What a use of the command says to the agent, from its values, where it is a question for everybody to see."""

    def as_discord(self) -> Json:
        """As Discord's API takes it."""
        return {
            "name": self.name,
            "description": self.description,
            "type": 1,
            "contexts": [0] if self.servers_only else [0, 1],
            "integration_types": [0],
            "options": [
                {
                    "name": option.name,
                    "description": option.description,
                    "type": option.kind,
                    "required": option.required,
                    **({"choices": [{"name": one, "value": one} for one in option.choices]} if option.choices else {}),
                    **({"autocomplete": True} if option.suggested else {}),
                    **({"max_length": option.most} if option.most else {}),
                }
                for option in self.options
            ],
        }

    @property
    def usage(self) -> str:
        """How it is written."""
        words = [f"<{one.name}>" if one.required else f"[{one.name}]" for one in self.options]
        return " ".join([self.name, *words])


@dataclass(slots=True)
class Commands:
    """All commands, by name. `run` never raises."""

    bus: Bus
    specs: dict[str, Spec] = field(default_factory=dict[str, Spec])

    def add(self, *specs: Spec) -> None:
        """Take commands in."""
        for spec in specs:
            self.specs[spec.name] = spec

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(self.specs)

    async def run(self, call: Call) -> tuple[Answer, bool]:
        """Run one and count it; what it says, and whether it went well."""
        began, spec, ok = time.monotonic(), self.specs[call.name], False
        try:
            self._check(spec, call)
            answer, ok = await spec.run(call), True
        except AntiphonError as error:
            fields = "".join(f"\n- {name}: {problem}" for name, problem in error.fields.items())
            answer = Answer(f"{error.message}{fields}")
        except Exception:
            log.exception("command.failed", command=call.name)
            answer = Answer(FAILED)
        await self.count(call.name, call.place, ok, time.monotonic() - began, written=call.message is not None)
        return answer, ok

    def _check(self, spec: Spec, call: Call) -> None:
        if spec.servers_only and not call.place.server:
            raise InvalidInput("This works in a server only.")
        for option in spec.options:
            given = call.value(option.name)
            if option.required and not given:
                raise InvalidInput(f"Something is missing: `{spec.usage}`", fields={option.name: option.description})
            if given and option.choices and folded(given) not in option.choices:
                raise InvalidInput(
                    f"Please use it like this: `{spec.usage}`", fields={option.name: " or ".join(option.choices)}
                )

    async def count(self, name: str, place: Place, ok: bool, seconds: float, *, written: bool) -> None:
        """One use of a command more."""
        metrics.COMMANDS.labels(platform="discord", name=name, result="ok" if ok else "failed").inc()
        used = {"platform": "discord", "server": place.server, "name": name, "ok": ok, "ms": round(seconds * 1000, 1)}
        await self.bus.publish(COMMAND_USED, COMMAND_USED, used)
        if not written:  # a written one was counted as the message it is
            said = {"server": place.server, "channel": place.id, "direction": "in", "kind": "command", "command": name}
            await self.bus.publish(DISCORD_MESSAGE, "message", said)


def values_of(spec: Spec, words: str) -> dict[str, str]:
    """The values of a written command: one word for each option, all that is left for the last."""
    values: dict[str, str] = {}
    rest = words.strip()
    for number, option in enumerate(spec.options):
        if not rest:
            break
        if number == len(spec.options) - 1:
            values[option.name] = rest
            break
        first, _, after = rest.partition(" ")
        if option.choices and folded(first) not in option.choices and not option.required:
            continue  # left out: the word belongs to the next option
        values[option.name], rest = first, after.strip()
    return values
