"""What a tool is. Written against by every tool, called by `execute` and nobody else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from antiphon.domain.approvals import ApproverRule
from antiphon.domain.identity import Requester
from antiphon.domain.tools import Risk, ToolSpec


class Arguments(BaseModel):
    """Base of every argument model: nothing a tool did not ask for gets in."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class NoArguments(Arguments):
    """For tools that take none."""


A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ToolCall(Generic[A]):
    """One call as a tool sees it.

    `origin` is the same for each replay of this call, so a tool that stores something under it stores it once.
    `now` is UTC; `zone` and `language` are the requester's.
    """

    arguments: A
    requester: Requester
    execution: int
    origin: str
    now: datetime
    zone: tzinfo
    zone_name: str = "UTC"
    language: str = "en"
    task: int = 0
    attempt: int = 1
    """With `task` the turn that made the call, for events about it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool found or did: data for a model, one line for a person.

    `source` says where text in `data` came from when somebody else wrote it (a page, a file, another person); the
    model is then told that it is data and not an instruction.
    """

    summary: str
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    source: str = ""


class Tool(ABC, Generic[A]):
    """A capability. One instance serves every turn, so it keeps no state of a call; its ports come by constructor."""

    spec: ClassVar[ToolSpec]
    arguments: type[A]

    @abstractmethod
    async def run(self, call: ToolCall[A]) -> ToolResult:
        """Do it. Raises `ToolError` with words for the person when it cannot be done."""

    def permission(self, arguments: A) -> str:
        """The permission this very call needs: stricter than the spec's where the arguments reach further."""
        del arguments
        return self.spec.permission

    def title(self, arguments: A) -> str:
        """One line that tells a person what this call does, for progress and for approvals."""
        del arguments
        return self.spec.description.partition(".")[0]

    def title_in(self, arguments: A, language: str) -> str:
        """The same in the person's language (a BCP 47 tag), where the tool knows it."""
        del language
        return self.title(arguments)


def declare(
    name: str,
    description: str,
    arguments: type[BaseModel],
    risk: Risk,
    *,
    permission: str = "everyone",
    idempotent: bool = False,
    timeout: float = 15.0,
    output_limit: int = 8_000,
    approver: ApproverRule | None = None,
) -> ToolSpec:
    """A `ToolSpec` whose parameters are the JSON schema of the argument model."""
    schema = arguments.model_json_schema()
    schema.pop("title", None)
    schema.pop("description", None)
    return ToolSpec(
        name=name,
        description=description,
        parameters=schema,
        risk=risk,
        permission=permission,
        idempotent=idempotent or risk is Risk.READ,
        timeout=timeout,
        output_limit=output_limit,
        approver=approver,
    )
