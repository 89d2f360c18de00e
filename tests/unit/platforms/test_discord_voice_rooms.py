"""Coming back into a voice channel after a cut, while somebody asks for another one: one move at a time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from antiphon.domain.errors import InvalidInput
from antiphon.platforms.discord.voice import VoiceRooms
from tests.fakes.clock import FakeClock
from tests.fakes.virtual_time import run_virtually

SERVER, OLD, NEW, ADA = "1", "10", "20", "5"


class Channels:
    """A server with two voice channels; Ada is in the new one. `log` is what was done, and when it was over."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.here: list[str] = []
        self.channels = [self._channel(OLD), self._channel(NEW, ADA)]
        self.guild = SimpleNamespace(
            me=None, voice_channels=self.channels, stage_channels=[], get_channel=self._get, get_member=lambda _: None
        )

    def _get(self, id: int) -> Any:
        return next((one for one in self.channels if one.id == id), None)

    def get_guild(self, id: int) -> Any:
        return self.guild if str(id) == SERVER else None

    def _channel(self, id: str, *users: str) -> Any:
        async def connect(**options: Any) -> Any:
            assert self.here == [], "one after the other"
            self.here.append(id)
            await asyncio.sleep(3.0)
            self.log.append(f"in {id}")
            return SimpleNamespace(disconnect=lambda force: self._gone(id))

        return SimpleNamespace(
            id=int(id),
            name=id,
            voice_states={int(user): SimpleNamespace(mute=False, self_mute=False) for user in users},
            permissions_for=lambda _: SimpleNamespace(view_channel=True, connect=True),
            connect=connect,
        )

    async def _gone(self, id: str) -> None:
        await asyncio.sleep(0.5)
        self.here.remove(id)
        self.log.append(f"out of {id}")


def rooms_of(channels: Channels) -> VoiceRooms:
    class Quiet:
        async def publish(self, *_: object) -> None:
            return None

    rooms = VoiceRooms(cast("Any", Quiet()), FakeClock())
    rooms.connect(cast("Any", channels))
    rooms._wanted[SERVER] = OLD
    return rooms


def test_who_asks_for_another_channel_while_the_agent_comes_back_gets_it() -> None:
    async def main() -> None:
        channels = Channels()
        rooms = rooms_of(channels)
        rooms.rejoin()
        rooms.rejoin()  # a second shard is ready too
        await asyncio.sleep(1.0)
        assert NEW in await rooms.join(SERVER, ADA)
        assert channels.log == [f"in {OLD}", f"out of {OLD}", f"in {NEW}"]
        rooms.rejoin()
        await asyncio.sleep(10.0)
        assert channels.here == [NEW]
        assert rooms.is_with(SERVER, ADA)

    run_virtually(main())


def test_a_join_before_the_agent_comes_back_leaves_it_where_it_was_asked_to_be() -> None:
    async def main() -> None:
        channels = Channels()
        rooms = rooms_of(channels)
        joining = asyncio.create_task(rooms.join(SERVER, ADA))
        await asyncio.sleep(0)
        rooms.rejoin()
        await joining
        await asyncio.sleep(10.0)
        assert channels.log == [f"in {NEW}"]

    run_virtually(main())


def test_who_is_sent_away_while_coming_back_stays_away() -> None:
    async def main() -> None:
        channels = Channels()
        rooms = rooms_of(channels)
        rooms.rejoin()
        await asyncio.sleep(1.0)
        assert await rooms.leave(SERVER) == "I left."
        rooms.rejoin()
        await asyncio.sleep(10.0)
        assert channels.here == []
        with pytest.raises(InvalidInput):
            await rooms.leave(SERVER)

    run_virtually(main())
