"""One WebSocket of a client: the handshake, its limits, heartbeats, and the opcodes a client may send.

Source: docs, Gateway: "Connection Lifecycle", "Sending Heartbeats", "Identifying", "Resuming", "Rate Limiting",
"Sending Events" (4096 bytes), "Transport Compression"; Opcodes and Status Codes, "Gateway Close Event Codes".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from antiphon.sim.discord.gateway.intents import KNOWN, not_approved
from antiphon.sim.discord.gateway.session import Session

if TYPE_CHECKING:
    from antiphon.sim.discord.gateway.hub import Hub

HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT, REQUEST_MEMBERS = 1, 2, 3, 4, 6, 7, 8
INVALID_SESSION, HELLO, ACK, SOUNDBOARD = 9, 10, 11, 31
_NAMES = {
    HEARTBEAT: "HEARTBEAT",
    RECONNECT: "RECONNECT",
    INVALID_SESSION: "INVALID_SESSION",
    HELLO: "HELLO",
    ACK: "ACK",
}
"""What faults call messages that are no events."""
_WAY = 0.03
"""Seconds a heartbeat's acknowledgement is on its way. discord.py notes the time of a heartbeat in a thread after it is
gone: an answer before that would be measured from the heartbeat before."""


class Connection:
    """Everything sent goes through one queue, so that events leave in order."""

    def __init__(
        self, hub: Hub, socket: web.WebSocketResponse, transport: asyncio.Transport | None, *, compressed: bool
    ) -> None:
        self._hub, self._socket, self._transport = hub, socket, transport
        self._deflate = zlib.compressobj() if compressed else None
        self._queue: deque[tuple[str, str, int]] = deque()
        self._wake = asyncio.Event()
        self._sends: deque[float] = deque()
        self._closing: tuple[int, str] | None = None
        self.session: Session | None = None
        self.heartbeat_at = hub.world.clock.now()
        self.latency = 0.0

    # Sending

    def send(self, op: int, data: Any) -> None:
        text = json.dumps({"op": op, "d": data, "s": None, "t": None}, separators=(",", ":"))
        self._put(_NAMES.get(op, str(op)), text, 0)

    def send_event(self, event: str, text: str, sequence: int) -> None:
        self._put(event, text, sequence)

    def _put(self, event: str, text: str, sequence: int) -> None:
        if self._closing is None:
            self._queue.append((event, text, sequence))
            self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """End the connection after what is queued."""
        if self._closing is None:
            self._closing = (code, reason)
            self._wake.set()

    def cut(self) -> None:
        """End it at once, without a closing handshake, as when the network breaks."""
        self._queue.clear()
        self._closing = (0, "cut")
        self._wake.set()
        if self._transport is not None:
            self._transport.abort()

    async def _write(self) -> None:
        while True:
            while self._queue:
                event, text, sequence = self._queue.popleft()
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._send_text(text)
                if sequence and self.session is not None:
                    self._hub.delivered(self.session, event, sequence, text)
                fault = self._hub.faults.take("close_on_event", event=event)
                if fault is not None:
                    self._end_by_fault(fault.get("code", 4000))
            if self._closing is not None:
                code, reason = self._closing
                if code:
                    await self._socket.close(code=code, message=reason.encode())
                return
            self._wake.clear()
            await self._wake.wait()

    async def _send_text(self, text: str) -> None:
        """Source: docs, Gateway, "Transport Compression": zlib-stream, each payload ended by a sync flush."""
        if self._deflate is None:
            await self._socket.send_str(text)
        else:
            await self._socket.send_bytes(
                self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            )

    # Receiving

    async def serve(self) -> None:
        """Until either side ends it."""
        writer = asyncio.create_task(self._write())
        watcher = asyncio.create_task(self._watch())
        self._hub.opened(self)
        limits = self._hub.world.limits
        self.send(HELLO, {"heartbeat_interval": int(limits.heartbeat_interval * 1000), "_trace": ["sim"]})
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                self._receive(
                    message.data if isinstance(message.data, str) else bytes(message.data).decode("utf-8", "replace")
                )
        finally:
            for task in (writer, watcher):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task
            ours = self._closing is not None
            code = self._closing[0] or 1006 if self._closing is not None else self._socket.close_code
            self._hub.closed(self, code, by_client=not ours)

    async def _watch(self) -> None:
        """Close a connection that stopped sending heartbeats (4009 would ask for a new session; the docs name none).

        Source: docs, Gateway, "Sending Heartbeats": a connection without heartbeats is considered zombied.
        """
        patience = self._hub.world.limits.heartbeat_interval
        while True:
            await asyncio.sleep(min(patience / 4, 5.0))
            if self._hub.world.clock.now() - self.heartbeat_at > 2 * patience:
                self.close(4009, "Session timed out.")

    def _receive(self, text: str) -> None:
        hub, limits = self._hub, self._hub.world.limits
        if len(text.encode()) > limits.gateway_payload:
            return self.close(4002, "Error while decoding payload.")
        try:
            payload = json.loads(text)
            op, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError):
            return self.close(4002, "Error while decoding payload.")
        now = hub.world.clock.now()
        while self._sends and now - self._sends[0] > 60:
            self._sends.popleft()
        self._sends.append(now)
        hub.journal.add("gateway.in", op=op, session=self.session.id if self.session else None)
        if len(self._sends) > limits.gateway_sends:
            return self.close(4008, "Rate limited.")
        fault = hub.faults.take("close_on_op", op=op)
        if fault is not None:
            return self._end_by_fault(fault.get("code", 4000))
        if op == HEARTBEAT:
            self.heartbeat_at = now
            if hub.faults.take("no_ack") is None:
                asyncio.get_running_loop().call_later(_WAY, self.send, ACK, None)
            return None
        if op == IDENTIFY:
            return self.close(4005, "Already authenticated.") if self.session else self._identify(data)
        if op == RESUME:
            return self.close(4005, "Already authenticated.") if self.session else self._resume(data)
        if self.session is None:
            return self.close(4003, "Not authenticated.")
        if op == PRESENCE:
            return hub.presence(self.session, data or {})
        if op == VOICE_STATE:
            return hub.voice_state(self.session, data or {})
        if op == REQUEST_MEMBERS:
            return hub.request_members(self.session, data or {})
        if op == SOUNDBOARD:
            return None
        return self.close(4001, "Unknown opcode.")

    def _end_by_fault(self, code: int) -> None:
        if code:
            self.close(code, "fault")
        else:
            self.cut()

    def _identify(self, data: Any) -> None:
        hub = self._hub
        application = hub.world.tokens.get(_token(data))
        if application is None:
            return self.close(4004, "Authentication failed.")
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~KNOWN:
            return self.close(4013, "Invalid intent(s).")
        if not_approved(intents, application.flags):
            return self.close(4014, "Disallowed intent(s).")
        shard = data.get("shard") or [0, 1]
        if not _is_shard(shard):
            return self.close(4010, "Invalid shard.")
        count = sum(application.id in guild.members for guild in hub.world.guilds.values())
        if count / shard[1] >= hub.world.limits.shard_guilds:
            return self.close(4011, "Sharding required.")
        if not hub.may_identify(application, shard[0]):
            return self.send(INVALID_SESSION, False)
        return hub.start(self, application, intents, (shard[0], shard[1]), data)

    def _resume(self, data: Any) -> None:
        hub = self._hub
        application = hub.world.tokens.get(_token(data))
        if application is None:
            return self.close(4004, "Authentication failed.")
        return hub.resume(self, application, str(data.get("session_id")), data.get("seq"))


def _token(data: Any) -> str:
    return str(data.get("token", "")).removeprefix("Bot ") if isinstance(data, dict) else ""


def _is_shard(shard: Any) -> bool:
    return (
        isinstance(shard, list)
        and len(shard) == 2
        and all(isinstance(one, int) for one in shard)
        and 0 <= shard[0] < shard[1]
    )
