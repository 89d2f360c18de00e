"""From where channels are read after the bot was away: the gateway's position waits until every server was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from antiphon.domain.conversation import InboundMessage, Receipt
from antiphon.domain.errors import NotFound
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord.errors import DiscordAway
from antiphon.platforms.discord.ids import snowflake_at
from antiphon.platforms.discord.inbound import GATEWAY, Command, Inbound, Places
from antiphon.platforms.discord.reading import Manners, Myself, Place
from antiphon.platforms.discord.rest import DiscordRest
from tests.fakes.virtual_time import run_virtually

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ME, CHANNEL, SERVER = "7", "55", "66"


class World:
    """A Discord with one channel, a database, a clock: what `Inbound` needs of each."""

    def __init__(self, position: str) -> None:
        self.position = position
        self.history: list[dict[str, Any]] = []
        self.received: list[str] = []
        self.failures = 0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())

    def say(self, at: datetime) -> str:
        id = snowflake_at(at)
        author = {"id": "9", "username": "ada"}
        self.history.append(
            {"id": id, "channel_id": CHANNEL, "author": author, "content": f"<@{ME}> hello", "mentions": [{"id": ME}]}
        )
        return id

    async def cursors(self, platform: str, receiver: str) -> Mapping[str, str]:
        return {f"discord:{GATEWAY}": self.position}

    async def advance(self, platform: str, receiver: str, positions: Mapping[str, str]) -> None:
        self.position = positions.get(f"discord:{GATEWAY}", positions.get(GATEWAY, self.position))

    async def call(self, route: object, *, query: Mapping[str, str], **ids: Any) -> list[dict[str, Any]]:
        if self.failures:
            self.failures -= 1
            raise DiscordAway("Discord failed (503).")
        later = [one for one in self.history if int(one["id"]) > int(query["after"])]
        return [dict(one) for one in sorted(later, key=lambda one: int(one["id"]))[:100]]

    def place(self, channel: str, server: str) -> Place:
        return Place(channel, SERVER, "server", "channel")

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
        raise NotFound("It is only noted.")

    def inbound(self) -> Inbound:
        async def nothing(what: int | Command) -> None:
            raise AssertionError(what)

        return Inbound(
            receive=self.receive,
            cancel=nothing,
            store=cast("PlatformStore", self),
            api=cast("DiscordRest", self),
            places=cast("Places", self),
            manners=self.manners,
            run_command=nothing,
            commands=lambda: (),
            clock=self,
            backfill_hours=24.0,
            message_chars=4000,
        )

    def guild(self) -> dict[str, Any]:
        return {"id": SERVER, "channels": [{"id": CHANNEL, "last_message_id": self.history[-1]["id"]}]}


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
        inbound.created(world.history[-1])
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

        inbound._receive = receive  # type: ignore[method-assign]
        await inbound.begin(ME)
        inbound.connected()
        first, second, third = (world.say(NOON + timedelta(seconds=number)) for number in (1, 2, 3))
        broken |= {first: 2, second: 1000}
        for message in world.history:
            inbound.created(message)
        await inbound.idle()
        assert world.received == [first, third]
        await inbound.close()

    run_virtually(main())
