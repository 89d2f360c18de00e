"""Who is connected to which voice server, played people included."""

from __future__ import annotations

from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import User


class Rooms:
    def played_joined(self, guild: Guild, user: User) -> None: ...
    def played_left(self, guild: Guild, user: User) -> None: ...
    def played_speaks(self, guild: Guild, user: User, on: bool) -> None: ...
