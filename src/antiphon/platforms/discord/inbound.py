"""The way in from Discord: what is for the agent becomes an inbox message, in order per channel, once, without a gap.

Everything that happens in a channel is worked off one after the other. The position of a channel moves forward only
past what was worked off, and is committed with what was accepted; so after a crash or a cut the history since then is
read again (`catch_up`), and what is known already is dropped by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage, Receipt, ServerRef
from antiphon.domain.errors import AntiphonError, StoreUnavailable
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord import reading, rest
from antiphon.platforms.discord.errors import THREAD_EXISTS, DiscordAway, DiscordRefused
from antiphon.platforms.discord.ids import channel_key, is_snowflake, snowflake_at
from antiphon.platforms.discord.reading import Heard, How, Json, Manners, Myself, Place
from antiphon.platforms.discord.rest import DiscordRest

log = structlog.stdlib.get_logger(__name__)

PLATFORM = "discord"
DELETED = "(This message was deleted by its author.)"
BARE_MENTION = "Hello"
"""What somebody says who only mentions the agent."""
EDIT_WINDOW = timedelta(minutes=15)
"""How long after it was written an edited message is answered anew."""
THREAD_NAME_CHARS = 80
GATEWAY = "gateway"
"""The position up to which the gateway was heard, for channels in which nothing was ever for the agent."""
_GATEWAY_MARGIN = timedelta(minutes=2)
_SETTLED = timedelta(minutes=2)
"""How long after a connection was made its servers have surely announced themselves: only then is the position of the
gateway moved, as it says from where channels are read in which nothing was ever for the agent."""
_FLUSH_SECONDS = 2.0
_LOOK_SECONDS = 300.0
_ACTIVE_SECONDS = 3600.0
_MOST_ACTIVE = 30
_MOST_WAITING = 2000
_REMEMBERED = 200
_STORE_RETRY = 0.5
_TRIES = 4
"""Times something is tried that fails for a reason nobody foresaw. After that it is given up, so that one message
cannot hold up its channel for ever."""
_DIRECT_CHANNELS = 100


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


@dataclass(frozen=True, slots=True)
class Command:
    """A command that somebody wrote: its name, the words after it, and the message it stands in."""

    name: str
    words: str
    message: Json
    place: Place


@dataclass(slots=True)
class _Channel:
    """What waits in one channel and what was done there lately."""

    waiting: deque[tuple[str, Json]] = field(default_factory=deque[tuple[str, Json]])
    recent: deque[str] = field(default_factory=lambda: deque[str](maxlen=_REMEMBERED))
    worker: asyncio.Task[None] | None = None
    active_at: float = 0.0
    behind: bool = False
    failures: int = 0
    """How often the first of what waits failed for a reason nobody foresaw."""


class Inbound:
    """Takes what the gateway says about messages. `begin` it with the bot's id and the kept positions, `close` it."""

    def __init__(
        self,
        *,
        receive: Callable[[InboundMessage], Awaitable[Receipt]],
        cancel: Callable[[int], Awaitable[object]],
        store: PlatformStore,
        api: DiscordRest,
        places: Places,
        manners: Callable[[str], Awaitable[Manners]],
        run_command: Callable[[Command], Awaitable[None]],
        commands: Callable[[], tuple[str, ...]],
        clock: Clock,
        backfill_hours: float,
        message_chars: int,
    ) -> None:
        self._receive = receive
        self._cancel = cancel
        self._store = store
        self._api = api
        self._places = places
        self._manners = manners
        self._run_command = run_command
        self._commands = commands
        self._clock = clock
        self._backfill = timedelta(hours=backfill_hours)
        self._message_chars = message_chars
        self._channels: dict[str, _Channel] = {}
        self._positions: dict[str, str] = {}
        self._moved: set[str] = set()
        self._me = ""
        self._hearing_since: datetime | None = None
        self._heard_until: datetime | None = None
        self._flusher: asyncio.Task[None] | None = None

    async def begin(self, me: str) -> None:
        """Read the kept positions and begin to keep new ones."""
        self._me = me
        while True:
            try:
                kept = await self._store.cursors(PLATFORM, me)
                break
            except StoreUnavailable:
                await asyncio.sleep(_STORE_RETRY)
        self._positions = {key.removeprefix("discord:"): value for key, value in kept.items() if value.isdigit()}
        if GATEWAY not in self._positions:
            # The first start: what is said from now on is for us, also if the very first moments end in a crash.
            self._positions[GATEWAY] = snowflake_at(self._clock.now())
            with contextlib.suppress(StoreUnavailable):
                await self._store.advance(PLATFORM, me, {GATEWAY: self._positions[GATEWAY]})
        self._flusher = asyncio.create_task(self._keep_up(), name="discord-positions")

    async def close(self) -> None:
        """Stop working; what waits is read again from the history."""
        tasks = [channel.worker for channel in self._channels.values() if channel.worker is not None]
        if self._flusher is not None:
            tasks.append(self._flusher)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with contextlib.suppress(StoreUnavailable):
            await self._flush()
        self._channels.clear()
        self._flusher = None
        self._hearing_since = self._heard_until = None

    async def idle(self) -> None:
        """Wait until everything that was heard is worked off."""
        while tasks := [one.worker for one in self._channels.values() if one.worker and not one.worker.done()]:
            await asyncio.wait(tasks)

    # --- what the gateway says ----------------------------------------------------------------------------------------

    def created(self, message: Json) -> None:
        """`MESSAGE_CREATE`."""
        self._feed("create", message)

    def edited(self, message: Json) -> None:
        """`MESSAGE_UPDATE`; without an edit it is Discord adding a preview."""
        if message.get("edited_timestamp") and message.get("author"):
            self._feed("edit", message)

    def deleted(self, channel: str, messages: list[str]) -> None:
        """`MESSAGE_DELETE` and `MESSAGE_DELETE_BULK`."""
        for message in messages:
            self._feed("delete", {"id": message, "channel_id": channel})

    def connected(self) -> None:
        """A new session: direct conversations may have gone on meanwhile; servers announce themselves."""
        self._hear_from_now()
        known = [name for name in self._positions if name.isdigit()]
        for channel in sorted(known, key=int, reverse=True)[: 10 * _DIRECT_CHANNELS]:
            if not self._places.place(channel, "").server:
                self._feed("catch up", {"id": "0", "channel_id": channel})

    def disconnected(self) -> None:
        """Nothing is heard any more."""
        self._heard_until = self._settled_until()
        self._hearing_since = None

    def resumed(self) -> None:
        """The session goes on. Discord repeats what was missed; the busy channels are looked at all the same."""
        self._hear_from_now()
        self._look_again()

    def _hear_from_now(self) -> None:
        if self._hearing_since is None:
            self._hearing_since = self._clock.now()

    def _settled_until(self) -> datetime | None:
        """Until when the gateway was heard with every server; None leaves its position where it is."""
        if self._hearing_since is None:
            return self._heard_until
        now = self._clock.now()
        return now if now - self._hearing_since > _SETTLED else None

    def server_seen(self, guild: Json) -> None:
        """`GUILD_CREATE`: read on in each channel that has something newer than its position."""
        for channel in (*(guild.get("channels") or ()), *(guild.get("threads") or ())):
            last = channel.get("last_message_id")
            if is_snowflake(last) and self._is_behind(str(channel["id"]), str(last)):
                self._feed("catch up", {"id": "0", "channel_id": str(channel["id"]), "guild_id": str(guild["id"])})

    def _is_behind(self, channel: str, last: str) -> bool:
        position = self._start(channel)
        return position is not None and int(last) > int(position)

    def _start(self, channel: str) -> str | None:
        """From where a channel is read; None when it is not, because nothing was ever heard there."""
        if not self._backfill:
            return None
        known = self._positions.get(channel) or self._positions.get(GATEWAY)
        if known is None:
            return None
        return str(max(int(known), int(snowflake_at(self._clock.now() - self._backfill))))

    def _feed(self, kind: str, data: Json) -> None:
        id = str(data["channel_id"])
        channel = self._channels.setdefault(id, _Channel())
        if len(channel.waiting) >= _MOST_WAITING:
            # Too much to hold: forget it here and read it from the history once there is time.
            channel.waiting.clear()
            channel.behind = True
        channel.waiting.append((kind, data))
        if channel.worker is None or channel.worker.done():
            channel.worker = asyncio.create_task(self._work(id, channel), name=f"discord-{id}")

    # --- one channel --------------------------------------------------------------------------------------------------

    async def _work(self, id: str, channel: _Channel) -> None:
        while channel.waiting:
            if channel.behind:
                channel.behind = False
                channel.waiting.appendleft(("catch up", {"id": "0", "channel_id": id}))
            kind, data = channel.waiting[0]
            try:
                await self._handle(channel, kind, data)
            except StoreUnavailable:
                await asyncio.sleep(_STORE_RETRY)  # nothing is lost: the same again once the database is back
                continue
            except AntiphonError as error:
                log.info("discord.not_taken", code=error.code, reason=error.message)
            except Exception:
                channel.failures += 1
                log.exception("discord.message_failed", kind=kind, tries=channel.failures)
                if channel.failures < _TRIES:  # going on would move the position past it
                    await asyncio.sleep(_STORE_RETRY * 2**channel.failures)
                    continue
            channel.failures = 0
            if channel.waiting and channel.waiting[0][1] is data:
                channel.waiting.popleft()
        if not channel.active_at:
            self._channels.pop(id, None)

    async def _handle(self, channel: _Channel, kind: str, data: Json) -> None:
        match kind:
            case "create":
                await self._one(channel, data)
            case "edit":
                await self._edit(data)
            case "delete":
                await self._withdraw(data)
            case _:
                await self.catch_up(channel, str(data["channel_id"]), str(data.get("guild_id") or ""))

    async def catch_up(self, channel: _Channel, id: str, server: str) -> None:
        """Read the history since the position of the channel, as if it came now."""
        start = self._start(id)
        if start is None or not self._places.readable(id):
            return
        while True:
            try:
                page: list[Json] = await self._api.call(
                    rest.MESSAGES, query={"after": start, "limit": "100"}, patience=60.0, channel=id
                )
            except DiscordRefused as error:
                log.info("discord.history_refused", reason=error.reason)
                return
            except DiscordAway as error:
                # For as long as it takes: what comes meanwhile waits, and would move the position past the gap.
                await asyncio.sleep(min(error.retry_after or 1.0, 60.0))
                continue
            page.sort(key=lambda message: int(message["id"]))
            for message in page:
                if server:
                    message.setdefault("guild_id", server)
                await self._one(channel, message)
            if len(page) < 100:
                return
            start = str(page[-1]["id"])

    async def _one(self, channel: _Channel, message: Json) -> None:
        """A message that was just written, or one of the history."""
        id, where = str(message["id"]), str(message["channel_id"])
        if id in channel.recent:
            return
        place = self._places.place(where, str(message.get("guild_id") or ""))
        me, manners = self._places.myself(place.server), await self._manners(place.server)
        spoken = reading.heard(message, me, place, manners) if reading.may_speak(message, me, manners) else None
        command = None
        if spoken is not None:
            channel.active_at = time.monotonic()
            command = reading.command_in(spoken.text, self._commands()) if spoken.how is How.PREFIX else None
            try:
                if command is None:
                    await self.accept(message, spoken, place, manners)
                elif int(id) > int(self._positions.get(where) or 0):
                    await self._run_command(Command(command[0], command[1], message, place))
            except StoreUnavailable:
                raise
            except AntiphonError as error:
                log.info("discord.not_taken", code=error.code, reason=error.message)
        self._passed(where, id)
        channel.recent.append(id)
        if command is not None:
            await self._flush()  # at once, so that no restart runs it again

    def _passed(self, channel: str, id: str) -> None:
        if int(id) > int(self._positions.get(channel) or 0):
            self._positions[channel] = id
            self._moved.add(channel)

    async def accept(
        self, message: Json, spoken: Heard, place: Place, manners: Manners, *, edit: int = 0
    ) -> Receipt | None:
        """Hand a message to the inbox. None when there is nothing in it."""
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
                receiver=self._me,
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

    async def _edit(self, message: Json) -> None:
        """Somebody changed what they said: what runs for the old words is stopped, the new ones are answered."""
        if self._clock.now() - reading.said_at(message) > EDIT_WINDOW:
            return
        where = str(message["channel_id"])
        place = self._places.place(where, str(message.get("guild_id") or ""))
        me, manners = self._places.myself(place.server), await self._manners(place.server)
        if not reading.may_speak(message, me, manners):
            return
        spoken = reading.heard(message, me, place, manners)
        if spoken is None or reading.command_in(spoken.text, self._commands()):
            return
        for task in await self._store.live_tasks(channel_key(where), str(message["id"])):
            await self._cancel(task)
        await self.accept(message, spoken, place, manners, edit=reading.edit_number(message))

    async def _withdraw(self, message: Json) -> None:
        """Somebody deleted what they said: forget the words, stop what runs for them."""
        where, id = str(message["channel_id"]), str(message["id"])
        for task in await self._store.withdraw(channel_key(where), id, DELETED):
            await self._cancel(task)

    # --- positions ----------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                await self._flush()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("discord.positions_not_kept")
            if self._hearing_since is not None and time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                self._look_again()

    async def _flush(self) -> None:
        """Keep how far everything was worked off."""
        if not self._me:
            return
        moved, self._moved = self._moved, set()
        positions = {channel_key(one): self._positions[one] for one in moved}
        until = self._settled_until()
        if until is not None and not any(channel.waiting for channel in self._channels.values()):
            position = snowflake_at(until - _GATEWAY_MARGIN)
            self._positions[GATEWAY] = position
            positions[GATEWAY] = position
        if not positions:
            return
        try:
            await self._store.advance(PLATFORM, self._me, positions)
        except BaseException:
            self._moved |= moved
            raise

    def _look_again(self) -> None:
        """Events get lost now and then: look into the channels where somebody talked to the agent lately."""
        since = time.monotonic() - _ACTIVE_SECONDS
        active = sorted(
            ((channel.active_at, id) for id, channel in self._channels.items() if channel.active_at > since),
            reverse=True,
        )
        for _, id in active[:_MOST_ACTIVE]:
            self._feed("catch up", {"id": "0", "channel_id": id})
        for id, channel in list(self._channels.items()):
            if channel.active_at <= since and not channel.waiting:
                del self._channels[id]
