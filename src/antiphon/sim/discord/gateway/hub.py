"""All sessions: who is told what, identify and resume, members on request, presences, voice states.

Source: docs, Gateway Events; Gateway, "Receiving Events"; each rule names its section.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from antiphon.sim.discord.errors import Refused
from antiphon.sim.discord.faults import Faults
from antiphon.sim.discord.gateway import intents as I  # noqa: N812
from antiphon.sim.discord.gateway.connection import INVALID_SESSION, RECONNECT, Connection
from antiphon.sim.discord.gateway.session import Session
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.permissions import P, in_channel
from antiphon.sim.discord.rules.voice import join, leave, move_self
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild, presence_of
from antiphon.sim.discord.world.messages import without_content
from antiphon.sim.discord.world.users import Application
from antiphon.sim.discord.world.world import World

RESUME_URL = "wss://gateway.discord.gg"
_CHANNEL_FREE = frozenset({"CHANNEL_DELETE", "THREAD_DELETE"})


class Hub:
    """Listens to the world and serves every gateway connection."""

    def __init__(self, world: World, faults: Faults, journal: Journal) -> None:
        self.world, self.faults, self.journal = world, faults, journal
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.log_events = True
        self.voice_asked: Callable[[Guild, int], None] = lambda guild, user_id: None
        """Told when a bot asks for the voice channel that it is in already."""
        world.listen(self._on_dispatch)

    # Telling

    def _on_dispatch(self, dispatch: Dispatch) -> None:
        if self.faults.take("lost_event", event=dispatch.name) is not None:
            return
        delayed = self.faults.take("delayed_event", event=dispatch.name)
        if delayed is not None:
            asyncio.get_running_loop().call_later(delayed.get("seconds", 0.5), self._deliver, dispatch)
            return
        self._deliver(dispatch)
        if self.faults.take("doubled_event", event=dispatch.name) is not None:
            self._deliver(dispatch)

    def _deliver(self, dispatch: Dispatch) -> None:
        full = bare = ""
        for session in list(self.sessions.values()):
            if not self._gets(session, dispatch):
                continue
            if dispatch.message is not None and not self._reads(session, dispatch):
                bare = bare or _json(without_content(dispatch.data))
                session.send(dispatch.name, bare)
            else:
                full = full or _json(dispatch.data)
                session.send(dispatch.name, full)

    def _gets(self, session: Session, dispatch: Dispatch) -> bool:
        bot, guild = session.application.id, dispatch.guild
        if not session.holds(None if guild is None else guild.id):
            return False
        needed = I.wanted(dispatch.name, direct=guild is None) if dispatch.intents is None else dispatch.intents
        if needed and not session.intents & needed and not self._always(session, dispatch):
            return False
        if dispatch.users is not None:
            return bot in dispatch.users
        if guild is not None and bot not in guild.members:
            return False
        channel = dispatch.channel
        if channel is None or dispatch.name in _CHANNEL_FREE:
            return True
        return bool(in_channel(channel, bot, self.world.clock.now()) & P.VIEW_CHANNEL)

    @staticmethod
    def _always(session: Session, dispatch: Dispatch) -> bool:
        """The current user's own GUILD_MEMBER_UPDATE comes without an intent.

        Source: docs, Gateway, "List of Intents" (footnote on Guild Member Update).
        """
        return (
            dispatch.name == "GUILD_MEMBER_UPDATE"
            and dispatch.data.get("user", {}).get("id") == str(session.application.id)
        ) or (dispatch.name == "THREAD_MEMBERS_UPDATE" and bool(session.intents & I.GUILDS))

    @staticmethod
    def _reads(session: Session, dispatch: Dispatch) -> bool:
        """Source: docs, Gateway, "Message Content Intent": exempt are direct messages, own messages and mentions."""
        message, bot = dispatch.message, session.application.id
        return (
            message is None
            or bool(session.intents & I.CONTENT)
            or (
                message.channel.guild is None
                or message.author.id == bot
                or any(user.id == bot for user in message.mentions)
            )
        )

    def delivered(self, session: Session, event: str, sequence: int, text: str) -> None:
        if self.log_events:
            self.journal.add("gateway.out", event=event, seq=sequence, session=session.id, bytes=len(text))

    # Connections

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.journal.add("gateway.open")

    def closed(self, connection: Connection, code: int | None, *, by_client: bool) -> None:
        """Source: docs, Gateway, "Disconnecting": a client's 1000 or 1001 ends its session; Gateway Close Event Codes:
        after 4007 and 4009 a new session is started.
        """
        self.connections.discard(connection)
        session = connection.session
        self.journal.add("gateway.close", code=int(code or 1006), session=session.id if session else None)
        if session is None or session.connection is not connection:
            return
        session.connection, session.ended_at = None, self.world.clock.now()
        if code in ((1000, 1001) if by_client else (4007, 4009)):
            self.end(session)
        else:
            self._drop_old()

    def end(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        application = session.application
        if not any(other.application is application for other in self.sessions.values()):
            application.user.presence = None
            for guild in self._guilds(session):
                if application.id in guild.voice_states:
                    leave(self.world, guild, application.id)

    def _drop_old(self) -> None:
        now, kept = self.world.clock.now(), self.world.limits.session_kept
        for session in list(self.sessions.values()):
            if session.ended_at is not None and now - session.ended_at > kept:
                self.end(session)

    def may_identify(self, application: Application, shard: int) -> bool:
        """Source: docs, Gateway, "Session Start Limit Object" and "Sharding", `max_concurrency`."""
        if self.faults.take("refuse_identify") is not None:
            return False
        now, limits = self.world.clock.now(), self.world.limits
        application.starts = [at for at in application.starts if now - at < 86400]
        bucket = shard % limits.max_concurrency
        if now - application.identified.get(bucket, 0.0) < limits.identify_every:
            return False
        application.identified[bucket] = now
        application.starts.append(now)
        return len(application.starts) <= limits.session_starts

    def start(
        self,
        connection: Connection,
        application: Application,
        intents: int,
        shard: tuple[int, int],
        data: dict[str, Any],
    ) -> None:
        """Source: docs, Gateway Events, "Ready", "Guild Create"."""
        self._drop_old()
        session = Session(application, intents, shard, self.world.limits.session_buffer)
        session.connection, connection.session = connection, session
        self.sessions[session.id] = session
        self.journal.add(
            "gateway.identify", session=session.id, bot=str(application.id), shard=list(shard), intents=intents
        )
        presence = data.get("presence") or {}
        if presence.get("game"):  # the older form of one activity, still accepted
            presence = {**presence, "activities": [presence["game"]]}
        application.user.presence = {
            "status": presence.get("status") or "online",
            "activities": presence.get("activities") or [],
        }
        guilds = self._guilds(session)
        session.send(
            "READY",
            _json(
                {
                    "v": 10,
                    "user": application.user.own_payload(),
                    "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                    "session_id": session.id,
                    "resume_gateway_url": RESUME_URL,
                    "shard": list(shard),
                    "application": {"id": str(application.id), "flags": application.flags},
                    "private_channels": [],
                    "relationships": [],
                    "user_settings": {},
                    "_trace": ["sim"],
                }
            ),
        )
        if not intents & I.GUILDS:
            return
        for guild in guilds:
            if guild.unavailable:
                continue
            session.send("GUILD_CREATE", _json(self.guild_create(session, guild)))

    def guild_create(self, session: Session, guild: Guild) -> dict[str, Any]:
        bot, now = session.application.id, self.world.clock.now()
        threads = [
            thread
            for thread in guild.threads.values()
            if not thread.archived and in_channel(thread, bot, now) & P.VIEW_CHANNEL
        ]
        return guild.create_payload(bot, threads, presences=bool(session.intents & I.PRESENCES))

    def resume(self, connection: Connection, application: Application, session_id: str, sequence: Any) -> None:
        """Source: docs, Gateway, "Resuming"; close code 4007 for a sequence that was never sent."""
        self._drop_old()
        session = self.sessions.get(session_id)
        refused = self.faults.take("refuse_resume") is not None
        if refused and session is not None:
            self.end(session)
        if refused or session is None or session.application is not application or not isinstance(sequence, int):
            self.journal.add("gateway.resume", session=session_id, accepted=False)
            connection.send(INVALID_SESSION, False)
            return
        if sequence > session.sequence:
            connection.close(4007, "Invalid seq.")
            return
        missed = session.missed(sequence)
        if missed is None:
            self.end(session)
            connection.send(INVALID_SESSION, False)
            return
        if session.connection is not None:
            session.connection.session = None
            session.connection.close(4000, "Resumed elsewhere.")
        session.connection, session.ended_at, connection.session = connection, None, session
        self.journal.add("gateway.resume", session=session.id, accepted=True, replayed=len(missed))
        for number, event, text in missed:
            connection.send_event(event, text, number)
        session.send("RESUMED", '{"_trace":["sim"]}')

    # What clients ask for

    def presence(self, session: Session, data: dict[str, Any]) -> None:
        """Source: docs, Gateway Events, "Update Presence"."""
        user = session.application.user
        user.presence = {"status": data.get("status", "online"), "activities": data.get("activities") or []}
        self.presence_changed(user.id)

    def presence_changed(self, user_id: int) -> None:
        data = presence_of(self.world.users[user_id])
        for guild in self.world.guilds.values():
            if user_id in guild.members:
                self.world.announce(Dispatch("PRESENCE_UPDATE", {**data, "guild_id": str(guild.id)}, guild))

    def request_members(self, session: Session, data: dict[str, Any]) -> None:
        """Source: docs, Gateway Events, "Request Guild Members" and "Guild Members Chunk" (1000 at a time).

        Asking for everybody takes GUILD_MEMBERS; `presences` takes GUILD_PRESENCES; a query returns at most 100.
        """
        ids = data.get("guild_id")
        guild = self.world.guilds.get(int(ids[0] if isinstance(ids, list) else ids or 0))
        if guild is None or session.application.id not in guild.members:
            return
        query, limit, wanted = data.get("query"), int(data.get("limit") or 0), data.get("user_ids")
        if wanted is not None:
            numbers = [int(one) for one in (wanted if isinstance(wanted, list) else [wanted])][:100]
            found = [guild.members[one] for one in numbers if one in guild.members]
            missing = [str(one) for one in numbers if one not in guild.members]
        else:
            if not query and limit == 0 and not session.intents & I.MEMBERS:
                return
            start = str(query or "").lower()
            found = [one for one in guild.members.values() if not start or _called(one, start)]
            found = found[: min(limit, 100) if limit or start else None]
            missing = []
        presences = bool(data.get("presences")) and bool(session.intents & I.PRESENCES)
        chunks = [found[at : at + 1000] for at in range(0, len(found), 1000)] or [[]]
        for index, chunk in enumerate(chunks):
            payload: dict[str, Any] = {
                "guild_id": str(guild.id),
                "members": [member.payload() for member in chunk],
                "chunk_index": index,
                "chunk_count": len(chunks),
                "not_found": missing,
            }
            if presences:
                payload["presences"] = [presence_of(one.user) for one in chunk if one.user.presence]
            if data.get("nonce"):
                payload["nonce"] = data["nonce"]
            session.send("GUILD_MEMBERS_CHUNK", _json(payload))

    def voice_state(self, session: Session, data: dict[str, Any]) -> None:
        """Source: docs, Gateway Events, "Update Voice State"; Voice, "Connecting to Voice"."""
        guild = self.world.guilds.get(int(data.get("guild_id") or 0))
        bot = session.application.id
        if guild is None or bot not in guild.members:
            return
        if data.get("channel_id") is None:
            if bot in guild.voice_states:
                leave(self.world, guild, bot)
            return
        mute, deaf = bool(data.get("self_mute")), bool(data.get("self_deaf"))
        channel_id = int(data["channel_id"])
        known = guild.voice_states.get(bot)
        try:
            if known is not None and known.channel.id == channel_id:
                move_self(self.world, known, mute=mute, deaf=deaf)
                self.voice_asked(guild, bot)
                return
            join(self.world, guild, session.application.user, channel_id, mute=mute, deaf=deaf)
        except Refused:
            return  # a bot that may not connect gets no answer

    def send_to_bot(self, application_id: int, guild_id: int, event: str, data: dict[str, Any]) -> None:
        for session in self.sessions.values():
            if session.application.id == application_id and session.holds(guild_id):
                session.send(event, _json(data))

    # What the control asks for

    def reconnect(self, *, resumable: bool = True) -> None:
        """Ask every client to connect again. Source: docs, Gateway Events, "Reconnect"; "Invalid Session"."""
        for connection in list(self.connections):
            if resumable:
                connection.send(RECONNECT, None)
            else:
                if connection.session is not None:
                    self.end(connection.session)
                connection.send(INVALID_SESSION, False)

    def disconnect(self, code: int = 0, *, shard: int | None = None) -> int:
        """Close every connection (of a shard) with `code`, or cut it when 0. Returns how many there were."""
        found = [
            connection
            for connection in self.connections
            if shard is None or (connection.session is not None and connection.session.shard == shard)
        ]
        for connection in found:
            if code:
                connection.close(code, "fault")
            else:
                connection.cut()
        return len(found)

    def set_latency(self, seconds: float) -> None:
        for connection in self.connections:
            connection.latency = seconds

    def _guilds(self, session: Session) -> list[Guild]:
        bot = session.application.id
        return [one for one in self.world.guilds.values() if bot in one.members and session.holds(one.id)]


def _called(member: Any, start: str) -> bool:
    names = (member.user.name, member.user.global_name, member.nick)
    return any(name and name.lower().startswith(start) for name in names)


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))
