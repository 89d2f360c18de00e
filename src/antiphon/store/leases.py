"""Implements `domain.platforms.LeaseStore`. Called by `platforms.discord`, which leases the shards of its gateway."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.clock import Clock
from antiphon.store.db import Database, Tx, placeholders

_RENEW = """
UPDATE antiphon_namedlease SET lease_until = %s WHERE owner = %s AND name IN ({names}) AND lease_until > %s
RETURNING name
"""
_TAKE = """
INSERT INTO antiphon_namedlease (name, owner, lease_until) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
WHERE antiphon_namedlease.lease_until <= %s
RETURNING name
"""
_RELEASE = "DELETE FROM antiphon_namedlease WHERE owner = %s"


class DjangoLeaseStore:
    """Leases by name."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def hold(self, names: Sequence[str], owner: str, most: int, seconds: float) -> Sequence[str]:
        """Renew what `owner` holds of `names` and take what nobody holds, up to `most` in all; returns what it holds.

        A lease that ran out is not renewed: somebody else may have had it meanwhile.
        """
        now = self._clock.now().timestamp()

        def hold(tx: Tx) -> list[str]:
            held = {
                row[0] for row in tx.rows(_RENEW.format(names=placeholders(names)), now + seconds, owner, *names, now)
            }
            for name in names:
                if len(held) >= most:
                    break
                if name not in held and tx.row(_TAKE, name, owner, now + seconds, now):
                    held.add(name)
            return [name for name in names if name in held]

        return await self._database.run_unsynced(hold)

    async def release(self, owner: str) -> None:
        """Give everything of `owner` back at once."""
        await self._database.run_unsynced(lambda tx: tx.execute(_RELEASE, owner))

    async def clear(self) -> None:
        """Give everything of everybody back: for a start that knows that nobody else is there."""
        await self._database.run_unsynced(lambda tx: tx.execute("DELETE FROM antiphon_namedlease"))
