"""Voice channels the agent is in: joining and leaving, and who speaks there, told on the bus.

The agent is silent and muted for now. Which stream of sound is whose is learnt from the control socket: opcode 5 (who
speaks with which SSRC), 12 (an SSRC before its first sound), 11 and 13 (who came and went).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Forbidden, InvalidInput, NotFound, Unavailable
from antiphon.domain.events import DISCORD_VOICE, Bus
from antiphon.platforms.discord.reading import clean

if TYPE_CHECKING:
    import discord

    from antiphon.platforms.discord.gateway import GatewayClient
    from antiphon.platforms.discord.voice_client import ListeningClient

log = structlog.stdlib.get_logger(__name__)

JOIN_SECONDS = 12.0
_PUBLISH_SECONDS = 0.25
_SPEAKING, _CONNECTED, _SSRC, _GONE = 5, 11, 12, 13


@dataclass(slots=True)
class Speaker:
    """What is known of one person's sound."""

    ssrc: int | None = None
    speaking_since: float | None = None
    spoken: float = 0.0
    since: datetime | None = None


@dataclass(slots=True)
class Room:
    """The voice connection in one server."""

    channel: str
    place: str
    state: str
    since: datetime
    client: ListeningClient | None = None
    speakers: dict[str, Speaker] = field(default_factory=dict[str, Speaker])

    def heard(self, data: dict[str, Any], now: float, at: datetime) -> bool:
        """Take a message of the control socket; whether it changed anything."""
        op, said = data.get("op"), data.get("d")
        if not isinstance(said, dict):
            return False
        user = str(said.get("user_id") or "")
        match op:
            case 5 if user:
                speaker = self._speaker(user, at)
                if isinstance(ssrc := said.get("ssrc"), int):
                    speaker.ssrc = ssrc
                speaks = bool(int(said.get("speaking") or 0) & 1)
                if speaker.speaking_since is not None and not speaks:
                    speaker.spoken += now - speaker.speaking_since
                    speaker.speaking_since = None
                elif speaks and speaker.speaking_since is None:
                    speaker.speaking_since = now
            case 11:
                for one in said.get("user_ids") or ():
                    self._speaker(str(one), at)
            case 12 if user:
                if isinstance(ssrc := said.get("audio_ssrc"), int) and ssrc:
                    self._speaker(user, at).ssrc = ssrc
            case 13 if user:
                self.speakers.pop(user, None)
            case _:
                return False
        return True

    def _speaker(self, user: str, at: datetime) -> Speaker:
        return self.speakers.setdefault(user, Speaker(since=at))


