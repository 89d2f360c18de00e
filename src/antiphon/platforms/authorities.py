"""One `Authority` for tools and approvals that asks the platform the requester speaks on."""

from __future__ import annotations

from collections.abc import Mapping

from antiphon.domain.conversation import platform_of
from antiphon.domain.identity import Authority, Requester


class PlatformAuthorities:
    """Implements `domain.identity.Authority`. A platform without one of its own grants nothing but "everyone"."""

    def __init__(self, by_platform: Mapping[str, Authority]) -> None:
        self._by_platform = dict(by_platform)

    def put(self, platform: str, authority: Authority) -> None:
        """Ask `authority` about a platform from now on."""
        self._by_platform[platform] = authority

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Whether the requester holds `permission` on the platform of their channel now."""
        authority = self._by_platform.get(platform_of(requester.channel))
        if authority is None:
            return permission == "everyone"
        return await authority.holds(requester, permission)
