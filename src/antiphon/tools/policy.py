"""Who may call a tool, and when a human has to agree first. Asked by `execute` for every single call."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from antiphon.domain.approvals import ApproverRule
from antiphon.domain.identity import Authority, Requester
from antiphon.domain.tools import Risk, ToolSpec


class ToolPolicy:
    """Permission by the requester's authority now; approval for dangerous tools and for those named in `always_ask`."""

    def __init__(self, authority: Authority, *, always_ask: Collection[str] = ()) -> None:
        self._authority = authority
        self._always_ask = frozenset(always_ask)

    async def permits(self, requester: Requester, *permissions: str) -> bool:
        """Whether the requester holds all of `permissions` at this moment. An empty permission is held by nobody."""
        for permission in dict.fromkeys(permissions):
            if not permission or not await self._authority.holds(requester, permission):
                return False
        return True

    async def permitted(self, requester: Requester, specs: Sequence[ToolSpec]) -> frozenset[str]:
        """The names of the tools whose permission the requester holds; each permission is asked once."""
        held = {p: await self.permits(requester, p) for p in {spec.permission for spec in specs}}
        return frozenset(spec.name for spec in specs if held[spec.permission])

    def approver(self, spec: ToolSpec) -> ApproverRule | None:
        """Who must agree before this tool runs, or None when nobody has to."""
        if spec.risk is Risk.DANGEROUS or spec.name in self._always_ask:
            return spec.approver or ApproverRule()
        return None
