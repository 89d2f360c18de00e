"""What a turn consumes, request by request: each priced with the model that served it, however the request ended.

A server's figures count where it gave some. A request that was broken off has none, or has too few of them; then the
prompt and the words that came are estimated, and the trace says so. `experts.failover` writes, and the `Meter` of the
turn always holds the sum, so that a turn which is stopped in the middle is in the accounts too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from pydantic_ai import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.messages import ModelResponseStreamEvent
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RequestUsage, RunUsage

from antiphon.brain.models import OFFLINE
from antiphon.brain.tokens import estimated_tokens
from antiphon.config.prices import PriceSettings, cost_of, price_of
from antiphon.domain.turns import Meter
from antiphon.telemetry import metrics

_IMAGE_TOKENS = 1000
"""About what an image costs with the usual models."""
_CHECK_CHARS = 400
"""Characters of a stream between two looks at the cost."""


class CostReached(Exception):
    """A signal: the turn costs as much as one turn may."""


class Ledger:
    """The account of one turn. `limit` is what it may cost, 0 without a limit."""

    def __init__(self, meter: Meter, prices: Sequence[PriceSettings] = (), *, limit: float = 0.0) -> None:
        self._meter = meter
        self._prices = prices
        self._limit = limit
        self._rounds = 0

    def begin(self) -> None:
        """A request is about to be made. Raises `CostReached`."""
        if self._limit and self._meter.usage.cost >= self._limit:
            raise CostReached
        self._rounds += 1
        self._meter.usage = replace(self._meter.usage, requests=self._rounds)

    def add(self, model: str, usage: RequestUsage, *, label: str = "", estimated: bool = False) -> None:
        """One request is over. `label` is the model in the words of the settings, for the price of an unknown name."""
        self._meter.usage = replace(self._meter.usage, model=model or label)
        if not (usage.input_tokens or usage.output_tokens):
            return
        price = self._price(model, label)
        cost = cost_of(price, usage.input_tokens, usage.output_tokens) if price is not None else 0.0
        metrics.TOKENS.labels(direction="input").inc(usage.input_tokens)
        metrics.TOKENS.labels(direction="output").inc(usage.output_tokens)
        metrics.COST.inc(cost)
        before = self._meter.usage
        self._meter.usage = replace(
            before,
            input_tokens=before.input_tokens + usage.input_tokens,
            output_tokens=before.output_tokens + usage.output_tokens,
            cost=before.cost + cost,
        )
        line = {"model": model or label, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        self._meter.requests.append({**line, "cost": cost, **({"estimated": True} if estimated else {})})

    def run_ended(self, run: RunUsage, before: RunUsage) -> None:
        """The agent's own figures: its calls of tools, and everything where the offline model answered alone."""
        if not self._rounds and run.requests > before.requests:
            alone = RequestUsage(
                input_tokens=run.input_tokens - before.input_tokens,
                output_tokens=run.output_tokens - before.output_tokens,
            )
            self.add(OFFLINE, alone)
        usage = self._meter.usage
        self._meter.usage = replace(
            usage,
            requests=max(usage.requests, run.requests - before.requests),
            tool_calls=run.tool_calls - before.tool_calls,
        )

    def watch(self, model: str, label: str, prompt: int) -> StreamWatch | None:
        """Watches the cost of an answer as it comes; None when there is nothing to watch. `prompt` is in tokens."""
        price = self._price(model, label) if self._limit else None
        if price is None:
            return None
        return StreamWatch(price, self._limit - self._meter.usage.cost, prompt)

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return bool(self._limit)

    def _price(self, model: str, label: str) -> PriceSettings | None:
        found = price_of(self._prices, model) if model else None
        return found or (price_of(self._prices, label) if label else None)


class StreamWatch:
    """The estimated cost of one answer against what is left."""

    def __init__(self, price: PriceSettings, left: float, prompt: int) -> None:
        self._price = price
        self._left = left
        self._prompt = prompt
        self._tokens = 0
        self._held: list[str] = []
        self._chars = 0

    def heard(self, text: str) -> None:
        """More of the answer. Raises `CostReached`."""
        self._held.append(text)
        self._chars += len(text)
        if self._chars < _CHECK_CHARS:
            return
        self._tokens += estimated_tokens("".join(self._held))
        self._held.clear()
        self._chars = 0
        if cost_of(self._price, self._prompt, self._tokens) >= self._left:
            raise CostReached


def prompt_tokens(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
    """About how many tokens a request has: its instructions, its messages and the tools it offers."""
    texts: list[str] = []
    images = 0
    for message in messages:
        if isinstance(message, ModelRequest) and message.instructions:
            texts.append(message.instructions)
        for part in message.parts:
            content: object = getattr(part, "content", None)
            pieces = cast("Sequence[object]", content) if isinstance(content, list | tuple) else (content,)
            images += sum(isinstance(piece, BinaryContent) for piece in pieces)
            texts += [str(p) for p in pieces if p is not None and not isinstance(p, BinaryContent)]
            if (arguments := getattr(part, "args", None)) is not None:
                texts.append(str(arguments))
    for tool in parameters.function_tools:
        texts += [tool.name, tool.description or "", json.dumps(tool.parameters_json_schema)]
    return estimated_tokens("\n".join(texts)) + images * _IMAGE_TOKENS


def words_of(event: ModelResponseStreamEvent) -> str:
    """Everything that is paid for as output: words, thoughts, and arguments of calls."""
    if isinstance(event, PartStartEvent):
        part = event.part
        if isinstance(part, ToolCallPart):
            return part.tool_name + (part.args if isinstance(part.args, str) else str(part.args or ""))
        return part.content if isinstance(part, TextPart | ThinkingPart) else ""
    if not isinstance(event, PartDeltaEvent):
        return ""
    delta = event.delta
    if isinstance(delta, ToolCallPartDelta):
        return delta.args_delta if isinstance(delta.args_delta, str) else str(delta.args_delta or "")
    return delta.content_delta or "" if isinstance(delta, TextPartDelta | ThinkingPartDelta) else ""
