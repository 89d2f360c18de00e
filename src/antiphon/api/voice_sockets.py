"""The two WebSockets of a spoken session: its words (`/ws/transcript/{id}`) and its sound (`/ws/voice/{id}`).

Each lives as long as the credential it was opened with; of one that was opened by a ticket, that is the credential of
whoever asked for the ticket.

Mounted by `asgi`. Refusals are told by a close code after the handshake, as in `sockets`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog

from antiphon.api.access import resume_point
from antiphon.api.auth import Identity, Proof
from antiphon.api.edge import Receive
from antiphon.api.errors import Send
from antiphon.api.listeners import Ended
from antiphon.api.origins import Scope
from antiphon.api.sockets import (
    UNAUTHENTICATED,
    close_socket,
    code_of,
    converse,
    refuse,
)
from antiphon.api.state import ApiState
from antiphon.domain.errors import Forbidden, NotFound, Unauthenticated
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
        for segment in await self._state.services.stores.voice.segments(session.key, after):
            # Somebody may still be speaking: a client has everything only up to the first number that is not stored.
            if session.ended_at is not None or segment.number == last + 1:
                last = segment.number
            await send(_text({"type": "transcript", "id": last, **segment_event(segment)}))
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
        try:
            if (ticket := _ticket(scope)) is not None:
                session, proof = await self._by_ticket(key, ticket)
            else:
                proof = Proof.of(await _identified(self._state, scope), scope)
                session = self._find(key, proof.identity.principal.person)
        except TicketUsed:
            await refuse(send, USED)
            return
        except Exception as error:
            await refuse(send, code_of(error))
            return
        await send({"type": "websocket.accept"})
        transport = WebSocketTransport(receive, send, session.control)
        with self._state.auth.watch(proof.identity, proof.scope, lambda: transport.close(UNAUTHENTICATED)):
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

    async def _by_ticket(self, key: str, secret: str) -> tuple[Session, Proof]:
        """The session a ticket is good for, and the credential it was given for. Raises `TicketUsed`."""
        ticket = self._state.services.voice.tickets.redeem(secret)
        if ticket is None or not await self._state.auth.still_good(ticket.proof):
            raise Unauthenticated("The ticket is not good, or what it was given for is not any more.")
        session = self._find(key, ticket.person)
        if session.row.room != ticket.room:
            raise NotFound("The ticket is for another room.")
        return session, ticket.proof

    def _find(self, key: str, person: int) -> Session:
        session = self._state.services.voice.find(key, person)
        if session is None:
            raise NotFound("There is no such session.")
        return session


def _ticket(scope: Scope) -> str | None:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    given = query.get("ticket") or query.get("token")
    return given[-1] if given else None


def _text(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "websocket.send", "text": json.dumps(event, separators=(",", ":"))}