class VoiceRooms:
    """All voice connections of this process. `connect` it with the gateway's client."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._client: GatewayClient | None = None
        self._rooms: dict[str, Room] = {}
        self._wanted: dict[str, str] = {}
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._joining: set[asyncio.Task[Any]] = set()
        self._moving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One at a time comes into a server's voice channel, moves or leaves."""

    def connect(self, client: GatewayClient | None) -> None:
        """Work with this client from now on; connections of an earlier one are gone with it."""
        self._client = client
        for server in list(self._rooms):
            self._drop(server)

    def rejoin(self) -> None:
        """The gateway is there again: go back to where the agent was."""
        for server, channel in list(self._wanted.items()):
            if server not in self._rooms and self._client is not None and self._client.get_guild(int(server)):
                task = asyncio.get_running_loop().create_task(self._rejoin(server, channel))
                self._joining.add(task)
                task.add_done_callback(self._joining.discard)

    async def _rejoin(self, server: str, channel: str) -> None:
        try:
            async with self._moving[server]:
                # Somebody may have asked for another channel meanwhile, or sent the agent away.
                if server not in self._rooms and self._wanted.get(server) == channel:
                    await self._enter(server, self._channel(server, channel))
        except (Forbidden, NotFound, Unavailable, InvalidInput) as error:
            if self._wanted.get(server) == channel:
                del self._wanted[server]
            log.info("voice.not_rejoined", reason=error.message)

    async def close(self) -> None:
        """Leave everywhere; the gateway goes."""
        for task in list(self._joining):
            task.cancel()
        for server in list(self._rooms):
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2.0):
                    await self._disconnect(server)

    def state_of(self, server: str) -> str:
        """One word: idle, connecting, connected or reconnecting."""
        room = self._rooms.get(server)
        return room.state if room else "idle"

    def is_with(self, server: str, user: str) -> bool:
        """Whether a person is in the voice channel the agent is in."""
        room = self._rooms.get(server)
        return room is not None and self._where(server, user) == room.channel

    async def join(self, server: str, user: str) -> str:
        """Go into the voice channel a person is in. Says what came of it; raises for what cannot be."""
        where = self._where(server, user)
        if not where:
            raise InvalidInput("You are in no voice channel. Go into one and ask again.")
        async with self._moving[server]:
            room = self._rooms.get(server)
            if room is not None and room.channel == where and room.state != "idle":
                return f"I am in <#{where}> already."
            if room is not None:
                await self._disconnect(server)
            await self._enter(server, self._channel(server, where))
        return f"I am in <#{where}> now. I listen and say nothing."

    async def leave(self, server: str) -> str:
        """Leave the voice channel."""
        self._wanted.pop(server, None)
        async with self._moving[server]:
            self._wanted.pop(server, None)
            if server not in self._rooms:
                raise InvalidInput("I am in no voice channel here.")
            await self._disconnect(server)
        return "I left."

    def changed(self, server: str) -> None:
        """Somebody came, went, or muted themself there: told when the agent is in a voice channel of that server."""
        room = self._rooms.get(server)
        if room is not None:
            here = set(self._members(room, server))
            for user in [user for user in room.speakers if here and user not in here]:
                del room.speakers[user]
            self._tell(server)

    # --- the connection -----------------------------------------------------------------------------------------------

    def _channel(self, server: str, channel: str) -> discord.VoiceChannel | discord.StageChannel:
        guild = self._client.get_guild(int(server)) if self._client is not None else None
        found: Any = guild.get_channel(int(channel)) if guild is not None else None
        if guild is None or found is None:
            raise NotFound("There is no such voice channel.")
        allowed = found.permissions_for(guild.me)
        if not (allowed.view_channel and allowed.connect):
            raise Forbidden("I may not come into that channel: I lack the permission Connect there.")
        return found

    async def _enter(self, server: str, channel: discord.VoiceChannel | discord.StageChannel) -> None:
        from antiphon.platforms.discord.voice_client import ListeningClient

        room = Room(str(channel.id), clean(channel.name), "connecting", self._clock.now())
        self._rooms[server] = room
        self._tell(server)
        make: Any = partial(
            ListeningClient, told=partial(self._state, server, room), message=partial(self._heard, server, room)
        )
        try:
            room.client = await channel.connect(
                cls=make, timeout=JOIN_SECONDS, reconnect=True, self_deaf=False, self_mute=True
            )
        except Exception as error:
            # Whatever the library and the network met, the agent is not there.
            log.warning("voice.not_joined", error=type(error).__name__)
            self._drop(server)
            raise Unavailable("I could not come into the voice channel; please try again.") from error
        self._wanted[server] = room.channel
        self._state(server, room, "connected")

    async def _disconnect(self, server: str) -> None:
        room = self._rooms.get(server)
        client = room.client if room is not None else None
        self._drop(server)
        if client is not None:
            await client.disconnect(force=True)

    def _drop(self, server: str) -> None:
        room = self._rooms.pop(server, None)
        if room is not None:
            room.state, room.since = "idle", self._clock.now()
            room.speakers.clear()
            self._dirty[server] = None
            self._wake.set()

    def _state(self, server: str, room: Room, state: str) -> None:
        if self._rooms.get(server) is room and room.state != state:
            room.state, room.since = state, self._clock.now()
            self._tell(server)

    def _heard(self, server: str, room: Room, data: dict[str, Any]) -> None:
        if self._rooms.get(server) is room and room.heard(data, time.monotonic(), self._clock.now()):
            self._tell(server)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, server: str) -> None:
        self._dirty[server] = None
        self._wake.set()

    async def run(self) -> None:
        """Tell what changed, at most a few times a second, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            dirty, self._dirty = self._dirty, {}
            for server in dirty:
                await self._bus.publish(DISCORD_VOICE, "voice", self.payload(server))
            await asyncio.sleep(_PUBLISH_SECONDS)

    def payload(self, server: str) -> dict[str, object]:
        """The state of voice in one server, as it is told."""
        room = self._rooms.get(server)
        if room is None:
            return {"server": server, "channel": "", "place": "", "state": "idle", "since": None, "speakers": []}
        now, members = time.monotonic(), self._members(room, server)
        speakers: list[dict[str, object]] = []
        for user in dict.fromkeys([*members, *room.speakers]):
            known, member = room.speakers.get(user, Speaker()), members.get(user)
            spoken = known.spoken + (now - known.speaking_since if known.speaking_since is not None else 0.0)
            me = self._client.user if self._client is not None else None
            speakers.append(
                {
                    "ssrc": known.ssrc,
                    "user": user,
                    "name": member[0] if member else "",
                    "speaking": known.speaking_since is not None,
                    "speaking_ms": round(spoken * 1000) if known.ssrc is not None else None,
                    "muted": member[1] if member else False,
                    "since": known.since.isoformat() if known.since else None,
                    "agent": me is not None and str(me.id) == user,
                }
            )
        return {
            "server": server,
            "channel": room.channel,
            "place": room.place,
            "state": room.state,
            "since": room.since.isoformat(),
            "speakers": speakers,
        }

    def _members(self, room: Room, server: str) -> dict[str, tuple[str, bool]]:
        """Who is in the channel, as the gateway says: user to name and whether they are muted."""
        guild = self._client.get_guild(int(server)) if self._client is not None else None
        channel: Any = guild.get_channel(int(room.channel)) if guild is not None else None
        if guild is None or channel is None:
            return {}
        found: dict[str, tuple[str, bool]] = {}
        for user, state in channel.voice_states.items():
            member = guild.get_member(user)
            found[str(user)] = (clean(member.display_name) if member else "", state.mute or state.self_mute)
        return found

    def _where(self, server: str, user: str) -> str:
        """The voice channel a person is in, "" for none."""
        guild = self._client.get_guild(int(server)) if self._client is not None else None
        if guild is None:
            return ""
        for channel in (*guild.voice_channels, *guild.stage_channels):
            if int(user) in channel.voice_states:
                return str(channel.id)
        return ""
