"""From where channels are read after the bot was away: the gateway's position waits until every server was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from antiphon.domain.conversation import InboundMessage, Receipt
from antiphon.domain.errors import NotFound
from antiphon.domain.platforms import PlatformStore, SaidLately
from antiphon.platforms.discord.errors import UNKNOWN_MESSAGE, DiscordAway, DiscordRefused
from antiphon.platforms.discord.hearing import shard_of
from antiphon.platforms.discord.ids import snowflake_at, time_of
from antiphon.platforms.discord.inbound import Inbound
from antiphon.platforms.discord.reading import Manners, Myself, Place
from antiphon.platforms.discord.rest import MESSAGE, DiscordRest
from antiphon.platforms.discord.taking import DELETED, Command, Places, Taking
from tests.fakes.virtual_time import run_virtually

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ME, CHANNEL, SERVER = "7", "55", "66"
OTHER = str((1 << 22) + 66)
"""A server that another shard tells of, where there are two."""


class World:
    """A Discord with a channel in each of two servers, a database, a clock: what `Inbound` needs of each."""

    def __init__(self, position: str, kept: dict[str, str] | None = None) -> None:
        self.kept = {"gateway": position} if kept is None else kept
        self.history: list[dict[str, Any]] = []
        self.received: list[str] = []
        self.texts: list[str] = []
        self.said: list[SaidLately] = []
        self.withdrawn: list[str] = []
        self.failures = 0
        self.slept = timedelta()

    @property
    def position(self) -> str:
        return self.kept.get("gateway.0/1") or self.kept["gateway"]

    def now(self) -> datetime:
        return NOON + self.slept + timedelta(seconds=asyncio.get_running_loop().time())

    def say(self, at: datetime, channel: str = CHANNEL, text: str = "hello") -> str:
        id = snowflake_at(at)
        author = {"id": "9", "username": "ada"}
        content = f"<@{ME}> {text}"
        self.history.append(
            {"id": id, "channel_id": channel, "author": author, "content": content, "mentions": [{"id": ME}]}
        )
        return id

    async def cursors(self, platform: str, receiver: str) -> Mapping[str, str]:
        return dict(self.kept)

    async def advance(self, platform: str, receiver: str, positions: Mapping[str, str]) -> None:
        self.kept |= positions

    async def said_since(self, platform: str, since: datetime, withdrawn: str) -> list[SaidLately]:
        assert withdrawn == DELETED
        return self.said

    async def live_tasks(self, channel: str, native_id: str) -> list[int]:
        return []

    async def withdraw(self, channel: str, native_id: str, text: str) -> list[int]:
        self.withdrawn.append(native_id)
        return []

    async def call(self, route: object, *, query: Mapping[str, str] | None = None, **ids: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise DiscordAway("Discord failed (503).")
        if route is MESSAGE:
            found = [dict(one) for one in self.history if one["id"] == ids["message"]]
            if not found:
                raise DiscordRefused(404, UNKNOWN_MESSAGE, "GET message")
            return found[0]
        assert query is not None
        later = [
            one for one in self.history if one["channel_id"] == ids["channel"] and int(one["id"]) > int(query["after"])
        ]
        return [dict(one) for one in sorted(later, key=lambda one: int(one["id"]))[:100]]

    def place(self, channel: str, server: str) -> Place:
        return Place(channel, server, "server", "channel")

    def readable(self, channel: str) -> bool:
        return True

    def name_of(self, server: str, kind: str, id: str) -> str:
        return ""

    def myself(self, server: str) -> Myself:
        return Myself(ME, ("dex",))

    async def manners(self, server: str) -> Manners:
        return Manners()

    async def receive(self, message: InboundMessage) -> Receipt:
        self.received.append(message.native_id)
        self.texts.append(message.text)
        raise NotFound("It is only noted.")

    def inbound(self) -> Inbound:
        async def nothing(what: int | Command) -> None:
            raise AssertionError(what)

        taking = Taking(
            receive=self.receive,
            cancel=nothing,
            store=cast("PlatformStore", self),
            api=cast("DiscordRest", self),
            places=cast("Places", self),
            manners=self.manners,
            commands=lambda: (),
            clock=self,
            message_chars=4000,
        )
        return Inbound(
            taking=taking,
            run_command=nothing,
            store=cast("PlatformStore", self),
            api=cast("DiscordRest", self),
            places=cast("Places", self),
            clock=self,
            backfill_hours=24.0,
        )

    def guild(self, server: str = SERVER, channel: str = CHANNEL) -> dict[str, Any]:
        last = next((one["id"] for one in reversed(self.history) if one["channel_id"] == channel), None)
        return {"id": server, "channels": [{"id": channel, "last_message_id": last}]}


def test_a_server_that_announces_itself_late_is_read_from_where_the_gateway_was_lost() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        first = world.say(NOON - timedelta(minutes=30))  # in a channel where nothing was ever for the agent
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected()
        await asyncio.sleep(30.0)  # positions were kept several times meanwhile
        inbound.server_seen(world.guild())
        await inbound.idle()
        assert world.received == [first]
        await asyncio.sleep(300.0)
        assert int(world.position) > int(snowflake_at(NOON))
        await inbound.close()

    run_virtually(main())


def test_an_outage_of_any_length_leaves_no_gap_in_the_history() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        said = [world.say(NOON - timedelta(minutes=30) + timedelta(seconds=number)) for number in range(250)]
        world.failures = 80
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected()
        inbound.server_seen(world.guild())
        inbound.created({**world.history[-1], "guild_id": SERVER})
        await inbound.idle()
        assert world.received == said
        await inbound.close()

    run_virtually(main())


def test_a_message_that_fails_unforeseen_is_tried_again_and_in_the_end_holds_up_nobody() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        broken: dict[str, int] = {}
        inbound = world.inbound()
        taken = world.receive

        async def receive(message: InboundMessage) -> Receipt:
            if broken.get(message.native_id, 0):
                broken[message.native_id] -= 1
                raise ZeroDivisionError
            return await taken(message)

        inbound._taking._receive = receive
        await inbound.begin(ME)
        inbound.connected()
        first, second, third = (world.say(NOON + timedelta(seconds=number)) for number in (1, 2, 3))
        broken |= {first: 2, second: 1000}
        for message in world.history:
            inbound.created({**message, "guild_id": SERVER})
        await inbound.idle()
        assert world.received == [first, third]
        await inbound.close()

    run_virtually(main())


def test_each_shard_is_read_from_where_it_was_lost_itself() -> None:
    async def main() -> None:
        assert [shard_of(server, 2) for server in (SERVER, OTHER, "")] == [0, 1, 0]
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        inbound = world.inbound()
        await inbound.begin(ME, (0, 1), 2)
        for shard, server in ((0, SERVER), (1, OTHER)):
            inbound.connected(shard, [server])
            inbound.server_seen({"id": server})
        await asyncio.sleep(600.0)
        inbound.disconnected(1)
        missed = world.say(world.now() + timedelta(seconds=30), "77")
        await asyncio.sleep(1800.0)  # the first shard is heard all the time, and its position goes on
        assert time_of(world.kept["gateway.0/2"]) > world.now() - timedelta(minutes=3)
        assert time_of(world.kept["gateway.1/2"]) < time_of(missed)
        inbound.connected(1, [OTHER])
        inbound.server_seen(world.guild(OTHER, "77"))
        await inbound.idle()
        assert world.received == [missed]
        await inbound.close()

    run_virtually(main())


def test_after_a_change_of_their_number_each_server_is_read_from_what_was_heard_of_it() -> None:
    async def main() -> None:
        early, late = (NOON - timedelta(hours=hours) for hours in (2, 1))
        kept = {"gateway": snowflake_at(NOON - timedelta(hours=9))}
        kept |= {"gateway.0/2": snowflake_at(late), "gateway.1/2": snowflake_at(early)}
        world = World("", kept)
        heard = world.say(late - timedelta(minutes=5))
        missed = [world.say(late + timedelta(minutes=5)), world.say(early + timedelta(minutes=5), "77")]
        assert heard not in missed
        inbound = world.inbound()
        await inbound.begin(ME, (0, 1, 2), 3)
        for server, channel in ((SERVER, CHANNEL), (OTHER, "77")):
            inbound.server_seen(world.guild(server, channel))
        await inbound.idle()
        assert sorted(world.received) == sorted(missed)
        # A shard of which nothing is known reads from the earliest that is known of any.
        only = World("", {"gateway.0/2": snowflake_at(early), "discord:gateway.x": "5"})
        missed = [only.say(early + timedelta(minutes=5), "77")]
        other = only.inbound()
        await other.begin(ME, (1,), 2)
        other.server_seen(only.guild(OTHER, "77"))
        await other.idle()
        assert only.received == missed
        await inbound.close()
        await other.close()

    run_virtually(main())


def test_a_server_that_did_not_announce_itself_holds_up_the_position() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        missed = world.say(NOON - timedelta(minutes=30))
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected(0, [SERVER])
        await asyncio.sleep(1200.0)
        inbound.server_seen(world.guild())
        await inbound.idle()
        assert world.received == [missed]
        await asyncio.sleep(10.0)
        assert time_of(world.position) > NOON
        await inbound.close()

    run_virtually(main())


def test_a_night_in_which_the_machine_slept_is_not_taken_for_heard() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(hours=1)))
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected(0, [SERVER])
        inbound.server_seen({"id": SERVER})
        await asyncio.sleep(600.0)
        missed = world.say(world.now() + timedelta(hours=3))
        world.slept = timedelta(hours=8)
        await asyncio.sleep(60.0)  # nobody noticed yet that the connection is dead
        inbound.disconnected(0)
        inbound.connected(0, [SERVER])
        inbound.server_seen(world.guild())
        await inbound.idle()
        assert world.received == [missed]
        await inbound.close()

    run_virtually(main())


def test_edits_and_deletions_while_nobody_heard_are_applied() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON - timedelta(minutes=5)))
        kept, edited, late, deleted = (world.say(NOON - timedelta(minutes=number)) for number in (40, 30, 20, 10))
        world.said = [SaidLately(f"discord:{CHANNEL}", SERVER, id, 0) for id in (kept, edited, late, deleted)]
        world.said.append(SaidLately("discord:77", OTHER, deleted, 0))  # of another process's shard
        world.history[1] |= {
            "content": f"<@{ME}> better",
            "edited_timestamp": (NOON - timedelta(minutes=25)).isoformat(),
        }
        world.history[2] |= {"content": f"<@{ME}> too late", "edited_timestamp": NOON.isoformat()}
        del world.history[3]
        inbound = world.inbound()
        await inbound.begin(ME, (0,), 2)
        inbound.connected(0, [SERVER])
        await asyncio.sleep(1.0)
        assert world.withdrawn == [], "the server did not announce itself yet"
        inbound.server_seen({"id": SERVER})
        await inbound.idle()
        assert world.withdrawn == [deleted]
        assert world.texts == ["better"]
        await inbound.close()

    run_virtually(main())


def test_what_may_not_be_read_is_not_taken_for_deleted() -> None:
    async def main() -> None:
        world = World(snowflake_at(NOON))
        id = world.say(NOON - timedelta(minutes=10))
        world.said = [SaidLately(f"discord:{CHANNEL}", SERVER, id, 0)]
        world.history.clear()
        asked = world.call

        async def call(route: object, **about: Any) -> Any:
            if route is MESSAGE:
                raise DiscordRefused(403, 50001, "GET message")
            return await asked(route, **about)

        world.call = call  # type: ignore[method-assign]
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected(0, [])
        await asyncio.sleep(1.0)
        await inbound.idle()
        assert world.withdrawn == []
        await inbound.close()

    run_virtually(main())


def test_only_direct_conversations_are_read_without_a_server() -> None:
    async def main() -> None:
        position = snowflake_at(NOON - timedelta(hours=1))
        world = World(
            "", {"gateway.0/1": position, "discord:direct.5": position, "discord:5": position, "discord:88": position}
        )
        missed = world.say(NOON - timedelta(minutes=5), "5")
        world.history[-1]["content"] = "a word without a mention"
        world.say(NOON - timedelta(minutes=4), "88")  # of a server that did not announce itself yet
        inbound = world.inbound()
        await inbound.begin(ME)
        inbound.connected(0, [SERVER])
        await inbound.idle()
        assert world.received == [missed]
        later = {**world.history[0], "id": world.say(NOON + timedelta(seconds=1), "6"), "channel_id": "6"}
        inbound.created(later)
        await inbound.idle()
        assert world.kept["discord:direct.6"] == later["id"]
        await inbound.close()

    run_virtually(main())
