"""Which tools exist. Wiring gives the sources (built-in, later MCP, Discord); the brain and `execute` look up here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from antiphon.tools.tool import Tool

AnyTool = Tool[Any]
"""A tool whose argument model is not known to the caller."""


class ToolSource(Protocol):
    """A place tools come from. `tools` is cheap and may change between calls (a server that came or went)."""

    def tools(self) -> Sequence[AnyTool]:
        """The tools there are now."""
        ...


class Catalog:
    """All tools of all sources under their dotted names."""

    def __init__(self, sources: Iterable[ToolSource]) -> None:
        self._sources = tuple(sources)

    def all(self) -> Sequence[AnyTool]:
        """Every tool, in the order of the sources; of two tools with one name the first counts."""
        found: dict[str, AnyTool] = {}
        for source in self._sources:
            for tool in source.tools():
                found.setdefault(tool.spec.name, tool)
        return tuple(found.values())

    def find(self, name: str) -> AnyTool | None:
        """The tool called `name`, dotted or as a model spells it, or None."""
        for source in self._sources:
            for tool in source.tools():
                if name in (tool.spec.name, model_name(tool.spec.name)):
                    return tool
        return None


def model_name(name: str) -> str:
    """A tool's name as models see it: providers allow no dots."""
    return name.replace(".", "_")
