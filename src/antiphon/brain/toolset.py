"""The catalog as pydantic-ai sees it. Every call goes through the turn's `CallSession`, the choke point of `tools`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import ApprovalRequired, ModelRetry, RunContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from antiphon.domain.approvals import Approval
from antiphon.domain.tools import Risk
from antiphon.tools.catalog import AnyTool, model_name
from antiphon.tools.execute import ApprovalNeeded, BadCall, CallSession

_RETRIES = 2
"""How often a model may correct one wrong call before the turn gives up."""
_ANY_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))
"""Arguments are validated in `tools.execute`, for every surface alike; here they only have to be an object."""


@dataclass(slots=True)
class TurnTools:
    """What one turn may use: the tools the requester may see, the session, and the decisions it resumes with."""

    visible: Sequence[AnyTool]
    session: CallSession
    approvals: Mapping[str, Approval] = field(default_factory=dict[str, Approval])
    asked: dict[str, ApprovalNeeded] = field(default_factory=dict[str, ApprovalNeeded])
    """Call id -> what has to be approved, when the turn pauses."""


class CatalogToolset(AbstractToolset[TurnTools]):
    """Lists and calls the tools in `TurnTools`. One instance serves all turns."""

    @property
    def id(self) -> str:
        """The stable name of the toolset."""
        return "antiphon"

    async def get_tools(self, ctx: RunContext[TurnTools]) -> dict[str, ToolsetTool[TurnTools]]:
        """The tools of this turn. Those with effects run one after the other, in the model's order."""
        found: dict[str, ToolsetTool[TurnTools]] = {}
        for tool in ctx.deps.visible:
            name = model_name(tool.spec.name)
            definition = ToolDefinition(
                name=name,
                description=tool.spec.description,
                parameters_json_schema=dict(tool.spec.parameters),
                sequential=tool.spec.risk is not Risk.READ,
            )
            found[name] = ToolsetTool(
                toolset=self, tool_def=definition, max_retries=_RETRIES, args_validator=_ANY_OBJECT
            )
        return found

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[TurnTools], tool: ToolsetTool[TurnTools]
    ) -> str:
        """Make the call through the choke point and return the text for the model."""
        call_id = ctx.tool_call_id or ""
        try:
            executed = await ctx.deps.session.call(name, tool_args, approval=ctx.deps.approvals.get(call_id))
        except BadCall as error:
            raise ModelRetry(error.message) from error
        except ApprovalNeeded as needed:
            ctx.deps.asked[call_id] = needed
            raise ApprovalRequired() from needed
        return executed.result
