"""The two routes that are answered before Django: /health for everybody, /metrics for this machine or a key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from antiphon.api.errors import Problem, Send, problem_of, send_problem, send_response
from antiphon.api.origins import Scope, header, is_loopback
from antiphon.domain.errors import AntiphonError, Unauthenticated
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.identity import Principal
from antiphon.telemetry import metrics

HEALTH_SECONDS = 1.0
"""How long an answer about the parts is kept: the route is public, so asking often must cost nothing."""
PATIENCE_SECONDS = 3.0
"""A part that does not say within this time is not well."""

_FORWARDED = (b"x-forwarded-for", b"x-real-ip", b"forwarded")
_JSON = {"Content-Type": "application/json"}


def status_of(parts: Sequence[PartHealth]) -> str:
    """One word for all parts. A part that is off is not a fault."""
    return "degraded" if any(part.state is PartState.DEGRADED for part in parts) else "ok"


class LeanRoutes:
    """Answers `/health` from `parts`, and `/metrics` to those `principal_of` knows."""

    def __init__(
        self,
        parts: Callable[[], Awaitable[Sequence[PartHealth]]],
        principal_of: Callable[[Scope], Awaitable[Principal | None]],
    ) -> None:
        self._parts = parts
        self._principal_of = principal_of
        self._status = ""
        self._good_until = 0.0
        self._asking: asyncio.Task[str] | None = None

    async def health(self, scope: Scope, send: Send) -> None:
        """Exactly `{"status":"ok"}`, or 503."""
        if not await _only_get(scope, send):
            return
        now = asyncio.get_running_loop().time()
        if now >= self._good_until:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask(), name="api-health")
            await asyncio.wait({self._asking})
        code = 200 if self._status == "ok" else 503
        await send_response(send, code, _JSON, f'{{"status":"{self._status}"}}'.encode())

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self._status = status_of(await self._parts())
        except (AntiphonError, TimeoutError):
            self._status = "degraded"
        self._good_until = asyncio.get_running_loop().time() + HEALTH_SECONDS
        return self._status

    async def metrics(self, scope: Scope, send: Send) -> None:
        """The figures. A request that came through a proxy is not from this machine, whatever its address says."""
        if not await _only_get(scope, send):
            return
        if not _from_this_machine(scope):
            principal = await self._principal_of(scope)
            if principal is None:
                message = "From another machine this needs a key with the scope metrics."
                await send_problem(send, problem_of(Unauthenticated(message)))
                return
            if not principal.has("metrics"):
                await send_problem(send, Problem(403, "forbidden", "This needs the scope metrics."))
                return
        body, content_type = metrics.render()
        await send_response(send, 200, {"Content-Type": content_type}, body)


async def _only_get(scope: Scope, send: Send) -> bool:
    if scope["method"] in ("GET", "HEAD"):
        return True
    message = "This address does not take that method."
    await send_problem(send, Problem(405, "method_not_allowed", message, headers={"Allow": "GET, HEAD"}))
    return False


def _from_this_machine(scope: Scope) -> bool:
    client = scope.get("client")
    if not client or not is_loopback(client[0]):
        return False
    return all(header(scope, name) is None for name in _FORWARDED)
