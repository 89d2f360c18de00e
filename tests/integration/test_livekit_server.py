"""The LiveKit-compatible server of the tests, used by the real Python SDK. With LIVEKIT_URL, the real server is."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest
from livekit import api, rtc

from tests.livekit_server.client import SECONDS, Someone, in_room, singing, until
from tests.livekit_server.process import LiveKit


def some_room() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


async def test_people_in_a_room_hear_and_read_each_other_and_nobody_of_another_room(livekit: LiveKit) -> None:
    here, there = some_room(), some_room()
    async with (
        in_room(livekit, here, "ada") as ada,
        in_room(livekit, here, "ben") as ben,
        in_room(livekit, there, "cleo") as cleo,
        singing(ada, 440),
        singing(cleo, 880),
    ):
        await until(lambda: ben.pitch("ada") == pytest.approx(440, abs=3), "the tone of ada")
        await ada.room.local_participant.publish_data(b"one", topic="t", reliable=True)
        await ada.room.local_participant.send_text("a long line " * 2000, topic="lines")
        await until(lambda: bool(ben.data and ben.texts), "data and text")
        assert ben.data == [("t", b"one", "ada")]
        assert ben.texts == [("ada", "a long line " * 2000)]
        assert list(ben.audio) == ["ada"]
        assert not cleo.audio
        assert not cleo.data
        assert not cleo.texts
        assert [p.identity for p in ben.room.remote_participants.values()] == ["ada"]


async def test_who_comes_later_hears_what_is_there_and_sees_who_goes(livekit: LiveKit) -> None:
    name = some_room()
    async with in_room(livekit, name, "ada") as ada, singing(ada, 600):
        async with in_room(livekit, name, "ben") as ben:
            await until(lambda: ben.pitch("ada") == pytest.approx(600, abs=3), "the tone of ada")
            await until(lambda: "ben" in ada.room.remote_participants, "ben to be seen")
        await until(lambda: not ada.room.remote_participants, "ben to be gone")


async def test_data_goes_to_whom_it_is_addressed(livekit: LiveKit) -> None:
    name = some_room()
    async with (
        in_room(livekit, name, "ada") as ada,
        in_room(livekit, name, "ben") as ben,
        in_room(livekit, name, "cleo") as cleo,
    ):
        everybody = {"ben", "cleo"}
        await until(lambda: set(ada.room.remote_participants) == everybody, "everybody")
        me = ada.room.local_participant
        await me.publish_data(b"for ben", topic="t", destination_identities=["ben"])
        await me.publish_data(b"for all", topic="t")
        await until(lambda: len(ben.data) == 2 and bool(cleo.data), "the data")
        assert cleo.data == [("t", b"for all", "ada")]


async def test_a_muted_or_unpublished_track_is_seen_by_the_others(livekit: LiveKit) -> None:
    name = some_room()
    async with (
        in_room(livekit, name, "ada") as ada,
        in_room(livekit, name, "ben") as ben,
        singing(ada, 500) as publication,
    ):
        await until(lambda: ben.pitch("ada") > 0, "the tone of ada")
        publication.track.mute()  # type: ignore[union-attr]
        await until(lambda: all(t.muted for t in _tracks(ben)), "the mute")
        await ada.room.local_participant.unpublish_track(publication.sid)
        await until(lambda: not _tracks(ben), "the end of the track")


def _tracks(someone: Someone) -> list[rtc.RemoteTrackPublication]:
    return [t for p in someone.room.remote_participants.values() for t in p.track_publications.values()]


async def test_a_second_one_of_the_same_identity_takes_the_place_of_the_first(livekit: LiveKit) -> None:
    name = some_room()
    async with in_room(livekit, name, "ada") as first, in_room(livekit, name, "ada") as second:
        await until(lambda: bool(first.left), "the first to be sent away")
        assert first.left == [rtc.DisconnectReason.DUPLICATE_IDENTITY]
        assert second.room.isconnected()


async def test_a_token_opens_one_room_to_its_holder_alone(livekit: LiveKit) -> None:
    stranger = LiveKit(livekit.url, livekit.key, "another secret, as long as it must be")
    for token in (stranger.token("r", "ada"), livekit.token("r", "ada", room_join=False), "nonsense"):
        with pytest.raises(rtc.ConnectError):
            await asyncio.wait_for(rtc.Room().connect(livekit.url, token), SECONDS)


async def test_who_may_not_send_data_is_not_heard(livekit: LiveKit) -> None:
    name = some_room()
    async with (
        in_room(livekit, name, "ada", can_publish_data=False) as ada,
        in_room(livekit, name, "ben") as ben,
        in_room(livekit, name, "cleo") as cleo,
    ):
        await until(lambda: set(ben.room.remote_participants) == {"ada", "cleo"}, "everybody")
        with contextlib.suppress(Exception):  # a client may know its rights
            await ada.room.local_participant.publish_data(b"secret", topic="t")
        await cleo.room.local_participant.publish_data(b"open", topic="t")
        await until(lambda: bool(ben.data), "the data of cleo")
        assert ben.data == [("t", b"open", "cleo")]


async def test_a_room_is_listed_and_deleted_by_its_service(livekit: LiveKit) -> None:
    name = some_room()
    async with (
        in_room(livekit, name, "ada") as ada,
        api.LiveKitAPI(livekit.url, livekit.key, livekit.secret) as service,
    ):
        rooms = await service.room.list_rooms(api.ListRoomsRequest(names=[name]))
        assert [room.name for room in rooms.rooms] == [name]
        people = await service.room.list_participants(api.ListParticipantsRequest(room=name))
        assert [person.identity for person in people.participants] == ["ada"]
        await service.room.delete_room(api.DeleteRoomRequest(room=name))
        await until(lambda: bool(ada.left), "ada to be sent away")
        rooms = await service.room.list_rooms(api.ListRoomsRequest(names=[name]))
        assert not rooms.rooms
