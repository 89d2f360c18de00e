"""`antiphon ask`: one turn against the configured system, with everything that went into it. For people who look why.

The turn is a real one, stored and counted like any other; it is leased to this command, so that a server that runs
beside it does not take it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from antiphon.domain.conversation import InboundMessage
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.turns import Final, Paused, TextDelta, ToolFinished, ToolStarted
from antiphon.domain.work import Pause

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon


@dataclass
class Asked:
    """A turn as it happened. Times are seconds from the start; `prompt` is what models were given, oldest first."""

    text: str = ""
    state: str = "done"
    seconds: float = 0.0
    first_text: float | None = None
    usage: dict[str, Any] = field(default_factory=dict[str, Any])
    trace: dict[str, object] = field(default_factory=dict[str, object])
    tools: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    approvals: list[str] = field(default_factory=list[str])
    prompt: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def as_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(self.__dict__, indent=2, ensure_ascii=False, default=str)

    def lines(self) -> Sequence[str]:
        """Everything, for people."""
        lines = ["", "prompt"]
        for part in self.prompt:
            lines += [f"  [{part['kind']}]", *(f"    {line}" for line in part["text"].splitlines())]
        lines.append("context")
        context = self.trace.get("context")
        for piece in context if isinstance(context, list) else []:
            lines.append("  " + ", ".join(f"{name} {value}" for name, value in piece.items()))
        lines.append("decisions")
        for name, value in self.trace.items():
            if name != "context":
                lines.append(f"  {name}: {json.dumps(value, ensure_ascii=False, default=str)}")
        lines.append("tools")
        for tool in self.tools:
            lines.append(f"  {tool['at']:.3f} s  {tool['tool']} {tool['status']} {tool['summary']}".rstrip())
        lines += [f"  waits for an approval: {summary}" for summary in self.approvals]
        lines.append("time and usage")
        if self.first_text is not None:
            lines.append(f"  first text after {self.first_text:.3f} s")
        lines.append(f"  all after {self.seconds:.3f} s")
        lines += [f"  {name}: {value}" for name, value in self.usage.items() if value]
        return lines


async def ask(antiphon: Antiphon, text: str, person: int) -> Asked:
    """Run one turn in a conversation of its own. Errors of the turn are raised as they are."""
    from pydantic_ai import capture_run_messages

    channel = f"web:ask-{secrets.token_hex(8)}"
    message = InboundMessage(
        platform="web",
        channel=channel,
        native_id=secrets.token_hex(8),
        sender=Sender("", ""),
        text=text,
        at=datetime.now(UTC),
        person=person,
    )
    await antiphon.brain.warm_up()  # else its rehearsal would be the run that is captured
    live = antiphon.live.start(message, Requester(person, "web", channel), session=f"ask:{os.getpid()}")
    await live.commit()
    asked, began = Asked(), time.monotonic()
    ended: Final | Paused | None = None
    with capture_run_messages() as messages:
        try:
            async for event in live.events():
                at = time.monotonic() - began
                match event:
                    case TextDelta():
                        asked.first_text = at if asked.first_text is None else asked.first_text
                    case ToolStarted():
                        asked.tools.append(
                            {"at": at, "tool": event.tool, "status": "started", "summary": event.summary}
                        )
                    case ToolFinished():
                        asked.tools.append(
                            {"at": at, "tool": event.tool, "status": event.status, "summary": event.summary}
                        )
                    case Final() | Paused():
                        ended = event
        except BaseException:
            await live.abandon()
            raise
    asked.seconds = time.monotonic() - began
    asked.prompt = _prompt(messages)
    if isinstance(ended, Paused):
        asked.state, asked.approvals = "waiting", [request.summary for request in ended.requests]
        asked.usage = _usage(ended)
        parts = (ended.text,) if ended.text else ()
        await live.pause(Pause(ended.snapshot, ended.requests, ended.text, parts, ended.usage))
    elif ended is not None:
        asked.usage, asked.trace = _usage(ended), ended.trace
        await live.finish(ended.text, usage=ended.usage)
    asked.text = ended.text if ended is not None else ""
    return asked


def _usage(ended: Final | Paused) -> dict[str, Any]:
    usage = ended.usage
    return {name: getattr(usage, name) for name in ("model", "requests", "input_tokens", "output_tokens", "cost")}


def _prompt(messages: Sequence[Any]) -> list[dict[str, str]]:
    """What was sent and what came back, part by part; files by their size."""
    parts: list[dict[str, str]] = []
    for message in messages:
        if instructions := getattr(message, "instructions", None):
            parts.append({"kind": "instructions", "text": instructions})
        for part in message.parts:
            content = getattr(part, "content", None)
            if content is None and hasattr(part, "args"):
                content = f"{part.tool_name} {part.args}"
            if not isinstance(content, str):
                content = json.dumps(content, ensure_ascii=False, default=lambda value: f"<{type(value).__name__}>")
            parts.append({"kind": part.part_kind, "text": content})
    return parts
