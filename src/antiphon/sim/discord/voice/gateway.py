"""The voice gateway, version 8: the messages of one client.

Source: docs, Voice: "Voice Gateway Versioning", "Establishing a Voice Websocket Connection", "Heartbeating",
"Establishing a Voice UDP Connection", "Resuming Voice Connection"; Opcodes and Status Codes, "Voice Close Event Codes".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import WSMsgType, web

from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.voice import dave
from antiphon.sim.discord.voice.encryption import MODES, Box
from antiphon.sim.discord.voice.peer import Peer
from antiphon.sim.discord.voice.rooms import Rooms

IDENTIFY, SELECT_PROTOCOL, READY, HEARTBEAT, DESCRIPTION, SPEAKING, ACK, RESUME, HELLO, RESUMED = range(10)
CLIENT_CONNECT = 12
_HEARTBEAT_INTERVAL = 13750
_ENDS_SESSION = (1000, 4014)


class VoiceConnection:
    def __init__(self, rooms: Rooms, journal: Journal, socket: web.WebSocketResponse) -> None:
        self._rooms, self._journal, self._socket = rooms, journal, socket
        self._peer: Peer | None = None
        self._writer: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        await self._send(HELLO, {"v": 8, "heartbeat_interval": _HEARTBEAT_INTERVAL})
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._text(message.data)
                elif message.type is WSMsgType.BINARY:
                    await self._binary(bytes(message.data))
        finally:
            if self._writer is not None:
                self._writer.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await self._writer
            peer = self._peer
            if peer is not None and peer.detach(self._socket) and self._socket.close_code in _ENDS_SESSION:
                self._rooms.left(peer)

    async def _send(self, op: int, data: Any) -> None:
        await self._socket.send_str(json.dumps({"op": op, "d": data}))

    async def _close(self, code: int, reason: str) -> None:
        await self._socket.close(code=code, message=reason.encode())

    async def _text(self, text: str) -> None:
        try:
            payload = json.loads(text)
            op, data = int(payload["op"]), payload.get("d")
            await self._handle(op, data)
        except (ValueError, KeyError, TypeError):
            await self._close(4002, "Failed to decode payload.")

    async def _handle(self, op: int, data: Any) -> None:
        if op == HEARTBEAT:
            stamp = data.get("t") if isinstance(data, dict) else data
            await self._send(ACK, {"t": stamp})
            return
        if op in (IDENTIFY, RESUME):
            if self._peer is not None:
                await self._close(4005, "Already authenticated.")
            elif op == IDENTIFY:
                await self._identify(data)
            else:
                await self._resume(data)
            return
        peer = self._peer
        if peer is None:
            await self._close(4003, "Not authenticated.")
        elif op == SELECT_PROTOCOL:
            await self._select(peer, data)
        elif op == SPEAKING:
            self._rooms.spoke(peer, int(data["speaking"]))
        elif op == dave.TRANSITION_READY:
            self._rooms.transition_ready(peer, int(data["transition_id"]))
        elif op == dave.INVALID_COMMIT:
            self._journal.add("voice.invalid_commit", user=str(peer.user_id))
        elif op != CLIENT_CONNECT:
            await self._close(4001, "Unknown opcode.")

    async def _identify(self, data: dict[str, Any]) -> None:
        if not int(data.get("max_dave_protocol_version") or 0):
            # Source: docs, Voice Close Event Codes, 4017: end-to-end encryption is required.
            await self._close(4017, "E2EE/DAVE protocol required.")
            return
        guild_id, user_id = int(data["server_id"]), int(data["user_id"])
        peer = self._rooms.admit(guild_id, user_id, str(data["session_id"]), str(data["token"]))
        if peer is None:
            await self._close(4004, "Authentication failed.")
            return
        self._attach(peer)
        ready = {"ssrc": peer.ssrc, "ip": "127.0.0.1", "port": self._rooms.udp_port, "modes": list(MODES)}
        peer.send(READY, {**ready, "heartbeat_interval": 1, "experiments": [], "streams": []})

    def _attach(self, peer: Peer) -> None:
        self._peer = peer
        peer.attach(self._socket)
        self._writer = asyncio.create_task(peer.write(self._socket))

    async def _resume(self, data: dict[str, Any]) -> None:
        peer = self._rooms.resumable(int(data["server_id"]), str(data["session_id"]), str(data["token"]))
        if peer is None:
            await self._close(4006, "Session is no longer valid.")
            return
        self._attach(peer)
        self._journal.add("voice.resume", user=str(peer.user_id))
        peer.replay(int(data.get("seq_ack", -1)))
        peer.plain(RESUMED, None)

    async def _select(self, peer: Peer, data: dict[str, Any]) -> None:
        if data.get("protocol") != "udp":
            await self._close(4012, "Unknown protocol.")
            return
        mode = data["data"]["mode"]
        if mode not in MODES:
            await self._close(4016, "Unknown encryption mode.")
            return
        peer.box = Box(peer.key, mode)
        self._journal.add("voice.select", user=str(peer.user_id), mode=mode)
        peer.send(
            DESCRIPTION,
            {
                "mode": mode,
                "secret_key": list(peer.key),
                "audio_codec": "opus",
                "video_codec": "H264",
                "media_session_id": peer.session_id,
                "dave_protocol_version": dave.PROTOCOL,
            },
        )
        self._rooms.entered(peer)
        peer.send_binary(dave.EXTERNAL_SENDER, self._rooms.external.package())

    async def _binary(self, message: bytes) -> None:
        peer = self._peer
        if peer is None or not message:
            await self._close(4003, "Not authenticated.")
            return
        op, body = message[0], message[1:]
        if op == dave.KEY_PACKAGE:
            self._rooms.offered(peer, body)
        elif op == dave.COMMIT_WELCOME:
            try:
                self._rooms.commit(peer, body)
            except ValueError:
                await self._close(4002, "Failed to decode payload.")
