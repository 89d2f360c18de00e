"""A status source with set parts."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.health import PartHealth, PartState


class FakeStatus:
    """Implements `tools.builtin.system.StatusSource`."""

    def __init__(self) -> None:
        self.rows: list[PartHealth] = [PartHealth("store", PartState.OK, "SQLite")]

    async def parts(self) -> Sequence[PartHealth]:
        """The set parts."""
        return self.rows
