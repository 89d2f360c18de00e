"""The two WebSockets of a spoken session: its words (`/ws/transcript/{id}`) and its sound (`/ws/voice/{id}`).

Mounted by `asgi`. Refusals are told by a close code after the handshake, as in `sockets`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog

from antiphon.api.access import resume_point
from antiphon.api.auth import Identity
from antiphon.api.edge import Receive
from antiphon.api.errors import Send
from antiphon.api.listeners import Ended
from antiphon.api.origins import Scope
from antiphon.api.sockets import (
    UNAUTHENTICATED,
    UNKNOWN,
    close_socket,
    code_of,
    converse,
    refuse,
)
from antiphon.api.state import ApiState
from antiphon.domain.errors import Forbidden, Unauthenticated
from antiphon.domain.voice import VoiceSession
from antiphon.voice.tickets import TicketUsed
from antiphon.voice.transcript import segment_event
from antiphon.voice.transports.websocket import USED, WebSocketTransport

if TYPE_CHECKING:
    from antiphon.voice.session import Session

log = structlog.stdlib.get_logger(__name__)

NORMAL = 1000


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
            store = self._state.services.voice_store
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
                except Exception as error:
                    await close_socket(send, code_of(error))
                    return
                if session.ended_at is not None:
                    await close_socket(send, NORMAL)
                    return
                code = await converse(listener, receive, send)
        if code is not None:
            await close_socket(send, code)

    async def _catch_up(self, send: Send, session: VoiceSession, after: int) -> None:
        """What is final beyond `after`; the end, if it has ended."""
        last = after
        for segment in await self._state.services.voice_store.segments(session.key, after):
            last = max(last, segment.number)
            await send(_text({"type": "transcript", "id": segment.number, **segment_event(segment)}))
        if session.ended_at is not None:
            await send(_text({"type": "ended", "id": last, "reason": session.reason}))
        elif (live := self._state.services.voice.find(session.key, session.person)) is not None:
            await send(_text({"type": "state", "id": last, "state": live.state}))


class VoiceSocket:
    """The sound of one session, both ways. The way in is a ticket (`?ticket=`), or the credential itself."""

    def __init__(self, state: ApiState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        key = scope["url_route"]["kwargs"]["id"]
        identity: Identity | None = None
        try:
            if (ticket := _ticket(scope)) is not None:
                session = self._by_ticket(key, ticket)
            else:
                identity = await _identified(self._state, scope)
                session = self._state.services.voice.find(key, identity.principal.person) or UNKNOWN
        except Exception as error:
            await refuse(send, code_of(error))
            return
        if isinstance(session, int):
            await refuse(send, session)
            return
        await send({"type": "websocket.accept"})
        transport = WebSocketTransport(receive, send, session.control)
        with contextlib.ExitStack() as stack:
            if identity is not None:
                stack.enter_context(self._state.auth.watch(identity, scope, lambda: transport.close(UNAUTHENTICATED)))
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

    def _by_ticket(self, key: str, secret: str) -> Session | int:
        """The session a ticket is good for, or the code that refuses it."""
        voice = self._state.services.voice
        try:
            ticket = voice.tickets.redeem(secret)
        except TicketUsed:
            return USED
        if ticket is None:
            return UNAUTHENTICATED
        session = voice.find(key, ticket.person)
        return session if session is not None and session.row.room == ticket.room else UNKNOWN


def _ticket(scope: Scope) -> str | None:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    given = query.get("ticket") or query.get("token")
    return given[-1] if given else None


def _text(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "websocket.send", "text": json.dumps(event, separators=(",", ":"))}
