"""Prices of requests, and what a request that was broken off is taken for."""

from __future__ import annotations

import pytest
from pydantic_ai import BinaryContent, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage, RunUsage

from antiphon.brain.ledger import CostReached, Ledger, prompt_tokens
from antiphon.brain.tokens import estimated_tokens
from antiphon.config.prices import PriceSettings, price_of
from antiphon.domain.turns import Meter

PRICES = (PriceSettings(model="openai:small", input=1.0, output=2.0),)


def test_cost_follows_the_price_table_and_an_unknown_model_costs_nothing() -> None:
    meter = Meter()
    ledger = Ledger(meter, PRICES)
    ledger.add("small-2026-01-01", RequestUsage(input_tokens=1_000_000, output_tokens=500_000))
    assert meter.usage.cost == pytest.approx(2.0)
    ledger.add("strange", RequestUsage(input_tokens=1_000_000))
    assert meter.usage.cost == pytest.approx(2.0)
    ledger.add("", RequestUsage(input_tokens=1_000_000), label="openai:small")
    assert meter.usage.cost == pytest.approx(3.0)
    assert (meter.usage.input_tokens, meter.usage.model) == (3_000_000, "openai:small")
    assert price_of(PRICES, "smaller") is None
    best = price_of((*PRICES, PriceSettings(model="small-pro", input=9, output=9)), "small-pro-1")
    assert best is not None
    assert best.input == 9


def test_no_request_begins_above_the_limit() -> None:
    ledger = Ledger(Meter(), PRICES, limit=1.0)
    ledger.begin()
    ledger.add("small", RequestUsage(input_tokens=999_999))
    ledger.begin()
    ledger.add("small", RequestUsage(input_tokens=1))
    with pytest.raises(CostReached):
        ledger.begin()


def test_a_stream_is_stopped_by_its_estimate_only_where_there_is_a_limit_and_a_price() -> None:
    assert Ledger(Meter(), PRICES).watch("small", "", 10) is None
    assert Ledger(Meter(), PRICES, limit=1.0).watch("strange", "", 10) is None
    watch = Ledger(Meter(), PRICES, limit=0.001).watch("small", "", 10)
    assert watch is not None
    for _ in range(100):
        watch.heard("words ")
    with pytest.raises(CostReached):  # 0.001 is about 495 tokens of output
        watch.heard("words " * 500)


def test_a_resumed_turn_counts_only_itself() -> None:
    meter = Meter()
    ledger = Ledger(meter)
    before = RunUsage(requests=2, input_tokens=50, output_tokens=9, tool_calls=1)
    ledger.run_ended(RunUsage(requests=3, input_tokens=60, output_tokens=12, tool_calls=2), before)
    assert (meter.usage.requests, meter.usage.input_tokens, meter.usage.output_tokens) == (1, 10, 3)
    assert (meter.usage.tool_calls, meter.usage.model) == (1, "offline")


def test_a_prompt_is_instructions_messages_calls_and_tools_and_an_image_is_no_text() -> None:
    text = "When does the river rise? " * 20
    bare = ModelRequestParameters()
    one = [ModelRequest(parts=[UserPromptPart(text)])]
    assert prompt_tokens(one, bare) == estimated_tokens(text)
    more = ModelRequest(parts=[UserPromptPart([text, BinaryContent(b"x" * 1_000_000, media_type="image/png")])])
    assert prompt_tokens([more], bare) < estimated_tokens(text) + 2000
    answered = ModelResponse(parts=[TextPart(text), ToolCallPart("poke", {"whom": text})])
    assert prompt_tokens([*one, answered], bare) > 2.5 * estimated_tokens(text)
    tool = ToolDefinition(name="poke", description=text, parameters_json_schema={"type": "object", "title": text})
    assert prompt_tokens(one, ModelRequestParameters(function_tools=[tool])) > 2.5 * estimated_tokens(text)
