"""Speech through a room of a LiveKit server: the agent enters it as a participant, hears one person and speaks to all.

Chosen by configuration (`livekit.url`); the engine is the same as for every other transport. A person's page enters
the room with a token of `livekit_tokens`. Beside the sound, page and agent exchange small JSON messages as data: those
of the embedded transport, and what it takes to count what was heard (`room_heard`). What people say before the room
carries their microphone comes as data, too (`room_early`).

The library reconnects by itself while a connection comes back soon; when it gives up, we enter the room anew. Both we
and the person may be away for `patience` seconds, then it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.domain.errors import Unavailable
from antiphon.voice.transports.livekit_tokens import LiveKitAccess
from antiphon.voice.transports.room_early import EarlySound
from antiphon.voice.transports.room_heard import RoomHeard
from antiphon.voice.transports.transport import FRAME_MS, RATE, Control

if TYPE_CHECKING:
    from livekit import rtc

log = structlog.stdlib.get_logger(__name__)

QUEUE_MS = 100
"""Sound that the library holds before it sends it; more would be heard after an interruption."""
ON_THE_WAY_SECONDS = 0.08
"""From the library's queue to a person's ear: encoding, the network, the browser's own buffer. An estimate."""
ENTER_SECONDS = 15.0
SHOW_OUT_SECONDS = 3.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 5.0
MOST_UNREAD = 600
"""Frames kept for an engine that does not keep up: twelve seconds. The oldest go first."""
MOST_DATA_BYTES = 4096
TOPIC = "antiphon"
EARLY_TOPIC = "antiphon.early"
"""What was said before the room carried it: PCM as everywhere, whole samples."""
MOST_EARLY_BYTES = 15_000
"""Of one packet: what LiveKit takes."""


