"""What the agent can do, and how it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from antiphon.domain.health import PartHealth
from antiphon.domain.tools import Risk
from antiphon.tools.catalog import Catalog
from antiphon.tools.policy import ToolPolicy
from antiphon.tools.tool import NoArguments, Tool, ToolCall, ToolResult, declare


class StatusSource(Protocol):
    """Where `system.status` reads how the parts are. Given by wiring; the same list `/api/health` shows."""

    async def parts(self) -> Sequence[PartHealth]:
        """The state of each part. Never raises."""
        ...


class SystemHelp(Tool[NoArguments]):
    """`system.help`."""

    spec = declare("system.help", "List what this agent can do for the requester.", NoArguments, Risk.READ)
    arguments = NoArguments

    def __init__(self, catalog: Callable[[], Catalog], policy: ToolPolicy) -> None:
        """`catalog` is asked late: this tool is part of what it lists."""
        self._catalog = catalog
        self._policy = policy

    async def run(self, call: ToolCall[NoArguments]) -> ToolResult:
        """The tools the requester may use."""
        specs = [tool.spec for tool in self._catalog().all()]
        permitted = await self._policy.permitted(call.requester, specs)
        tools: list[dict[str, object]] = [
            {"name": spec.name, "description": spec.description} for spec in specs if spec.name in permitted
        ]
        return ToolResult(f"{len(tools)} tools", {"tools": tools})


class SystemStatus(Tool[NoArguments]):
    """`system.status`."""

    spec = declare("system.status", "Whether the agent and each of its parts work.", NoArguments, Risk.READ)
    arguments = NoArguments

    def __init__(self, source: StatusSource) -> None:
        self._source = source

    async def run(self, call: ToolCall[NoArguments]) -> ToolResult:
        """Each part with its state and, where it is off or broken, the remedy."""
        del call
        parts = await self._source.parts()
        data: dict[str, object] = {
            "parts": [{"name": p.name, "state": p.state.value, "detail": p.detail, "remedy": p.remedy} for p in parts]
        }
        broken = [part.name for part in parts if part.state.value == "degraded"]
        return ToolResult(f"Not well: {', '.join(broken)}" if broken else "Everything works", data)
