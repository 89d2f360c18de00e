"""The commands of the agent on Discord. Each answers its caller alone; what is asked with `ask` is answered for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from antiphon.domain.approvals import Approval
from antiphon.domain.conversation import InboundMessage, Receipt, ServerRef
from antiphon.domain.errors import Forbidden, InvalidInput, NotFound
from antiphon.domain.health import PartHealth
from antiphon.domain.memories import MemoryScope, MemoryStore
from antiphon.domain.personal_data import ErasureReceipt
from antiphon.domain.platforms import PlatformStore, ServerDiscord, check_names, check_prefix
from antiphon.platforms.discord.authority import DiscordAuthority
from antiphon.platforms.discord.commands import NUMBER, Answer, Button, Call, Commands, Option, Spec
from antiphon.platforms.discord.ids import PLATFORM, time_of
from antiphon.platforms.discord.reading import QUESTION_CHARS, clean, folded
from antiphon.platforms.discord.voice import VoiceRooms
from antiphon.threads.approvals import Approvals

_MOST_SHOWN = 20
_QUESTION_CHARS = QUESTION_CHARS - 20
_YES = frozenset({"yes", "approve", "ok", "y"})
_NO = frozenset({"no", "deny", "refuse", "n"})
_SETTINGS = ("prefix", "names", "channels", "threads", "log-channel")


@dataclass(frozen=True, slots=True)
class CommandParts:
    """What the commands work with; wiring gives it."""

    store: PlatformStore
    authority: DiscordAuthority
    approvals: Approvals
    memories: MemoryStore
    forget: Callable[[int], Awaitable[ErasureReceipt]]
    erase: Callable[[int], Awaitable[ErasureReceipt]]
    """Of everything; ends the credentials too."""
    voice: VoiceRooms
    receive: Callable[[InboundMessage], Awaitable[Receipt]]
    parts: Callable[[], Awaitable[Sequence[PartHealth]]]
    settings_changed: Callable[[str], None]
    receiver: Callable[[], str]


class CommandList:
    """Every command, bound to what it works with."""

    def __init__(self, parts: CommandParts, commands: Commands) -> None:
        self._parts = parts
        self._commands = commands
        commands.add(
            Spec(
                "ask",
                "Ask me something",
                self.say,
                (Option("question", "What you want to know", required=True, most=_QUESTION_CHARS),),
                says=lambda values: values.get("question", ""),
            ),
            Spec(
                "remind",
                "Let me remind you",
                self.say,
                (Option("what", "When, and of what", required=True, most=_QUESTION_CHARS),),
                says=lambda values: f"remind me {values.get('what', '')}",
            ),
            Spec("summary", "What was said here lately, in short", self.say, says=lambda _: "summarize this channel"),
            Spec(
                "help", "What I can do", self.help, (Option("command", "About this one", suggested=True),), self.named
            ),
            Spec("status", "How I am", self.status),
            Spec(
                "memory",
                "What I remember about you",
                self.memory,
                (Option("forget", "Number of what I shall forget, or all", suggested=True),),
                self.remembered,
            ),
            Spec(
                "settings",
                "How I behave in this server",
                self.settings,
                (Option("name", "Which setting", choices=_SETTINGS), Option("value", "What it shall be; - resets it")),
                servers_only=True,
            ),
            Spec(
                "forget-me",
                "Forget what I know of you",
                self.forget_me,
                (Option("what", "Only what I learnt, or everything", choices=("memories", "everything")),),
            ),
            Spec(
                "approve",
                "Answer a question of mine",
                self.approve,
                (
                    Option("id", "Number of the question", NUMBER, suggested=True),
                    Option("answer", "Yes or no", choices=("yes", "no")),
                ),
                self.asked,
            ),
            Spec("join", "Come into your voice channel", self.join, servers_only=True),
            Spec("leave", "Leave the voice channel", self.leave, servers_only=True),
        )

    # --- for the agent itself -----------------------------------------------------------------------------------------

    async def say(self, call: Call) -> Answer:
        """What was written becomes a message like any other; the answer is for everybody there.

        A slash command that says something never comes here: what is shown of it is heard (`calling`).
        """
        says, message, place = self._commands.specs[call.name].says, call.message, call.place
        if says is None or message is None:
            raise NotFound("There is nothing to answer.")
        native_id = str(message["id"])
        await self._parts.receive(
            InboundMessage(
                platform=PLATFORM,
                receiver=self._parts.receiver(),
                channel=call.requester.channel,
                native_id=native_id,
                sender=call.sender,
                text=clean(says(call.values)).strip(),
                at=time_of(native_id),
                server=ServerRef(PLATFORM, place.server, place.server_name) if place.server else None,
                channel_title=place.name,
            )
        )
        return Answer("")

    # --- about the agent ----------------------------------------------------------------------------------------------

    async def help(self, call: Call) -> Answer:
        """All commands, or one."""
        wanted = folded(call.value("command")).lstrip("/!")
        if wanted:
            spec = self._commands.specs.get(wanted)
            if spec is None:
                raise NotFound("There is no such command.")
            options = "".join(f"\n- `{one.name}`: {one.description}" for one in spec.options)
            return Answer(f"`/{spec.usage}`: {spec.description}.{options}")
        listed = "\n".join(f"`/{spec.usage}`: {spec.description}" for spec in self._commands.specs.values())
        return Answer(f"Mention me, reply to me, or write to me directly. Commands:\n{listed}")

    async def named(self, call: Call, typed: str) -> Sequence[tuple[str, str]]:
        """Commands whose names begin so."""
        return [(name, name) for name in self._commands.names if name.startswith(folded(typed))]

    async def status(self, call: Call) -> Answer:
        """The parts, as the console shows them, without what only operators shall know."""
        lines = [f"- {part.name}: {part.state.value}" for part in await self._parts.parts()]
        voice = self._parts.voice.state_of(call.place.server)
        lines.append(f"- voice here: {voice}")
        return Answer("\n".join(lines))

    # --- about the caller ---------------------------------------------------------------------------------------------

    async def memory(self, call: Call) -> Answer:
        """What is remembered about the caller; or forget some of it."""
        person, forget = call.requester.person, folded(call.value("forget"))
        if forget:
            if forget != "all" and not forget.isdigit():
                raise InvalidInput("Give the number of a memory, or `all`.")
            gone = await self._parts.memories.forget(
                MemoryScope.PERSON, person, None if forget == "all" else [int(forget)]
            )
            return Answer(f"Forgotten: {len(gone)}." if gone else "There was nothing to forget.")
        found = await self._parts.memories.recall(MemoryScope.PERSON, person, "", _MOST_SHOWN)
        if not found:
            return Answer("I remember nothing about you.")
        return Answer("\n".join(f"{one.id}. {one.text}" for one in found))

    async def remembered(self, call: Call, typed: str) -> Sequence[tuple[str, str]]:
        """Memories that hold what was typed."""
        found = await self._parts.memories.recall(MemoryScope.PERSON, call.requester.person, "", _MOST_SHOWN)
        fitting = [one for one in found if folded(typed) in folded(f"{one.id} {one.text}")]
        return [(f"{one.id}. {one.text}", str(one.id)) for one in fitting]

    async def forget_me(self, call: Call) -> Answer:
        """Ask before something is gone for good."""
        everything = folded(call.value("what")) == "everything"
        what = "everything about you, your messages too" if everything else "what I remember and learnt about you"
        kind = "all" if everything else "memories"
        return Answer(
            f"Shall I forget {what}? It cannot be undone.",
            (
                Button(f"forget:{kind}:{call.sender.native_id}", "Forget it", danger=True),
                Button(f"keep:{kind}:{call.sender.native_id}", "Keep it"),
            ),
        )

    async def forgotten(self, person: int, *, everything: bool) -> str:
        """The person pressed the button."""
        if everything:
            receipt = await self._parts.erase(person)
        else:
            receipt = await self._parts.forget(person)
        gone = ", ".join(f"{number} {kind}" for kind, number in receipt.erased.items() if number)
        return f"Done. Gone: {gone or 'nothing, there was nothing'}."

    # --- approvals ----------------------------------------------------------------------------------------------------

    async def approve(self, call: Call) -> Answer:
        """List what is asked, or answer it."""
        wanted, answer = call.value("id"), folded(call.value("answer")) or "yes"
        if not wanted:
            pending = await self._parts.approvals.pending(call.requester)
            if not pending:
                return Answer("Nothing waits for your answer.")
            return Answer("\n".join(_line(one) for one in pending[:_MOST_SHOWN]))
        if not wanted.isdigit() or answer not in _YES | _NO:
            raise InvalidInput("Use it like this: `approve 12` or `approve 12 no`.")
        return Answer(await self.decide(int(wanted), call, approve=answer in _YES))

    async def decide(self, approval: int, call: Call, *, approve: bool) -> str:
        """Answer a question of the agent, if the caller may."""
        decided = await self._parts.approvals.decide(approval, call.requester, approve=approve)
        return f"{'Approved' if approve else 'Refused'}: {decided.summary}"

    async def asked(self, call: Call, typed: str) -> Sequence[tuple[str, str]]:
        """Questions the caller may answer."""
        pending = await self._parts.approvals.pending(call.requester)
        return [(_line(one), str(one.id)) for one in pending if folded(typed) in folded(_line(one))]

    # --- the server ---------------------------------------------------------------------------------------------------

    async def settings(self, call: Call) -> Answer:
        """Show what is set for the server, or change it with Discord's permission Manage Server."""
        place, name, value = call.place, folded(call.value("name")), clean(call.value("value"))
        server = await self._parts.store.server_of(ServerRef(PLATFORM, place.server, place.server_name))
        now = await self._parts.store.discord_settings(server)
        if not name:
            return Answer(_described(now))
        standing = await self._parts.authority.standing(place.id, call.sender.native_id)
        if standing is None or not standing.may("manage_guild"):
            raise Forbidden("Only who may manage this server can change that.")
        changed = await self._parts.store.set_discord(server, _changed(now, name, value))
        self._parts.settings_changed(place.server)
        return Answer(f"Set.\n{_described(changed)}")

    # --- voice --------------------------------------------------------------------------------------------------------

    async def join(self, call: Call) -> Answer:
        """Into the voice channel the caller is in."""
        return Answer(await self._parts.voice.join(call.place.server, call.sender.native_id))

    async def leave(self, call: Call) -> Answer:
        """Out of it: who is in there may say so, and who may move members."""
        server, user = call.place.server, call.sender.native_id
        if not self._parts.voice.is_with(server, user):
            standing = await self._parts.authority.standing(call.place.id, user)
            if standing is None or not standing.may("move_members"):
                raise Forbidden("Only who is in the voice channel with me can send me away.")
        return Answer(await self._parts.voice.leave(server))


