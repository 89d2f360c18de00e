"""Voice packets: address discovery, and passing on what one client sends to the others in its channel.

Source: docs, Voice, "IP Discovery" (74 bytes, type 1 asks, 2 answers), "Voice Packet Structure" (RTP, payload type
0x78); the server opens the transport encryption of the sender and seals it anew for each listener, with a header
extension of its own, while the end-to-end encryption inside stays shut.
"""

from __future__ import annotations

import asyncio
import struct

from antiphon.sim.discord.voice.rooms import Rooms

_EXTENSION = b"\xbe\xde\x00\x02"
"""A one-byte-header extension of two words, as the real server adds. Source: RFC 8285, section 4.2."""
_EXTENSION_BODY = b"\x51\x00\x32\x10\x20\x30\x00\x00"


class VoiceRelay(asyncio.DatagramProtocol):
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) == 74 and data[:2] == b"\0\1":
            self._discover(data, addr)
        elif len(data) > 16 and data[0] >> 6 == 2 and data[1] & 0x7F == 0x78:
            self._pass_on(data)

    def _discover(self, data: bytes, addr: tuple[str, int]) -> None:
        (ssrc,) = struct.unpack_from(">I", data, 4)
        peer = self._rooms.by_ssrc.get(ssrc)
        if peer is None or self._transport is None:
            return
        peer.address = addr
        answer = struct.pack(">HHI", 2, 70, ssrc) + addr[0].encode().ljust(64, b"\0") + struct.pack(">H", addr[1])
        self._transport.sendto(answer, addr)

    def _pass_on(self, data: bytes) -> None:
        (ssrc,) = struct.unpack_from(">I", data, 8)
        sender = self._rooms.by_ssrc.get(ssrc)
        if sender is None or sender.box is None or self._transport is None:
            return
        try:
            plain = sender.box.open(data[12:-4], data[:12], data[-4:])
        except Exception:  # whatever the cipher raises for a forged packet
            return
        header = bytes([data[0] | 0x10]) + data[1:12] + _EXTENSION
        for peer in self._rooms.others(sender):
            if peer.box is None or peer.address is None:
                continue
            nonce = struct.pack(">I", peer.sent_packets)
            peer.sent_packets += 1
            self._transport.sendto(header + peer.box.seal(_EXTENSION_BODY + plain, header, nonce) + nonce, peer.address)
