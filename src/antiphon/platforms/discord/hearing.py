"""Up to when the gateway was heard, shard by shard: from where channels are read in which nothing was kept yet.

A position `gateway.<shard>/<count>` says that everything in the servers of that shard was heard and worked off up to
then. Such a word stays true for ever, so that after a change of the number of shards the latest one that speaks of a
server still counts. Called by `inbound`, which keeps the positions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from antiphon.domain.clock import Clock
from antiphon.platforms.discord.ids import snowflake_at

GATEWAY = "gateway"
"""What positions of the gateway begin with. By itself: of the only shard, as it was kept before there were several."""
_MARGIN = timedelta(minutes=2)
_SETTLED = timedelta(minutes=2)
"""How long after a connection was made events of its beginning may still be under way."""
_LATEST = timedelta(hours=1)
"""How long a server is waited for that does not announce itself, as it is in an outage of its own."""
_JUMP = timedelta(seconds=15)
"""Where the clock moved on so far between two looks the machine slept, and perhaps the connection is long gone."""


@dataclass(slots=True)
class _Shard:
    """One shard of this process: since when it is heard, until when it was, and who did not announce itself yet."""

    since: datetime | None = None
    until: datetime | None = None
    awaited: set[str] = field(default_factory=set[str])


def shard_of(server: str, count: int) -> int:
    """The shard that tells of a server; direct conversations ("") are told by the first."""
    return (int(server) >> 22) % count if server else 0


def _parsed(name: str) -> tuple[int, int] | None:
    """Shard and count of the name of a position, None for one that is not of the gateway."""
    if name == GATEWAY:
        return 0, 1
    head, _, shard = name.partition(".")
    number, _, count = shard.partition("/")
    if head != GATEWAY or not (number.isdigit() and count.isdigit()) or not int(number) < int(count):
        return None
    return int(number), int(count)


class Hearing:
    """The shards of this process. `begin` it with the kept positions and the shards that are held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shards: dict[int, _Shard] = {}
        self._kept: dict[tuple[int, int], str] = {}
        self._looked: datetime | None = None
        self.count = 1

    def begin(self, kept: Mapping[str, str], shards: Collection[int], count: int) -> dict[str, str]:
        """Hear these of `count` shards from now on. Returns positions that are to be kept at once."""
        self.count, self._looked = count, None
        self._shards = {shard: _Shard() for shard in shards}
        self._kept = {place: value for name, value in kept.items() if (place := _parsed(name)) is not None}
        if self._kept:
            return {}
        # The first start: what is said from now on is for us, also if the very first moments end in a crash.
        now = snowflake_at(self._clock.now())
        return {self._keep(shard, now): now for shard in shards}

    def holds(self, server: str) -> bool:
        """Whether this process hears of a server."""
        return shard_of(server, self.count) in self._shards

    def start(self, server: str) -> str | None:
        """Up to when everything in a server was heard; None when nothing was ever heard."""
        told = [value for (shard, count), value in self._kept.items() if shard_of(server, count) == shard]
        if told:
            return max(told, key=int)
        return min(self._kept.values(), key=int, default=None)

    # --- what happens -------------------------------------------------------------------------------------------------

    def connected(self, shard: int, servers: Collection[str]) -> None:
        """A new session, whose servers will announce themselves."""
        if (state := self._shards.get(shard)) is not None:
            state.since, state.awaited = state.since or self._clock.now(), set(servers)

    def resumed(self, shard: int) -> None:
        """The session goes on; what was missed is repeated."""
        if (state := self._shards.get(shard)) is not None and state.since is None:
            state.since = self._clock.now()

    def seen(self, server: str) -> None:
        """A server announced itself."""
        if (state := self._shards.get(shard_of(server, self.count))) is not None:
            state.awaited.discard(server)

    def awaited(self, server: str) -> bool:
        """Whether a server of a session that began did not announce itself yet."""
        state = self._shards.get(shard_of(server, self.count))
        return state is not None and server in state.awaited

    def disconnected(self, shard: int | None = None) -> None:
        """A shard is not heard any more; None: none of them is."""
        for number, state in self._shards.items():
            if shard is None or number == shard:
                state.until, state.since = self._settled(state), None

    def lost(self) -> None:
        """Somebody else may hear the shards already, and keeps their positions."""
        for state in self._shards.values():
            state.since = state.until = None

    @property
    def anything(self) -> bool:
        """Whether any shard is heard now."""
        return any(state.since is not None for state in self._shards.values())

    # --- positions ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the clock, every few seconds: after a sleep of the machine nothing is known of the time between."""
        now = self._clock.now()
        if self._looked is not None and now - self._looked > _JUMP:
            for state in self._shards.values():
                if state.since is not None:
                    state.since, state.until = now, None
        self._looked = now

    def positions(self, busy: Collection[int]) -> dict[str, str]:
        """What is to be kept now: of all shards but the `busy` ones, where something is not worked off yet."""
        moved: dict[str, str] = {}
        for shard, state in self._shards.items():
            until = self._settled(state)
            if until is not None and shard not in busy:
                position = snowflake_at(until - _MARGIN)
                moved[self._keep(shard, position)] = position
        return moved

    def _keep(self, shard: int, position: str) -> str:
        known = self._kept.get((shard, self.count))
        if known is None or int(position) > int(known):
            self._kept[shard, self.count] = position
        return f"{GATEWAY}.{shard}/{self.count}"

    def _settled(self, state: _Shard) -> datetime | None:
        """Until when a shard was heard with every server; None leaves its position where it is."""
        if state.since is None:
            return state.until
        now = self._clock.now()
        heard = now - state.since
        return now if heard > _SETTLED and (not state.awaited or heard > _LATEST) else None
