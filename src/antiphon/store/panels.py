"""Implements `domain.panels.PanelStore` in the database, where there is no Redis. Called by `dashboards.keeper`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from antiphon.domain.clock import Clock
from antiphon.store.db import Database, Tx

_READ = "SELECT name, state FROM antiphon_panelstate"
_KEEP = """
INSERT INTO antiphon_panelstate (name, state, changed_at) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at
"""


class DjangoPanelStore:
    """One row per panel, written anew each time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        """What was kept, by the names of the panels."""

        def read(tx: Tx) -> dict[str, Mapping[str, object]]:
            rows = ((row[0], json.loads(row[1]) if isinstance(row[1], str) else row[1]) for row in tx.rows(_READ))
            return {name: cast("Mapping[str, object]", state) for name, state in rows if isinstance(state, dict)}

        return await self._database.read(read)

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        """Keep the state of a panel. A power cut may take it back: the next one comes in seconds."""
        del panel  # what it shows is made of the state; nobody else reads this table
        now, text = self._clock.now().timestamp(), json.dumps(dict(state), separators=(",", ":"))
        await self._database.run_unsynced(lambda tx: tx.execute(_KEEP, name, text, now))
