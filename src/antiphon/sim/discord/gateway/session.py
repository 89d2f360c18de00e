"""A session of a bot: numbered events, kept for a resume, sent over whichever connection it has at the moment.

Source: docs, Gateway, "Resuming" and "Preparing to Resume"; "Disconnecting" (closing with 1000 or 1001 ends a
session, any other code leaves it resumable).
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

from antiphon.sim.discord.world.users import Application

if TYPE_CHECKING:
    from antiphon.sim.discord.gateway.connection import Connection


class Session:
    def __init__(self, application: Application, intents: int, shard: tuple[int, int], kept: int) -> None:
        self.id = secrets.token_hex(16)
        self.application, self.intents = application, intents
        self.shard, self.shards = shard
        self.sequence = 0
        self._kept: deque[tuple[int, str, str]] = deque(maxlen=kept)
        self.connection: Connection | None = None
        self.ended_at: float | None = None

    def holds(self, guild_id: int | None) -> bool:
        """Source: docs, Gateway, "Sharding": `(guild_id >> 22) % num_shards`; direct messages go to shard 0."""
        return self.shard == (0 if guild_id is None else (guild_id >> 22) % self.shards)

    def send(self, event: str, data: str) -> None:
        """`data` is the payload's JSON. Without a connection it waits for the resume."""
        self.sequence += 1
        text = f'{{"t":"{event}","s":{self.sequence},"op":0,"d":{data}}}'
        self._kept.append((self.sequence, event, text))
        if self.connection is not None:
            self.connection.send_event(event, text, self.sequence)

    def missed(self, sequence: int) -> list[tuple[int, str, str]] | None:
        """What came after `sequence`, or None when that is no longer known."""
        if sequence > self.sequence:
            return None
        if sequence == self.sequence:
            return []
        if not self._kept or self._kept[0][0] > sequence + 1:
            return None
        return [entry for entry in self._kept if entry[0] > sequence]
