"""What becomes of one message: it is handed to the inbox, changed as its author changed it, or withdrawn.

Called by `inbound`, one message of a channel after the other: for what the gateway tells and what the history shows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage, Receipt, ServerRef
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord import reading, rest
from antiphon.platforms.discord.errors import THREAD_EXISTS, UNKNOWN_MESSAGE, DiscordAway, DiscordRefused
from antiphon.platforms.discord.ids import PLATFORM, channel_key
from antiphon.platforms.discord.reading import Heard, How, Json, Manners, Myself, Place
from antiphon.platforms.discord.rest import DiscordRest

log = structlog.stdlib.get_logger(__name__)

DELETED = "(This message was deleted by its author.)"
BARE_MENTION = "Hello"
"""What somebody says who only mentions the agent."""
EDIT_WINDOW = timedelta(minutes=15)
"""How long after it was written an edited message is answered anew."""
THREAD_NAME_CHARS = 80
_MOST_ASKED = 20
"""Messages of one channel that are asked for one by one, to learn whether they were deleted."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that somebody wrote: its name, the words after it, and the message it stands in."""

    name: str
    words: str
    message: Json
    place: Place


@dataclass(frozen=True, slots=True)
class Said:
    """A message that is for the agent: what it says to it, where, and whether that is a command."""

    message: Json
    heard: Heard
    place: Place
    manners: Manners
    command: Command | None


class Places(Protocol):
    """What the gateway knows of places."""

    def place(self, channel: str, server: str) -> Place:
        """A channel or thread, with what it is in."""
        ...

    def readable(self, channel: str) -> bool:
        """Whether its history may be read, as far as is known: to be refused too often locks the bot out."""
        ...

    def name_of(self, server: str, kind: str, id: str) -> str:
        """The name of a `role` or `channel`, "" when it is unknown."""
        ...

    def myself(self, server: str) -> Myself:
        """The bot as it is called there."""
        ...


class Taking:
    """Takes single messages. `receiver` is the bot's id."""

    def __init__(
        self,
        *,
        receive: Callable[[InboundMessage], Awaitable[Receipt]],
        cancel: Callable[[int], Awaitable[object]],
        store: PlatformStore,
        api: DiscordRest,
        places: Places,
        manners: Callable[[str], Awaitable[Manners]],
        commands: Callable[[], tuple[str, ...]],
        clock: Clock,
        message_chars: int,
    ) -> None:
        self._receive = receive
        self._cancel = cancel
        self._store = store
        self._api = api
        self._places = places
        self._manners = manners
        self._commands = commands
        self._clock = clock
        self._message_chars = message_chars
        self.receiver = ""

    async def read(self, message: Json) -> Said | None:
        """What a message says to the agent; None when it is not for it."""
        place = self._places.place(str(message["channel_id"]), str(message.get("guild_id") or ""))
        me, manners = self._places.myself(place.server), await self._manners(place.server)
        heard = reading.heard(message, me, place, manners) if reading.may_speak(message, me, manners) else None
        if (asked := reading.asked(message, me)) is not None:
            message, heard = asked
        if heard is None:
            return None
        words = reading.command_in(heard.text, self._commands()) if heard.how is How.PREFIX else None
        return Said(message, heard, place, manners, None if words is None else Command(*words, message, place))

    async def accept(self, said: Said, *, edit: int = 0) -> Receipt | None:
        """Hand a message to the inbox. None when there is nothing in it."""
        message, spoken, place, manners = said.message, said.heard, said.place, said.manners
        where = place.id
        if manners.threads and place.server and not place.thread and not edit:
            where = await self._own_thread(message, spoken) or where
        title = place.name if place.thread and str(message["id"]) == place.id else ""
        me = self._places.myself(place.server)
        text = reading.text_of(
            spoken.text, message, me, lambda kind, id: self._places.name_of(place.server, kind, id), title=title
        )
        attachments = reading.attachments_of(message)
        if not text and not attachments:
            if spoken.how not in (How.MENTION, How.NAME, How.REPLY):
                return None
            text = BARE_MENTION
        id = str(message["id"])
        return await self._receive(
            InboundMessage(
                platform=PLATFORM,
                receiver=self.receiver,
                channel=channel_key(where),
                native_id=id,
                sender=reading.sender_of(message),
                text=text[: self._message_chars],
                at=reading.said_at(message),
                edit=edit,
                server=ServerRef(PLATFORM, place.server, place.server_name) if place.server else None,
                channel_title=place.name,
                reply_to=reading.reference_of(message),
                attachments=attachments,
                cursor=id if where == place.id and not edit else "",
            )
        )

    async def _own_thread(self, message: Json, spoken: Heard) -> str:
        """Open a Discord thread on a message; its id is the message's. "" when that is not possible there."""
        id, words = str(message["id"]), " ".join(spoken.text.split())
        if message.get("thread"):
            return id
        try:
            await self._api.call(
                rest.THREAD,
                body={"name": words[:THREAD_NAME_CHARS] or "Conversation", "auto_archive_duration": 1440},
                channel=str(message["channel_id"]),
                message=id,
            )
        except DiscordRefused as error:
            return id if error.code == THREAD_EXISTS else ""
        except DiscordAway:
            return ""
        return id

    async def edit(self, message: Json) -> None:
        """Somebody changed what they said: what runs for the old words is stopped, the new ones are answered."""
        if (reading.edited_at(message) or self._clock.now()) - reading.said_at(message) > EDIT_WINDOW:
            return
        said = await self.read(message)
        if said is None or said.command is not None:
            return
        for task in await self._store.live_tasks(channel_key(said.place.id), str(message["id"])):
            await self._cancel(task)
        await self.accept(said, edit=reading.edit_number(message))

    async def withdraw(self, where: str, id: str) -> None:
        """Somebody deleted what they said: forget the words, stop what runs for them."""
        for task in await self._store.withdraw(channel_key(where), id, DELETED):
            await self._cancel(task)

    async def compare(self, where: str, server: str, known: Mapping[str, int]) -> None:
        """Apply what was done to messages while nobody heard: `known` holds the number of the last edit of each.

        A message is taken for deleted when Discord says so of it alone: a history without it may be one that the bot
        is not allowed to read.
        """
        ids = sorted(known, key=int)
        page: list[Json] = await self._api.call(
            rest.MESSAGES, query={"after": str(int(ids[0]) - 1), "limit": "100"}, patience=60.0, channel=where
        )
        there = {str(message["id"]): message for message in page}
        for id in [id for id in ids if id not in there][-_MOST_ASKED:]:
            try:
                there[id] = await self._api.call(rest.MESSAGE, patience=60.0, channel=where, message=id)
            except DiscordRefused as error:
                if error.code == UNKNOWN_MESSAGE:
                    log.info("discord.deleted_meanwhile", message=id)
                    await self.withdraw(where, id)
        for id in ids:
            message = there.get(id)
            if message is not None and reading.edit_number(message) > known[id]:
                log.info("discord.edited_meanwhile", message=id)
                await self.edit({**message, "guild_id": server} if server else message)
