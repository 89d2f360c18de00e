"""The control of a simulation from Python: make things, play people, break things, read what happened.

`control/http.py` offers the same over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from antiphon.sim.discord import seed
from antiphon.sim.discord.control.player import Player
from antiphon.sim.discord.errors import Refused
from antiphon.sim.discord.faults import Fault, Faults
from antiphon.sim.discord.gateway.hub import Hub
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.rest.limiter import Limiter
from antiphon.sim.discord.rules.channels import delete
from antiphon.sim.discord.rules.elapsed import catch_up
from antiphon.sim.discord.rules.members import add
from antiphon.sim.discord.voice.rooms import Rooms
from antiphon.sim.discord.world.channels import TEXT, Channel, Overwrite
from antiphon.sim.discord.world.commands import AUTOCOMPLETE, Interaction
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild, Role
from antiphon.sim.discord.world.messages import Message
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.world import World

T = TypeVar("T")


class Control:
    """`guild`, `channel` and `user` find by name or id; without a name, the first server."""

    def __init__(
        self,
        world: World,
        hub: Hub,
        faults: Faults,
        journal: Journal,
        voice: Rooms,
        limiter: Limiter,
        bot: Application,
    ) -> None:
        self.world, self.hub, self.faults, self.journal, self.voice, self.bot = world, hub, faults, journal, voice, bot
        self._limiter = limiter
        self._waiters: set[asyncio.Event] = set()
        world.listen(self._wake)
        journal.listen(self._wake)

    # Finding

    def guild(self, which: Guild | str | int | None = None) -> Guild:
        if isinstance(which, Guild):
            return which
        for guild in self.world.guilds.values():
            if which is None or which in (guild.name, guild.id, str(guild.id)):
                return guild
        raise LookupError(f"There is no server {which!r}")

    def channel(self, which: Channel | str | int, guild: Guild | str | int | None = None) -> Channel:
        """By name within `guild`; threads and direct messages by id."""
        if isinstance(which, Channel):
            return which
        if (isinstance(which, int) or which.isdecimal()) and int(which) in self.world.channels:
            return self.world.channels[int(which)]
        place = self.guild(guild)
        for channel in [*place.channels.values(), *place.threads.values()]:
            if channel.name == which:
                return channel
        raise LookupError(f"There is no channel {which!r} in {place.name}")

    def role(self, which: Role | str | int, guild: Guild | str | int | None = None) -> Role:
        if isinstance(which, Role):
            return which
        for role in self.guild(guild).roles.values():
            if which in (role.name, role.id, str(role.id)):
                return role
        raise LookupError(f"There is no role {which!r}")

    def user(self, which: User | str | int) -> Player:
        if isinstance(which, User):
            return Player(self, which)
        if isinstance(which, int) or which.isdecimal():
            found = self.world.users.get(int(which))
        else:
            found = next((one for one in self.world.users.values() if one.name == which), None)
        if found is None:
            raise LookupError(f"There is nobody called {which!r}")
        return Player(self, found)

    def message(self, which: Message | str | int) -> Message:
        if isinstance(which, Message):
            return which
        for channel in self.world.channels.values():
            if int(which) in channel.messages:
                return channel.messages[int(which)]
        for started in self.world.interactions.values():
            for message in (started.original, *started.followups):
                if message is not None and message.id == int(which):
                    return message
        raise LookupError(f"There is no message {which}")

    def messages(self, channel: Channel | str | int, *, by: User | Player | str | None = None) -> list[Message]:
        """What stands in a channel, oldest first. Ephemeral answers are not in it."""
        found = list(self.channel(channel).messages.values())
        if by is None:
            return found
        author = by.user if isinstance(by, Player) else by if isinstance(by, User) else self.user(by).user
        return [message for message in found if message.author is author]

    def replies(self, channel: Channel | str | int) -> list[Message]:
        """What the bot wrote in a channel."""
        return self.messages(channel, by=self.bot.user)

    # Making

    def create_user(
        self, name: str, *, join: bool = True, roles: list[str] | None = None, guild: Guild | str | int | None = None
    ) -> Player:
        made = seed.user(self.world, name, global_name=name.title())
        if join:
            place = self.guild(guild)
            member = add(self.world, place, made)
            member.roles = [self.role(one, place).id for one in roles or []]
        return Player(self, made)

    def create_bot(self, name: str, *, join: bool = True, token: str | None = None) -> Application:
        """Another application; in the first server unless `join` is False."""
        made = seed.application(self.world, name, self.world.users[self.guild().owner_id], token)
        if join:
            self.invite(made)
        return made

    def invite(
        self, application: Application, guild: Guild | str | int | None = None, permissions: int | None = None
    ) -> None:
        """Let a bot into a server: it is told of it by GUILD_CREATE."""
        place = self.guild(guild)
        seed.invite(self.world, place, application, int(seed.BOT) if permissions is None else permissions)
        self._new_guild(place, application)

    def create_guild(self, name: str, *, owner: str = "olive", bot: bool = True) -> Guild:
        made = seed.guild(self.world, name, self.user(owner).user)
        seed.channel(self.world, made, "general")
        if bot:
            self.invite(self.bot, made)
        return made

    def _new_guild(self, guild: Guild, application: Application) -> None:
        for session in list(self.hub.sessions.values()):
            if session.application is application and session.holds(guild.id) and session.intents & 1:
                self.hub.send_to_bot(application.id, guild.id, "GUILD_CREATE", self.hub.guild_create(session, guild))

    def create_channel(
        self, name: str, kind: int = TEXT, *, guild: Guild | str | int | None = None, **fields: Any
    ) -> Channel:
        made = seed.channel(self.world, self.guild(guild), name, kind, **fields)
        self.world.tell("CHANNEL_CREATE", made.payload(), channel=made)
        return made

    def delete_channel(self, which: Channel | str | int) -> None:
        delete(self.world, self.channel(which))

    def create_role(self, name: str, permissions: int = 0, *, guild: Guild | str | int | None = None) -> Role:
        place = self.guild(guild)
        made = seed.role(self.world, place, name, permissions)
        self.world.tell("GUILD_ROLE_CREATE", {"guild_id": str(place.id), "role": made.payload()}, guild=place)
        return made

    def permit(
        self, channel: Channel | str | int, whom: User | Role | Application, *, allow: int = 0, deny: int = 0
    ) -> None:
        """Set an overwrite in a channel, as its administrators would."""
        place = self.channel(channel)
        target = whom.user if isinstance(whom, Application) else whom
        place.overwrites[target.id] = Overwrite(target.id, int(isinstance(target, User)), allow, deny)
        self.world.tell("CHANNEL_UPDATE", place.payload(), channel=place)

    def role_permissions(self, role: Role, permissions: int, guild: Guild | None = None) -> None:
        role.permissions = permissions
        place = self.guild(guild)
        self.world.tell("GUILD_ROLE_UPDATE", {"guild_id": str(place.id), "role": role.payload()}, guild=place)

    def big_world(self, servers: int, members: int, channels: int = 20) -> list[Guild]:
        """Many servers at once, for measuring. Do it before clients connect: nobody is told."""
        return seed.big_world(self.world, self.bot, servers, members, channels)

    # Breaking

    def fault(self, kind: str, *, times: int = 1, **settings: Any) -> Fault:
        """Let something go wrong; the kinds and their settings stand in `faults.py`."""
        return self.faults.add(kind, times=times, **settings)

    def clear_faults(self) -> None:
        self.faults.clear()

    def disconnect(self, code: int = 0, *, shard: int | None = None) -> int:
        """Close every gateway connection (of a shard) with `code`; 0 breaks it without a word. Returns how many."""
        return self.hub.disconnect(code, shard=shard)

    def disconnect_voice(self, code: int = 4015) -> int:
        """Close every voice connection with `code`; 4015 asks clients to resume. Returns how many there were."""
        peers = list(self.voice.peers.values())
        for peer in peers:
            peer.close(code, "fault")
        return len(peers)

    def reconnect(self) -> None:
        """Ask clients to reconnect and resume (opcode 7)."""
        self.hub.reconnect()

    def invalidate(self) -> None:
        """End every session (opcode 9, false)."""
        self.hub.reconnect(resumable=False)

    def set_limits(self, **values: Any) -> None:
        """Change fields of `Limits` while it runs; what was used up is forgotten.

        Raises ValueError for a field that is not there.
        """
        limits = self.world.limits
        for name, value in values.items():
            if not hasattr(limits, name):
                raise ValueError(f"There is no limit {name!r}")
            if name == "routes":
                value = {key: (int(count), float(window)) for key, (count, window) in value.items()}
            elif name == "other_routes":
                value = (int(value[0]), float(value[1]))
            else:
                value = type(getattr(limits, name))(value)
            setattr(limits, name, value)
        self._limiter.reset()

    def ask_heartbeat(self) -> None:
        """Ask clients for a heartbeat at once.

        Source: docs, Gateway, "Sending Heartbeats" (opcode 1 from the server).
        """
        for connection in self.hub.connections:
            connection.send(1, None)

    def revoke_token(self, application: Application | None = None) -> str:
        """Make a bot's token invalid, as its owner does on the developers' page; returns the new one."""
        bot = application or self.bot
        del self.world.tokens[bot.token]
        bot.token = seed.new_token(bot.id)
        self.world.tokens[bot.token] = bot
        for session in [one for one in self.hub.sessions.values() if one.application is bot]:
            if session.connection is not None:
                session.connection.close(4004, "Authentication failed.")
            self.hub.end(session)
        return bot.token

    def latency(self, seconds: float) -> None:
        """Delay every event of the connections there are."""
        self.hub.set_latency(seconds)

    def unavailable(self, guild: Guild | str | int | None = None, *, on: bool = True) -> None:
        """An outage of a server, and its end.

        Source: docs, Gateway Events, "Guild Delete" (`unavailable`), "Guild Create".
        """
        place = self.guild(guild)
        place.unavailable = on
        if on:
            self.world.tell("GUILD_DELETE", {"id": str(place.id), "unavailable": True}, guild=place)
            return
        for application in self.world.applications.values():
            if application.id in place.members:
                self._new_guild(place, application)

    def advance(self, seconds: float) -> None:
        """Let time pass at once. Raises ValueError for less than none."""
        self.world.clock.advance(seconds)
        catch_up(self.world)

    async def storm(
        self, channel: Channel | str | int, *, rate: float, seconds: float, by: str = "ada", text: str = "storm {n}"
    ) -> int:
        """`rate` messages a second; returns how many were sent. Slow mode and permissions hold as ever."""
        player, place = self.user(by), self.channel(channel)
        loop = asyncio.get_running_loop()
        started, sent = loop.time(), 0
        while (passed := loop.time() - started) < seconds:
            while sent < min(passed, seconds) * rate:
                player.send(place, text.replace("{n}", str(sent)))
                sent += 1
            await asyncio.sleep(min(0.01, 1 / rate))
        for number in range(sent, round(rate * seconds)):
            player.send(place, text.replace("{n}", str(number)))
        return round(rate * seconds)

    # Reading

    def log(self, kind: str | None = None, *, after: int = 0, **matching: Any) -> list[dict[str, Any]]:
        """The server's own record; kinds stand in `journal.py`."""
        return self.journal.entries(kind, after=after, **matching)

    @property
    def connected(self) -> bool:
        """Whether the bot has a session with a connection."""
        return any(one.connection is not None and one.application is self.bot for one in self.hub.sessions.values())

    async def wait_for(self, found: Callable[[], T], seconds: float = 10.0) -> T:
        """Until `found()` is true; looked at after every change. Raises TimeoutError."""
        event = asyncio.Event()
        self._waiters.add(event)
        try:
            async with asyncio.timeout(seconds):
                while not (result := found()):
                    event.clear()
                    await event.wait()
                return result
        finally:
            self._waiters.discard(event)

    async def answered(self, interaction: Interaction, seconds: float = 5.0) -> Message:
        """The finished answer to an interaction: "thinking" is waited out. Raises TimeoutError, or Refused when the
        application stayed silent for three seconds, as the client shows "did not respond".
        """

        def done() -> Message | None:
            if interaction.acknowledged is None and self.failed(interaction):
                raise Refused(404, 10062, "The application did not respond")
            return None if interaction.waiting else interaction.original

        return await self.wait_for(done, seconds)  # type: ignore[return-value]

    async def choices(self, interaction: Interaction, seconds: float = 5.0) -> list[dict[str, Any]]:
        """What an autocompletion offered."""
        if interaction.type != AUTOCOMPLETE:
            raise ValueError("not an autocompletion")
        await self.wait_for(lambda: interaction.response, seconds)
        return (interaction.response or {}).get("choices", [])

    async def modal(self, interaction: Interaction, seconds: float = 5.0) -> dict[str, Any]:
        """The modal that an interaction was answered with."""
        await self.wait_for(lambda: interaction.response_type == 9, seconds)
        return interaction.response or {}

    def failed(self, interaction: Interaction) -> bool:
        late = self.world.clock.now() - interaction.created > self.world.limits.acknowledge_within
        return interaction.acknowledged is None and late

    def _wake(self, change: Dispatch | dict[str, Any]) -> None:
        del change
        for event in self._waiters:
            event.set()