class LiveKitTransport:
    """One person in one room. `control` is given the JSON objects that their page sends."""

    def __init__(
        self,
        access: LiveKitAccess,
        *,
        room: str,
        person: str,
        session: str,
        patience: float = 60.0,
        control: Control = lambda _: None,
    ) -> None:
        self._access = access
        self._room_name = room
        self._person = person
        self._identity = f"agent-{session}"
        self._patience = patience
        self._control = control
        self._alone: asyncio.TimerHandle | None = None
        self._room: rtc.Room | None = None
        self._source: rtc.AudioSource | None = None
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()
        self._leaving = False
        self._heard = RoomHeard(on_the_way=ON_THE_WAY_SECONDS)
        self._early = EarlySound()
        self._page = ""

    # --- what the engine uses --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its word in the API."""
        return "livekit"

    async def open(self) -> None:
        """Enter the room and publish a voice. `Unavailable` when the server cannot be reached or refuses us."""
        from livekit import rtc  # late: it loads a native library

        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=QUEUE_MS)
        try:
            await self._enter()
        except (rtc.ConnectError, TimeoutError) as error:
            await self.aclose()
            raise Unavailable("The LiveKit server cannot be reached, or refuses the key of livekit.api_key.") from error

    async def receive(self) -> bytes | None:
        """The next 20 ms of what the person says; None once the room is gone for good."""
        return await self._frames.get()

    async def write(self, pcm: bytes) -> None:
        """Say something. Returns when the library has taken it, which is not faster than it is heard."""
        from livekit import rtc

        if self._source is None or self._closed.is_set() or not pcm:
            return
        if self._heard.write(pcm):
            self._tell({"type": "sound", "run": self._heard.run})
        await self._source.capture_frame(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    def clear(self) -> None:
        """Be silent at once: what is still in the queue is never sent, and what is on its way is not played."""
        self._heard.clear()
        if self._source is not None:
            self._source.clear_queue()
        self._tell({"type": "clear"})

    @property
    def played(self) -> int:
        """What the page says that it has played; see `RoomHeard`."""
        return self._heard.played

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Tell the page something, as data of the room. Lost when the room is away: events are hints."""
        if self._room is not None and self._room.isconnected():
            with contextlib.suppress(Exception):  # the connection went meanwhile
                await self._room.local_participant.publish_data(
                    json.dumps(event), topic=TOPIC, destination_identities=[self._person]
                )

    @property
    def closed(self) -> asyncio.Event:
        """Set once nothing will be heard or said any more."""
        return self._closed

    async def aclose(self) -> None:
        """Leave the room, show the person out if they are still there, and free everything. Twice is once."""
        if self._leaving:
            return
        self._leaving = True
        self._end()
        self._stop_missing()
        for task in [*self._work, *self._listening.values()]:
            task.cancel()
        await asyncio.gather(*self._work, *self._listening.values(), return_exceptions=True)
        room, self._room = self._room, None
        if room is not None:
            still_there = self._person in room.remote_participants
            await room.disconnect()
            if still_there:
                await self._show_out()
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    # --- the room --------------------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        from livekit import rtc

        source = self._source
        if source is None:
            return  # closed meanwhile
        room = rtc.Room()
        room.on("track_subscribed", self._track_came)
        room.on("track_unsubscribed", self._track_went)
        room.on("participant_connected", self._somebody_came)
        room.on("participant_disconnected", self._somebody_went)
        room.on("data_received", self._data_came)
        room.on("disconnected", self._fell_out)
        token = self._access.agent_token(self._room_name, self._identity, "Antiphon")
        try:
            async with asyncio.timeout(ENTER_SECONDS):
                await room.connect(self._access.url, token)
                track = rtc.LocalAudioTrack.create_audio_track("voice", source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
                await room.local_participant.publish_track(track, options)
        except BaseException:
            room.off("disconnected", self._fell_out)
            await room.disconnect()
            raise
        self._room = room
        self._miss()
        log.info("voice.livekit_entered", room=self._room_name)

    async def _show_out(self) -> None:
        """The session is over, so nobody stays in its room."""
        from livekit import api

        token = self._access.service_token(self._room_name)
        with contextlib.suppress(Exception):  # gone by themselves, or the server is: the room ends with them
            async with asyncio.timeout(SHOW_OUT_SECONDS), api.LiveKitAPI(self._access.url, token=token) as service:
                gone = api.RoomParticipantIdentity(room=self._room_name, identity=self._person)
                await service.room.remove_participant(gone)

    def _fell_out(self, reason: int) -> None:
        """The library has given up, or we were shown out."""
        from livekit import rtc

        if self._leaving:
            return
        shown_out = {
            rtc.DisconnectReason.ROOM_DELETED,
            rtc.DisconnectReason.PARTICIPANT_REMOVED,
            rtc.DisconnectReason.DUPLICATE_IDENTITY,
        }
        log.info("voice.livekit_lost", room=self._room_name, reason=int(reason))
        if reason in shown_out:
            self._end()
        else:
            self._spawn(self._come_back())

    async def _come_back(self) -> None:
        from livekit import rtc

        deadline, wait = time.monotonic() + self._patience, FIRST_WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                await self._enter()
            except (rtc.ConnectError, TimeoutError):
                await asyncio.sleep(wait)
                wait = min(LONGEST_WAIT_SECONDS, wait * 2)
            else:
                return
        self._end()

    def _end(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._frames.put_nowait(None)

    # --- the person ------------------------------------------------------------------------------------------------

    def _somebody_came(self, who: rtc.RemoteParticipant) -> None:
        if who.identity == self._person:
            self._stop_missing()

    def _somebody_went(self, who: rtc.RemoteParticipant) -> None:
        if who.identity == self._person and not self._leaving:
            self._miss()

    def _miss(self) -> None:
        """Wait for the person, who is not here (yet, or any more)."""
        self._stop_missing()
        if self._room is None or self._person not in self._room.remote_participants:
            self._alone = asyncio.get_running_loop().call_later(self._patience, self._end)

    def _stop_missing(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None

    def _track_came(self, track: rtc.Track, publication: object, by: rtc.RemoteParticipant) -> None:
        from livekit import rtc

        if by.identity == self._person and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._listening[track.sid] = asyncio.ensure_future(self._listen(track))

    def _track_went(self, track: rtc.Track, publication: object, by: object) -> None:
        if (task := self._listening.pop(track.sid, None)) is not None:
            task.cancel()

    async def _listen(self, track: rtc.Track) -> None:
        from livekit import rtc

        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=FRAME_MS)
        try:
            async for event in stream:
                self._carried(bytes(event.frame.data))
        finally:
            await stream.aclose()

    def _carried(self, pcm: bytes) -> None:
        """Sound of the person's track."""
        if self._early.over:
            self._take(pcm)
            return
        for piece in self._early.carried(pcm):
            self._take(piece)
        if self._early.over:
            self._tell({"type": "hearing"})

    def _take(self, pcm: bytes) -> None:
        if self._frames.qsize() >= MOST_UNREAD:
            self._frames.get_nowait()
        self._frames.put_nowait(pcm)

    def _data_came(self, packet: rtc.DataPacket) -> None:
        if packet.participant is None or packet.participant.identity != self._person:
            return
        if packet.topic == EARLY_TOPIC:
            if not self._early.over and 0 < len(packet.data) <= MOST_EARLY_BYTES and len(packet.data) % 2 == 0:
                self._early.came(packet.data)
                self._take(packet.data)
        elif packet.topic == TOPIC and len(packet.data) <= MOST_DATA_BYTES:
            self._told(packet.data, packet.participant.sid)

    def _told(self, data: bytes, page: str) -> None:
        """A page, one connection of the person, says something."""
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        match said.get("type"):
            case "hello":  # until it is answered: a server may drop what comes while somebody is still entering
                if self._page != page:
                    self._page = page
                    self._early = EarlySound()
                    self._heard.hello()
                self._tell({"type": "hello", "rate": RATE, "frame_ms": FRAME_MS})
            case "caught_up":
                self._early.caught_up()
            case "played":
                self._heard.report(said.get("run"), said.get("samples"))
            case _:
                self._control(said)

    def _tell(self, event: Mapping[str, Any]) -> None:
        self._spawn(self.send_event(event))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
