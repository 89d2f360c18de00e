"""Participants of a room on the real Python SDK, for tests: what they hear and read, and a tone they can sing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
from livekit import rtc

from tests.livekit_server.process import LiveKit

RATE = 48_000
SECONDS = 15.0


class Someone:
    """A participant with everything it got."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.audio: dict[str, list[np.ndarray]] = {}
        self.data: list[tuple[str, bytes, str | None]] = []
        self.texts: list[tuple[str, str]] = []
        self.left: list[int] = []
        self._reading: set[asyncio.Task[None]] = set()
        room.on("track_subscribed", self._heard)
        room.on("data_received", lambda packet: self.data.append(_packet(packet)))
        room.on("disconnected", self.left.append)
        room.register_text_stream_handler("lines", lambda reader, by: self._spawn(self._read(reader, by)))

    def _heard(self, track: rtc.Track, publication: object, by: rtc.RemoteParticipant) -> None:
        self._spawn(self._listen(track, by.identity))

    async def _listen(self, track: rtc.Track, by: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                self.audio.setdefault(by, []).append(np.frombuffer(event.frame.data, np.int16).astype(float))
        finally:
            await stream.aclose()

    async def _read(self, reader: rtc.TextStreamReader, by: str) -> None:
        self.texts.append((by, await reader.read_all()))

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def pitch(self, of: str) -> float:
        """The strongest frequency of the last second heard of somebody; 0 while that is quiet."""
        heard = np.concatenate(self.audio.get(of, [np.zeros(1)]))[-RATE:]
        if len(heard) < RATE or np.sqrt((heard**2).mean()) < 1000:
            return 0.0
        return float(np.abs(np.fft.rfft(heard)).argmax())

    async def close(self) -> None:
        await self.room.disconnect()
        for task in list(self._reading):
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)


def _packet(packet: rtc.DataPacket) -> tuple[str, bytes, str | None]:
    return packet.topic or "", packet.data, packet.participant.identity if packet.participant else None


@contextlib.asynccontextmanager
async def in_room(livekit: LiveKit, room: str, identity: str, **grants: bool) -> AsyncIterator[Someone]:
    someone = Someone(rtc.Room())
    options = rtc.RoomOptions(single_peer_connection=False)
    await asyncio.wait_for(someone.room.connect(livekit.url, livekit.token(room, identity, **grants), options), SECONDS)
    try:
        yield someone
    finally:
        await someone.close()


@contextlib.asynccontextmanager
async def singing(someone: Someone, hertz: float) -> AsyncIterator[rtc.LocalTrackPublication]:
    """Publish a tone."""
    source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    publication = await someone.room.local_participant.publish_track(track, options)

    async def sing() -> None:
        at = 0
        while True:
            samples = np.sin(2 * np.pi * hertz * (np.arange(480) + at) / RATE) * 12_000
            await source.capture_frame(rtc.AudioFrame(samples.astype(np.int16).tobytes(), RATE, 1, 480))
            at += 480

    task = asyncio.ensure_future(sing())
    try:
        yield publication
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.aclose()


async def until(met: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + SECONDS
    while not met():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.05)
