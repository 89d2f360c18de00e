"""The two WebSockets of a spoken session: its words (`/ws/transcript/{id}`) and its sound (`/ws/voice/{id}`).

Each lives as long as the credential it was opened with; of one that was opened by a ticket, that is the credential of
whoever asked for the ticket. A session that another process carries is carried on here when its person's sound arrives
here, and lives by that credential then.

Mounted by `asgi`. Refusals are told by a close code after the handshake, as in `sockets`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog

from antiphon.api.access import resume_point
from antiphon.api.auth import Authenticator, Identity, scope_with
from antiphon.api.edge import Receive
from antiphon.api.errors import Send
from antiphon.api.listeners import Ended
from antiphon.api.origins import Scope
from antiphon.api.sockets import (
    NORMAL,
    UNAUTHENTICATED,
    close_socket,
    code_of,
    converse,
    refuse,
)
from antiphon.api.state import ApiState
from antiphon.domain.errors import Forbidden, NotFound, Unauthenticated
from antiphon.domain.voice import EndReason, VoiceSession
from antiphon.voice.tickets import TicketUsed
from antiphon.voice.transcript import segment_event
from antiphon.voice.transports.websocket import USED, WebSocketTransport

if TYPE_CHECKING:
    from antiphon.voice.session import Session

log = structlog.stdlib.get_logger(__name__)
_PONG = '{"type":"pong"}'


async def _identified(state: ApiState, scope: Scope) -> Identity:
    identity = await state.auth.identify(scope)
    if identity is None:
        raise Unauthenticated("No credential, or a wrong one.")
    if not identity.principal.has("chat"):
        raise Forbidden("The key lacks the scope chat.")
    return identity


class TranscriptSocket:
    """What is said in one session, to one client. `?after=` is the `id` of the last event that came."""

    def __init__(self, state: ApiState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            identity = await _identified(self._state, scope)
            key = scope["url_route"]["kwargs"]["id"]
            store = self._state.services.stores.voice
            session = await store.get(key, identity.principal.person)
            after = resume_point(scope, header_too=False) or 0
        except Exception as error:
            await refuse(send, code_of(error))
            return
        hub, auth, person = self._state.transcripts, self._state.auth, identity.principal.person
        async with hub.listen(key, person, owner=person, after=None, reset_when_full=False) as listener:
            with auth.watch(identity, scope, lambda: listener.end(Ended.REVOKED)):
                await send({"type": "websocket.accept"})
                try:
                    # Read again: it may have ended before anybody listened.
                    session = await store.get(key, person)
                    await self._catch_up(send, session, after)
                except OSError:  # the client went while it was told
                    return
                except Exception as error:
                    await close_socket(send, code_of(error))
                    return
                if session.ended_at is not None:
                    await close_socket(send, NORMAL)
                    return
                code = await converse(listener, receive, send, last="ended", pong=_PONG)
        if code is not None:
            await close_socket(send, code)

    async def _catch_up(self, send: Send, session: VoiceSession, after: int) -> None:
        """What is final beyond `after`; the end, if it has ended."""
        last = after
        for segment in await self._state.services.stores.voice.segments(session.key, after):
            # Somebody may still be speaking: a client has everything only up to the first number that is not stored.
            if session.ended_at is not None or segment.number == last + 1:
                last = segment.number
            await send(_text({"type": "transcript", "id": last, **segment_event(segment)}))
        if session.ended_at is not None:
            await send(_text({"type": "ended", "id": last, "reason": session.reason}))
        elif (live := self._state.services.voice.find(session.key, session.person)) is not None:
            await send(_text({"type": "state", "id": last, "state": live.state}))
        else:
            await self._state.services.voice.tell_state(session.key)


class VoiceSocket:
    """The sound of one session, both ways. The way in is a ticket (`?ticket=`), or the credential itself."""

    def __init__(self, state: ApiState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        key = scope["url_route"]["kwargs"]["id"]
        try:
            way = await self._way_in(scope)
            session = await self._session(key, way)
        except TicketUsed:
            await refuse(send, USED)
            return
        except Exception as error:
            await refuse(send, code_of(error))
            return
        await send({"type": "websocket.accept"})
        transport = WebSocketTransport(receive, send, session.control)
        with self._state.auth.watch(way.identity, way.scope, lambda: transport.close(UNAUTHENTICATED)):
            code = await self._carry(session, transport)
        if code is not None:
            await close_socket(send, code)

    async def _carry(self, session: Session, transport: WebSocketTransport) -> int | None:
        serving = asyncio.create_task(transport.serve(), name="voice-socket")
        try:
            await session.connect(transport)
            return await asyncio.shield(serving)
        finally:
            await transport.aclose()
            await asyncio.wait({serving})

    async def _way_in(self, scope: Scope) -> _WayIn:
        """By what somebody comes: a ticket, or their credential. Raises `TicketUsed`."""
        if (secret := _ticket(scope)) is None:
            return _WayIn(await _identified(self._state, scope), scope, None)
        ticket = await self._state.services.voice.tickets.redeem(secret)
        if ticket is None:
            raise Unauthenticated("The ticket is not good.")
        asked = scope_with(ticket.credential)
        identity = await _identified(self._state, asked)
        if identity.principal.person != ticket.person:
            raise Unauthenticated("What the ticket was given for is somebody else's now.")
        return _WayIn(identity, asked, ticket.room)

    async def _session(self, key: str, way: _WayIn) -> Session:
        voice, person = self._state.services.voice, way.identity.principal.person
        session = voice.find(key, person)
        row = session.row if session is not None else await self._state.services.stores.voice.get(key, person)
        if way.room is not None and row.room != way.room:
            raise NotFound("The ticket is for another room.")

        def begun(taken: Session) -> None:
            end_with_the_credential(self._state.auth, way.identity, way.scope, taken)

        return session or await voice.take(row, begun)


@dataclass(frozen=True, slots=True)
class _WayIn:
    """Who comes, and what proves it. `room` is where a ticket leads, None without one."""

    identity: Identity
    scope: Scope
    room: str | None


def end_with_the_credential(auth: Authenticator, identity: Identity, scope: Scope, session: Session) -> None:
    """A key that is revoked, or a browser that is signed out, speaks no more."""
    watching = contextlib.ExitStack()
    watching.enter_context(auth.watch(identity, scope, lambda: session.end(EndReason.REVOKED)))
    session.on_end(watching.close)


def _ticket(scope: Scope) -> str | None:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    given = query.get("ticket") or query.get("token")
    return given[-1] if given else None


def _text(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "websocket.send", "text": json.dumps(event, separators=(",", ":"))}
