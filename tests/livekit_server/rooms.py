"""The rooms of the server, and the part of LiveKit's room service that is used: list, remove a participant, delete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiohttp import web
from livekit.api import TokenVerifier
from livekit.protocol import models, room

from tests.livekit_server.participant import DELETED, REMOVED, Participant, new_id


class Room:
    """People who hear each other. It ends when the last one goes."""

    def __init__(self, name: str) -> None:
        self.info = models.Room(sid=new_id("RM_"), name=name, creation_time=int(time.time()))
        self.participants: dict[str, Participant] = {}

    def others(self, than: Participant) -> Iterable[Participant]:
        return [other for other in self.participants.values() if other is not than]


class Rooms:
    """Every room that has somebody in it."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def enter(self, name: str) -> Room:
        return self._rooms.setdefault(name, Room(name))

    def leave(self, room: Room, participant: Participant) -> None:
        if room.participants.get(participant.identity) is participant:
            del room.participants[participant.identity]
        if not room.participants:
            self._rooms.pop(room.info.name, None)

    def get(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def all(self) -> list[Room]:
        return list(self._rooms.values())


class RoomService:
    """`/twirp/livekit.RoomService/…`, as the server's own API calls it."""

    def __init__(self, rooms: Rooms, verifier: TokenVerifier) -> None:
        self._rooms = rooms
        self._verifier = verifier

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/twirp/livekit.RoomService/{method}", self._call)]

    async def _call(self, request: web.Request) -> web.Response:
        try:
            claims = self._verifier.verify(request.headers.get("Authorization", "").removeprefix("Bearer "))
        except Exception:
            return _refused(401, "unauthenticated", "invalid token")
        body, grants = await request.read(), claims.video
        match request.match_info["method"]:
            case "ListRooms":
                if not (grants and grants.room_list):
                    return _refused(403, "permission_denied", "permissions denied")
                names = set(room.ListRoomsRequest.FromString(body).names)
                found = [one.info for one in self._rooms.all() if not names or one.info.name in names]
                return _answer(room.ListRoomsResponse(rooms=found))
            case "ListParticipants":
                name = room.ListParticipantsRequest.FromString(body).room
                if not (grants and grants.room_admin and grants.room == name):
                    return _refused(403, "permission_denied", "permissions denied")
                people = self._rooms.enter(name).participants.values() if self._rooms.get(name) else []
                return _answer(room.ListParticipantsResponse(participants=[one.info for one in people]))
            case "RemoveParticipant":
                wanted = room.RoomParticipantIdentity.FromString(body)
                if not (grants and grants.room_admin and grants.room == wanted.room):
                    return _refused(403, "permission_denied", "permissions denied")
                here = self._rooms.get(wanted.room)
                if here is None or wanted.identity not in here.participants:
                    return _refused(404, "not_found", "participant does not exist")
                await here.participants[wanted.identity].dismiss(REMOVED)
                return _answer(room.RemoveParticipantResponse())
            case "DeleteRoom":
                if not (grants and grants.room_create):
                    return _refused(403, "permission_denied", "permissions denied")
                here = self._rooms.get(room.DeleteRoomRequest.FromString(body).room)
                if here is None:
                    return _refused(404, "not_found", "requested room does not exist")
                await asyncio.gather(*(one.dismiss(DELETED) for one in list(here.participants.values())))
                return _answer(room.DeleteRoomResponse())
            case _:
                return _refused(404, "bad_route", "no handler for path")


def _answer(message: object) -> web.Response:
    return web.Response(body=message.SerializeToString(), content_type="application/protobuf")  # type: ignore[attr-defined]


def _refused(status: int, code: str, text: str) -> web.Response:
    return web.json_response({"code": code, "msg": text}, status=status)
