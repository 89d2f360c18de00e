"""An authority whose grants a test can change at any moment, and that remembers what it was asked."""

from __future__ import annotations

from antiphon.domain.identity import Requester


class FakeAuthority:
    """Implements `domain.identity.Authority`. Everybody holds "everyone"."""

    def __init__(self, grants: dict[int, set[str]] | None = None) -> None:
        self.grants = grants or {}
        self.asked: list[tuple[int, str]] = []

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Whether the person was granted it."""
        self.asked.append((requester.person, permission))
        return permission == "everyone" or permission in self.grants.get(requester.person, set())
