"""The WebSocket face of live events: `/ws/channels/{key}?after=`. Mounted by `asgi` in a Channels URLRouter.

A plain ASGI application: it authorises, subscribes, and then only hands shared frames on. Refusals are told by a close
code after the handshake, because a browser cannot see why a handshake failed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog

from antiphon.api.access import listenable_channel, resume_point
from antiphon.api.auth import Identity
from antiphon.api.edge import Receive
from antiphon.api.errors import Send
from antiphon.api.listeners import Ended, Frame, Listener
from antiphon.api.origins import Scope
from antiphon.api.state import ApiState
from antiphon.domain.errors import AntiphonError, Forbidden, InvalidInput, NotFound, Unauthenticated

log = structlog.stdlib.get_logger(__name__)

MALFORMED, UNAUTHENTICATED, FORBIDDEN, UNKNOWN, SLOW, TOO_LARGE = 4400, 4401, 4403, 4404, 4408, 4413
NORMAL, RESTARTING, TRY_AGAIN = 1000, 1012, 1013
MAX_CLIENT_MESSAGE = 4096
"""Characters or bytes of one message from a client: it has nothing to say but `ping`."""
CLOSE_SECONDS = 10.0
"""How long a client that does not read is given to take the close frame."""

_CODES: dict[Ended, int] = {
    Ended.OVER: NORMAL,
    Ended.REVOKED: UNAUTHENTICATED,
    Ended.FOREIGN: UNKNOWN,
    Ended.SLOW: SLOW,
    Ended.STOPPING: RESTARTING,
    Ended.UNAVAILABLE: TRY_AGAIN,
}
_PONG = '{"id":null,"event":"pong","data":{}}'


class ChannelSocket:
    """Serves one channel's events to one client, until either goes."""

    def __init__(self, state: ApiState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            identity = await self._state.auth.identify(scope)
            if identity is None:
                raise Unauthenticated("No credential, or a wrong one.")
            if not identity.principal.has("chat"):
                raise Forbidden("The key lacks the scope chat.")
            channel = scope["url_route"]["kwargs"]["key"]
            owner = await listenable_channel(self._state.services.stores.database, channel, identity.principal.person)
            after = resume_point(scope, header_too=False)
        except Exception as error:
            await refuse(send, code_of(error))
            return
        await self._serve(scope, receive, send, channel=channel, owner=owner, after=after, identity=identity)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        channel: str,
        owner: int | None,
        after: int | None,
        identity: Identity,
    ) -> None:
        hub, auth, person = self._state.hub, self._state.auth, identity.principal.person
        async with hub.listen(channel, person, owner=owner, after=after, reset_when_full=False) as listener:
            with auth.watch(identity, scope, lambda: listener.end(Ended.REVOKED)):
                await send({"type": "websocket.accept"})
                code = await converse(listener, receive, send)
        if code is not None:
            await close_socket(send, code)


async def converse(
    listener: Listener, receive: Receive, send: Send, *, last: str = "", pong: str = _PONG
) -> int | None:
    """Pass events on until the end; returns the close code, or None when the client has gone.

    Nothing comes after an event that is named `last`; `pong` answers pings.
    """

    async def write(frame: Frame) -> None:
        await send(frame.ws)
        if frame.name == last:
            listener.end(Ended.OVER)

    listener.send_with(write)
    reader = asyncio.create_task(_read(receive, send, pong), name="api-socket-read")
    ending = asyncio.create_task(listener.wait_ended(), name="api-socket-end")
    tasks: set[asyncio.Task[Any]] = {reader, ending}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await listener.stop_sending()
    if not reader.cancelled():
        error = reader.exception()
        if error is None:
            return reader.result()
        if not isinstance(error, OSError):  # OSError: the client went away while we answered
            log.error("api.socket_failed", exc_info=error)
    return _CODES.get(listener.ended) if listener.ended is not None else None


async def _read(receive: Receive, send: Send, pong: str) -> int | None:
    """Answer pings. Returns a close code when the client misbehaves, None when it goes."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        content = message.get("text") or message.get("bytes") or ""
        if len(content) > MAX_CLIENT_MESSAGE:
            return TOO_LARGE
        if _is_ping(content):
            await send({"type": "websocket.send", "text": pong})


def _is_ping(content: str | bytes) -> bool:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("type") == "ping"


async def refuse(send: Send, code: int) -> None:
    """Open the socket only to close it with a code that the client can read."""
    await send({"type": "websocket.accept"})
    await close_socket(send, code)


async def unknown_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Where no route matches."""
    await receive()
    await refuse(send, UNKNOWN)


async def close_socket(send: Send, code: int) -> None:
    """Close with a code, if the client takes it in time."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await send({"type": "websocket.close", "code": code})
    except (TimeoutError, OSError):  # it does not read, or it has gone: the server drops the connection
        pass


def code_of(error: Exception) -> int:
    """The close code that refuses for this reason."""
    match error:
        case Unauthenticated():
            return UNAUTHENTICATED
        case Forbidden():
            return FORBIDDEN
        case NotFound():
            return UNKNOWN
        case InvalidInput():
            return MALFORMED
        case AntiphonError():
            return TRY_AGAIN
        case _:
            log.error("api.socket_failed", exc_info=error)
            return 1011
