"""Passing sound on without decoding it: what one participant sends as Opus reaches every listener as it came."""

from __future__ import annotations

import asyncio
import weakref
from fractions import Fraction

from aiortc import RTCRtpReceiver
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket
from av.packet import Packet

OPUS_CLOCK = Fraction(1, 48_000)
MOST_WAITING = 50
"""Packets for a listener whose connection is not made yet: a second. Older ones help nobody."""


class Forwarding:
    """What arrives at one receiver, for any number of listeners. The receiver itself decodes nothing then."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._listeners: weakref.WeakSet[_Forwarded] = weakref.WeakSet()
        self._last: int | None = None
        self._at = 0
        receiver._handle_rtp_packet = self._arrived  # type: ignore[method-assign] # private: aiortc only decodes

    def to_another(self) -> AudioStreamTrack:
        """A track for one more listener."""
        track = _Forwarded()
        self._listeners.add(track)
        return track

    async def _arrived(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if not packet.payload:
            return
        step = 0 if self._last is None else (packet.timestamp - self._last + 2**31) % 2**32 - 2**31
        self._last, self._at = packet.timestamp, self._at + step
        for listener in self._listeners:
            listener.pass_on(packet.payload, self._at)


class _Forwarded(AudioStreamTrack):
    """aiortc's senders take encoded packets as well as frames."""

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[Packet] = asyncio.Queue()

    def pass_on(self, payload: bytes, at: int) -> None:
        """Send this next; `at` counts samples of 48 kHz."""
        packet = Packet(payload)
        packet.pts, packet.time_base = at, OPUS_CLOCK
        if self._packets.qsize() >= MOST_WAITING:
            self._packets.get_nowait()
        self._packets.put_nowait(packet)

    async def recv(self) -> Packet:
        """The next packet, when there is one."""
        return await self._packets.get()
