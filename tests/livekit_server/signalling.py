"""`/rtc`: a client shows its token, joins a room, and signals over the WebSocket until it goes."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler
from livekit.api import TokenVerifier
from livekit.api.access_token import Claims
from livekit.protocol.models import DisconnectReason
from livekit.protocol.rtc import JoinResponse, LeaveRequest, SignalRequest, SignalResponse

from tests.livekit_server.participant import REPLACED, Participant, log
from tests.livekit_server.rooms import Room, Rooms

PROTOCOL = 15
MAX_SIGNAL = 1 << 20
PING_INTERVAL, PING_TIMEOUT = 5, 15


class Signalling:
    """The routes that clients use. What they do not find, `/rtc/v1`, makes them use the protocol spoken here."""

    def __init__(self, rooms: Rooms, verifier: TokenVerifier) -> None:
        self._rooms = rooms
        self._verifier = verifier

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/rtc", self._rtc), web.get("/rtc/validate", self._validate), web.get("/", self._alive)]

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _validate(self, request: web.Request) -> web.Response:
        if self._claims(request) is None:
            return web.Response(status=401, text="invalid token")
        return web.Response(text="success")

    async def _rtc(self, request: web.Request) -> web.StreamResponse:
        claims = self._claims(request)
        if claims is None or claims.video is None:
            return web.Response(status=401, text="invalid token")
        socket = web.WebSocketResponse(max_msg_size=MAX_SIGNAL)
        await socket.prepare(request)
        if request.query.get("reconnect") == "1":
            # Nobody is kept after their socket has gone: the client joins anew, as after a restart of the real server.
            again = LeaveRequest(reason=DisconnectReason.STATE_MISMATCH, action=LeaveRequest.Action.RECONNECT)
            await socket.send_bytes(SignalResponse(leave=again).SerializeToString())
            await socket.close()
            return socket

        async def write(message: bytes) -> None:
            if not socket.closed:
                with contextlib.suppress(ConnectionError):
                    await socket.send_bytes(message)

        room = self._rooms.enter(claims.video.room)
        participant = Participant(claims, claims.video, write, lambda: room.others(participant))
        if (before := room.participants.get(participant.identity)) is not None:
            await before.dismiss(REPLACED)
        await _join(room, participant)
        starting = asyncio.ensure_future(participant.start())
        try:
            await _converse(socket, participant)
        finally:
            starting.cancel()
            self._rooms.leave(room, participant)
            await participant.close()
        return socket

    def _claims(self, request: web.Request) -> Claims | None:
        token = request.query.get("access_token") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = self._verifier.verify(token)
        except Exception:
            return None
        return claims if claims.video and claims.video.room_join and claims.video.room and claims.identity else None


@web.middleware
async def readable_by_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every page may read every answer, refusals too: that is how the client finds out which protocol is spoken."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers["Access-Control-Allow-Origin"] = "*"
        raise
    if not response.prepared:
        response.headers["Access-Control-Allow-Origin"] = "*"
    return response


async def _join(room: Room, participant: Participant) -> None:
    others = [other for other in room.others(participant) if other.identity != participant.identity]
    await participant.send(
        join=JoinResponse(
            room=room.info,
            participant=participant.info,
            other_participants=[other.info for other in others if not other.hidden],
            server_version="1.9.0",
            subscriber_primary=True,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            server_info={"version": "1.9.0", "protocol": PROTOCOL},
            enabled_publish_codecs=[{"mime": "audio/opus"}],
        )
    )
    if not participant.hidden:
        for other in others:
            await other.send(update={"participants": [participant.info]})
    room.participants[participant.identity] = participant


async def _converse(socket: web.WebSocketResponse, participant: Participant) -> None:
    async for message in socket:
        if message.type != WSMsgType.BINARY:
            continue
        try:
            if not await participant.handle(SignalRequest.FromString(message.data)):
                return
        except Exception:
            log.exception("a signal of %s failed", participant.identity)
