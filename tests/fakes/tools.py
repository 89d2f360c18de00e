"""Tools that record how often they really ran."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from antiphon.domain.tools import Risk, ToolSpec
from antiphon.tools.catalog import AnyTool
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare


class PokeArguments(Arguments):
    """Whom."""

    whom: str = "nobody"
    scope: str = "own"


class Poke(Tool[PokeArguments]):
    """Does what its test says: returns `result`, raises `error`, or waits for `gate`."""

    arguments = PokeArguments

    def __init__(
        self,
        name: str = "poke.do",
        risk: Risk = Risk.OWN,
        *,
        permission: str = "everyone",
        wide_permission: str = "",
        idempotent: bool = False,
        timeout: float = 5.0,
        result: ToolResult | None = None,
        error: Exception | None = None,
        gate: asyncio.Event | None = None,
        watch: Callable[[ToolCall[PokeArguments]], None] = lambda call: None,
    ) -> None:
        spec = declare(name, "Poke somebody.", PokeArguments, risk, permission=permission, timeout=timeout)
        # Not through `declare`: a READ tool counts as idempotent there, and tests want both on their own.
        self.spec = ToolSpec(**{**{f: getattr(spec, f) for f in spec.__slots__}, "idempotent": idempotent})  # type: ignore[misc]
        self.runs: list[ToolCall[PokeArguments]] = []
        self.started = asyncio.Event()
        self._wide = wide_permission
        self._result = result or ToolResult("Poked", {"done": True})
        self._error = error
        self._gate = gate
        self._watch = watch

    def permission(self, arguments: PokeArguments) -> str:
        """A wider reach needs more."""
        return self._wide if self._wide and arguments.scope == "wide" else self.spec.permission

    def title(self, arguments: PokeArguments) -> str:
        """For people."""
        return f"Poke {arguments.whom}"

    async def run(self, call: ToolCall[PokeArguments]) -> ToolResult:
        """Count, then do as told."""
        self._watch(call)
        self.runs.append(call)
        self.started.set()
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        return self._result


class FixedTools:
    """Implements `tools.catalog.ToolSource` over a list."""

    def __init__(self, *tools: AnyTool) -> None:
        self._tools = tools

    def tools(self) -> Sequence[AnyTool]:
        """The list."""
        return self._tools
