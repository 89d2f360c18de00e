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
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.errors import AntiphonError, StoreUnavailable
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused
from antiphon.platforms.discord.hearing import Hearing, shard_of
from antiphon.platforms.discord.ids import PLATFORM, channel_id, channel_key, is_snowflake, snowflake_at
from antiphon.platforms.discord.reading import Json
from antiphon.platforms.discord.rest import DiscordRest
from antiphon.platforms.discord.taking import DELETED, Command, Places, Taking

log = structlog.stdlib.get_logger(__name__)

_DIRECT = "direct."
"""What the position of a direct conversation is also kept under: Discord does not tell a bot which ones it has."""
_MOST_DIRECT = 1000
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


@dataclass(slots=True)
class _Channel:
    """What waits in one channel and what was done there lately."""

    waiting: deque[tuple[str, Json]] = field(default_factory=deque[tuple[str, Json]])
    recent: deque[str] = field(default_factory=lambda: deque[str](maxlen=_REMEMBERED))
    worker: asyncio.Task[None] | None = None
    server: str = ""
    active_at: float = 0.0
    behind: bool = False
    failures: int = 0
    """How often the first of what waits failed for a reason nobody foresaw."""


class Inbound:
    """Takes what the gateway says about messages. `begin` it with the bot's id and the kept positions, `close` it."""

    def __init__(
        self,
        *,
        taking: Taking,
        run_command: Callable[[Command], Awaitable[None]],
        store: PlatformStore,
        api: DiscordRest,
        places: Places,
        clock: Clock,
        backfill_hours: float,
    ) -> None:
        self._taking = taking
        self._run_command = run_command
        self._store = store
        self._api = api
        self._places = places
        self._clock = clock
        self._backfill = timedelta(hours=backfill_hours)
        self._hearing = Hearing(clock)
        self._channels: dict[str, _Channel] = {}
        self._positions: dict[str, str] = {}
        self._moved: set[str] = set()
        self._compared: dict[str, dict[str, dict[str, int]]] = {}
        self._flusher: asyncio.Task[None] | None = None
        self._lookers: set[asyncio.Task[None]] = set()

    async def begin(self, me: str, shards: Collection[int] = (0,), count: int = 1) -> None:
        """Read the kept positions and begin to keep new ones, for these of `count` shards."""
        self._taking.receiver = me
        while True:
            try:
                kept = await self._store.cursors(PLATFORM, me)
                break
            except StoreUnavailable:
                await asyncio.sleep(_STORE_RETRY)
        self._positions = {channel_id(key): value for key, value in kept.items() if value.isdigit()}
        self._moved.clear()
        if first := self._hearing.begin(self._positions, shards, count):
            with contextlib.suppress(StoreUnavailable):
                await self._store.advance(PLATFORM, me, first)
        self._flusher = asyncio.create_task(self._keep_up(), name="discord-positions")

    async def close(self) -> None:
        """Stop working; what waits is read again from the history."""
        tasks = [channel.worker for channel in self._channels.values() if channel.worker is not None]
        tasks += self._lookers
        if self._flusher is not None:
            tasks.append(self._flusher)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with contextlib.suppress(StoreUnavailable):
            await self._flush()
        self._channels.clear()
        self._compared.clear()
        self._flusher = None
        self._hearing.lost()

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

    def deleted(self, channel: str, server: str, messages: list[str]) -> None:
        """`MESSAGE_DELETE` and `MESSAGE_DELETE_BULK`."""
        for message in messages:
            self._feed("delete", {"id": message, "channel_id": channel, "guild_id": server})

    def connected(self, shard: int = 0, servers: Collection[str] = ()) -> None:
        """A new session: its servers announce themselves, direct conversations may have gone on meanwhile."""
        self._hearing.connected(shard, servers)
        looker = asyncio.get_running_loop().create_task(self._look_back(shard), name="discord-look-back")
        self._lookers.add(looker)
        looker.add_done_callback(self._lookers.discard)
        if shard == 0:  # which tells of direct conversations
            known = [name.removeprefix(_DIRECT) for name in self._positions if name.startswith(_DIRECT)]
            known.sort(key=lambda one: int(self._positions[_DIRECT + one]), reverse=True)
            for channel in known[:_MOST_DIRECT]:
                self._feed("catch up", {"id": "0", "channel_id": channel})

    def disconnected(self, shard: int | None = None) -> None:
        """A shard is not heard any more; None: none of them is."""
        self._hearing.disconnected(shard)

    def lost(self) -> None:
        """Somebody else may hold the shards of this process by now: nothing counts as heard any more."""
        self._hearing.lost()

    def resumed(self, shard: int = 0) -> None:
        """The session goes on. Discord repeats what was missed; the busy channels are looked at all the same."""
        self._hearing.resumed(shard)
        self._look_again()

    def server_seen(self, guild: Json) -> None:
        """`GUILD_CREATE`: read on in each channel that has something newer than its position."""
        server = str(guild["id"])
        self._hearing.seen(server)
        self._feed_compared(server)
        for channel in (*(guild.get("channels") or ()), *(guild.get("threads") or ())):
            last = channel.get("last_message_id")
            if is_snowflake(last) and self._is_behind(str(channel["id"]), server, str(last)):
                self._feed("catch up", {"id": "0", "channel_id": str(channel["id"]), "guild_id": server})

    def _is_behind(self, channel: str, server: str, last: str) -> bool:
        position = self._start(channel, server)
        return position is not None and int(last) > int(position)

    def _start(self, channel: str, server: str) -> str | None:
        """From where a channel is read; None when it is not, because nothing was ever heard there."""
        if not self._backfill:
            return None
        known = self._positions.get(channel) or self._hearing.start(server)
        if known is None:
            return None
        return str(max(int(known), int(snowflake_at(self._clock.now() - self._backfill))))

    async def _look_back(self, shard: int) -> None:
        """Messages of a new session's channels may have been edited or deleted meanwhile: compare the later ones."""
        if not self._backfill:
            return
        try:
            said = await self._store.said_since(PLATFORM, self._clock.now() - self._backfill, DELETED)
        except StoreUnavailable:
            return  # nothing is lost: they are answered as they were understood
        servers: dict[str, dict[str, dict[str, int]]] = {}
        for one in said:
            channel = channel_id(one.channel)
            if (
                shard_of(one.server, self._hearing.count) == shard
                and is_snowflake(one.native_id)
                and one.native_id != channel
            ):
                servers.setdefault(one.server, {}).setdefault(channel, {})[one.native_id] = one.edit
        for server, channels in servers.items():
            self._compared[server] = channels
            if not self._hearing.awaited(server):
                self._feed_compared(server)

    def _feed_compared(self, server: str) -> None:
        for channel, known in self._compared.pop(server, {}).items():
            self._feed("compare", {"id": "0", "channel_id": channel, "guild_id": server, "known": known})

    def _feed(self, kind: str, data: Json) -> None:
        id = str(data["channel_id"])
        channel = self._channels.setdefault(id, _Channel())
        channel.server = str(data.get("guild_id") or "")
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
                channel.waiting.appendleft(("catch up", {"id": "0", "channel_id": id, "guild_id": channel.server}))
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
                await self._taking.edit(data)
            case "delete":
                await self._taking.withdraw(str(data["channel_id"]), str(data["id"]))
            case "compare":
                await self._compare(str(data["channel_id"]), channel.server, data["known"])
            case _:
                await self.catch_up(channel, str(data["channel_id"]), channel.server)

    async def _compare(self, id: str, server: str, known: dict[str, int]) -> None:
        if self._places.readable(id):
            try:
                await self._taking.compare(id, server, known)
            except (DiscordRefused, DiscordAway) as error:
                log.info("discord.not_compared", reason=str(error))

    async def catch_up(self, channel: _Channel, id: str, server: str) -> None:
        """Read the history since the position of the channel, as if it came now."""
        start = self._start(id, server)
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
        said = await self._taking.read(message)
        command = None
        if said is not None:
            channel.active_at, command = time.monotonic(), said.command
            try:
                if command is None:
                    await self._taking.accept(said)
                elif int(id) > int(self._positions.get(where) or 0):
                    await self._run_command(command)
            except StoreUnavailable:
                raise
            except AntiphonError as error:
                log.info("discord.not_taken", code=error.code, reason=error.message)
        new = not channel.server and _DIRECT + where not in self._positions
        self._passed(where, id)
        if not channel.server:
            self._passed(_DIRECT + where, id)
        channel.recent.append(id)
        if command is not None or new:
            await self._flush()  # at once: no restart runs it again, or forgets that this conversation is there

    def _passed(self, channel: str, id: str) -> None:
        if int(id) > int(self._positions.get(channel) or 0):
            self._positions[channel] = id
            self._moved.add(channel)

    # --- positions ----------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._hearing.look()
            try:
                await self._flush()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("discord.positions_not_kept")
            if self._hearing.anything and time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                self._look_again()

    async def _flush(self) -> None:
        """Keep how far everything was worked off."""
        if not self._taking.receiver:
            return
        moved, self._moved = self._moved, set()
        positions = {channel_key(one): self._positions[one] for one in moved}
        busy = {shard_of(channel.server, self._hearing.count) for channel in self._channels.values() if channel.waiting}
        positions |= self._hearing.positions(busy)
        if not positions:
            return
        try:
            await self._store.advance(PLATFORM, self._taking.receiver, positions)
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
            self._feed("catch up", {"id": "0", "channel_id": id, "guild_id": self._channels[id].server})
        for id, channel in list(self._channels.items()):
            if channel.active_at <= since and not channel.waiting:
                del self._channels[id]
