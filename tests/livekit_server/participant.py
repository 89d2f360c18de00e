"""One participant: its two peer connections, what it publishes, and what it is sent of the others.

The server speaks LiveKit's protocol with two connections: the *publisher*, which the client offers, and the
*subscriber*, which we offer. Audio is passed on as it came, like the real server does: `forwarding`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import candidate_from_sdp
from livekit.api.access_token import Claims, VideoGrants
from livekit.protocol.models import DataPacket, DisconnectReason, ParticipantInfo, TrackInfo, TrackSource, TrackType
from livekit.protocol.rtc import AddTrackRequest, LeaveRequest, SignalRequest, SignalResponse, SignalTarget

from tests.livekit_server.forwarding import Forwarding

log = logging.getLogger("livekit_server")

ANSWER_SECONDS = 10.0
CHANNELS = ("_reliable", "_lossy")


def new_id(prefix: str) -> str:
    """An id as LiveKit makes them: `PA_`, `TR_`, `RM_` and something random."""
    return prefix + uuid.uuid4().hex[:12]


@dataclass
class Published:
    """A track that arrived. `mid` is its line in the publisher's offer."""

    info: TrackInfo
    forwarding: Forwarding
    mid: str | None


class Participant:
    """A client in a room. `write` sends one signal; `others` are the other participants of the room."""

    def __init__(
        self,
        claims: Claims,
        grants: VideoGrants,
        write: Callable[[bytes], Awaitable[None]],
        others: Callable[[], Iterable[Participant]],
    ) -> None:
        self._grants = grants
        self._write = write
        self._others = others
        self.sid = new_id("PA_")
        self.identity = claims.identity
        self.info = ParticipantInfo(
            sid=self.sid,
            identity=claims.identity,
            name=claims.name,
            metadata=claims.metadata,
            attributes=claims.attributes or {},
            state=ParticipantInfo.State.ACTIVE,
            kind=ParticipantInfo.Kind.AGENT if claims.kind == "agent" else ParticipantInfo.Kind.STANDARD,
            joined_at=int(time.time()),
            version=1,
        )
        self.info.permission.can_subscribe = grants.can_subscribe
        self.info.permission.can_publish = grants.can_publish
        self.info.permission.can_publish_data = grants.can_publish_data
        self.info.permission.hidden = self.hidden = bool(grants.hidden)
        self._expected: list[tuple[str, TrackInfo]] = []
        self._published: dict[str, Published] = {}
        self._heard: dict[str, RTCRtpSender] = {}
        self._negotiating, self._answered = asyncio.Lock(), asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._publisher = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._subscriber = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._data = {
            "_reliable": self._subscriber.createDataChannel("_reliable", ordered=True),
            "_lossy": self._subscriber.createDataChannel("_lossy", ordered=False, maxRetransmits=0),
        }
        self._publisher.on("track", self._track_arrived)
        self._publisher.on("datachannel", self._channel_arrived)
        for connection in (self._publisher, self._subscriber):
            connection.on("connectionstatechange", lambda connection=connection: self._connected(connection))

    def _connected(self, connection: RTCPeerConnection) -> None:
        """Start what was agreed on while the connection was being made: aiortc, which looks once after each agreement,
        would never send such a track. Looking again starts nothing twice."""
        if connection.connectionState == "connected":
            self._spawn(connection._RTCPeerConnection__connect())  # private

    # --- signals ---------------------------------------------------------------------------------------------------

    async def send(self, **message: Any) -> None:
        """Send one signal, by the name of its field."""
        await self._write(SignalResponse(**message).SerializeToString())

    async def dismiss(self, reason: int) -> None:
        """Tell the client that it is out, for good."""
        await self.send(leave=LeaveRequest(reason=reason, action=LeaveRequest.Action.DISCONNECT))

    async def handle(self, request: SignalRequest) -> bool:
        """Do what a signal asks. Returns False when the client leaves."""
        match request.WhichOneof("message"):
            case "offer":
                await self._publisher.setRemoteDescription(RTCSessionDescription(request.offer.sdp, "offer"))
                await self._publisher.setLocalDescription(await self._publisher.createAnswer())
                sdp = self._publisher.localDescription.sdp
                await self.send(answer={"type": "answer", "sdp": sdp, "id": request.offer.id})
                await self._forget_withdrawn()
            case "answer":
                await self._subscriber.setRemoteDescription(RTCSessionDescription(request.answer.sdp, "answer"))
                self._answered.set()
            case "trickle":
                await self._candidate(request.trickle.candidateInit, request.trickle.target)
            case "add_track":
                await self._expect(request.add_track)
            case "mute":
                await self._mute(request.mute.sid, request.mute.muted)
            case "update_metadata":
                await self._set_attributes(request)
            case "ping_req":
                now = int(time.time() * 1000)
                await self.send(pong_resp={"last_ping_timestamp": request.ping_req.timestamp, "timestamp": now})
            case "ping":
                await self.send(pong=int(time.time() * 1000))
            case "leave":
                return False
            case _:
                pass  # what concerns video, end-to-end encryption and the like
        return True

    async def start(self) -> None:
        """Offer the client what the others publish already."""
        there = [(other, track) for other in self._others() for track in other._published.values()]
        await self._hear(there if self._grants.can_subscribe else [])

    async def close(self) -> None:
        """Free both connections and tell the others."""
        for task in self._work:
            task.cancel()
        self.info.state = ParticipantInfo.State.DISCONNECTED
        self.info.version += 1
        await self._announce()
        for other in self._others():
            await other._stop_hearing(self._published)
        await self._publisher.close()
        await self._subscriber.close()

    # --- what it publishes -----------------------------------------------------------------------------------------

    async def _expect(self, wanted: AddTrackRequest) -> None:
        sources = self._grants.can_publish_sources or []
        allowed = not sources or TrackSource.Name(wanted.source).lower() in sources
        if not self._grants.can_publish or not allowed or wanted.type != TrackType.AUDIO:
            return  # a client without the right waits in vain, as it does with the real server
        info = TrackInfo(
            sid=new_id("TR_"),
            type=wanted.type,
            name=wanted.name,
            source=wanted.source,
            mime_type="audio/opus",
            muted=wanted.muted,
            stream=wanted.stream,
        )
        self._expected.append((wanted.cid, info))
        await self.send(track_published={"cid": wanted.cid, "track": info})

    def _track_arrived(self, track: MediaStreamTrack) -> None:
        if not self._expected:
            return
        # The Python SDK's ids in the SDP are not those it announced: then they come in the order of announcement.
        index = next((i for i, (cid, _) in enumerate(self._expected) if cid == track.id), 0)
        _, info = self._expected.pop(index)
        (line,) = [line for line in self._publisher.getTransceivers() if line.receiver.track is track]
        published = self._published[info.sid] = Published(info, Forwarding(line.receiver), line.mid)
        self._spawn(self._publish(published))

    async def _publish(self, track: Published) -> None:
        self.info.tracks.append(track.info)
        self.info.is_publisher = True
        self.info.version += 1
        await self._announce()  # before the offer, or the listener cannot tell whose track it is
        for other in list(self._others()):
            if other._grants.can_subscribe:
                await other._hear([(self, track)])

    async def _mute(self, sid: str, muted: bool) -> None:
        for info in self.info.tracks:
            if info.sid == sid:
                info.muted = muted
        self.info.version += 1
        await self._announce()

    async def _set_attributes(self, request: SignalRequest) -> None:
        if self._grants.can_update_own_metadata:
            self.info.metadata = request.update_metadata.metadata or self.info.metadata
            self.info.attributes.update(request.update_metadata.attributes)
            self.info.version += 1
            await self.send(update={"participants": [self.info]})
            await self._announce()

    async def _forget_withdrawn(self) -> None:
        """After an offer: tracks whose line is not sent any more are unpublished."""
        silent = {t.mid for t in self._publisher.getTransceivers() if t.currentDirection == "inactive"}
        gone = {sid: track for sid, track in self._published.items() if track.mid in silent}
        if not gone:
            return
        for sid in gone:
            del self._published[sid]
        kept = [info for info in self.info.tracks if info.sid not in gone]
        del self.info.tracks[:]
        self.info.tracks.extend(kept)
        self.info.version += 1
        await self._announce()
        for other in self._others():
            await other._stop_hearing(gone)

    async def _announce(self) -> None:
        if not self.hidden:
            for other in list(self._others()):
                await other.send(update={"participants": [self.info]})

    # --- what it hears ---------------------------------------------------------------------------------------------

    async def _hear(self, tracks: Sequence[tuple[Participant, Published]]) -> None:
        """Add tracks of others and offer them, one offer at a time: a track that joins an offer under way is lost."""
        async with self._negotiating:
            for other, track in tracks:
                if track.info.sid in self._heard:
                    continue
                sender = self._subscriber.addTrack(track.forwarding.to_another())
                # The client learns from these two what it receives; aiortc has no public way to choose them.
                sender._stream_id = f"{other.sid}|{track.info.sid}"
                sender._track_id = track.info.sid
                self._heard[track.info.sid] = sender
            await self._negotiate()
        for other, track in tracks:
            await other.send(track_subscribed={"track_sid": track.info.sid})

    async def _stop_hearing(self, sids: Iterable[str]) -> None:
        senders = [self._heard.pop(sid) for sid in list(sids) if sid in self._heard]
        for transceiver in self._subscriber.getTransceivers():
            if transceiver.sender in senders:
                transceiver.sender.replaceTrack(None)
                transceiver.direction = "inactive"

    async def _negotiate(self) -> None:
        self._answered.clear()
        await self._subscriber.setLocalDescription(await self._subscriber.createOffer())
        await self.send(offer={"type": "offer", "sdp": self._subscriber.localDescription.sdp})
        try:
            await asyncio.wait_for(self._answered.wait(), ANSWER_SECONDS)
        except TimeoutError:
            log.warning("%s did not answer an offer", self.identity)

    async def _candidate(self, text: str, target: int) -> None:
        said = json.loads(text or "{}")
        if not said.get("candidate"):
            return
        candidate = candidate_from_sdp(said["candidate"].split(":", 1)[1])
        candidate.sdpMid, candidate.sdpMLineIndex = said.get("sdpMid"), said.get("sdpMLineIndex")
        connection = self._publisher if target == SignalTarget.PUBLISHER else self._subscriber
        await connection.addIceCandidate(candidate)

    # --- data ------------------------------------------------------------------------------------------------------

    def _channel_arrived(self, channel: Any) -> None:
        @channel.on("message")
        def pass_on(message: bytes) -> None:
            if not self._grants.can_publish_data:
                return
            packet = DataPacket.FromString(message)
            packet.participant_sid, packet.participant_identity = self.sid, self.identity
            for other in self._others():
                to = other._data.get(channel.label)
                wanted = not packet.destination_identities or other.identity in packet.destination_identities
                if wanted and to is not None and to.readyState == "open":
                    to.send(packet.SerializeToString())

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


REPLACED = DisconnectReason.DUPLICATE_IDENTITY
REMOVED = DisconnectReason.PARTICIPANT_REMOVED
DELETED = DisconnectReason.ROOM_DELETED
