"""Where the dashboard's panels are kept: `store/panels.py`, or Redis by `dashboards/redis_store.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class PanelStore(Protocol):
    """What outlives a restart of the dashboard's panels. In the database, or in Redis where other services read it."""

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        """What was kept, by the names of the panels."""
        ...

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        """Keep the `state` of a panel. `panel` is what it shows, for other services; both are JSON."""
        ...