def _line(approval: Approval) -> str:
    return f"{approval.id}. {approval.summary}"[:100]


def _described(values: ServerDiscord) -> str:
    def shown(value: object, none: str) -> str:
        return str(value) if value else none

    prefix = "as everywhere" if values.prefix is None else f"`{values.prefix}`" if values.prefix else "none"
    threads = "as everywhere" if values.threads is None else "yes" if values.threads else "no"
    return "\n".join(
        [
            f"- prefix: {prefix}",
            f"- names: {shown(', '.join(values.names), 'as everywhere')}",
            f"- channels: {shown(', '.join(f'<#{one}>' for one in values.channels), 'as everywhere')}",
            f"- threads: {threads}",
            f"- log-channel: {shown(values.log_channel, 'as everywhere')}",
        ]
    )


def _changed(now: ServerDiscord, name: str, value: str) -> ServerDiscord:
    """The settings with one changed; `-` takes it away. `InvalidInput` says what cannot be."""
    reset = value in ("-", "")
    words = [word.strip() for word in value.replace(";", ",").split(",") if word.strip()]
    try:
        match name:
            case "prefix":
                return replace(now, prefix=None if reset else "" if folded(value) == "none" else check_prefix(value))
            case "names":
                return replace(now, names=() if reset else check_names(words))
            case "channels":
                ids = [word.strip("<#> ") for part in words for word in part.split()]
                return replace(now, channels=() if reset else tuple(ids))
            case "threads":
                if not reset and folded(value) not in _YES | _NO | {"on", "off"}:
                    raise ValueError("is yes or no")
                return replace(now, threads=None if reset else folded(value) in _YES | {"on"})
            case _:
                return replace(now, log_channel="" if reset else value.strip("<#> "))
    except ValueError as error:
        raise InvalidInput("That cannot be set.", fields={name: str(error)}) from error
