"""What turns consume is counted however they end: done, stopped, out of time, paused, tried again, given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.config.experts import ExpertSettings, RoutingSettings
from antiphon.config.prices import PriceSettings
from antiphon.config.settings import LimitSettings, Settings
from antiphon.domain.turns import Final, TextDelta, TurnRequest
from tests.fakes.agent import Workbench
from tests.fakes.tools import Poke
from tests.fakes.upstreams import Upstreams, answer_to

PRICES = (
    PriceSettings(model="openai:cheap", input=1.0, output=1.0),
    PriceSettings(model="openai:dear", input=1000.0, output=1000.0),
)


@pytest.fixture
async def up() -> AsyncIterator[Upstreams]:
    async with Upstreams() as server:
        yield server


def bench(up: Upstreams, *behaviours: tuple[str, str], **limits: Any) -> Workbench:
    """Experts named by their behaviours, each with its model."""
    experts = tuple(
        ExpertSettings.model_validate(
            {"name": behaviour, "model": f"openai:{model}", "base_url": up.url(behaviour), "first_token_seconds": 30}
        )
        for behaviour, model in behaviours
    )
    settings = Settings(
        experts=experts,
        routing=RoutingSettings(health_seconds=0),
        limits=LimitSettings(**limits),
        prices=PRICES,
    )
    return Workbench((Poke(),), None, settings)


def _sums(request: TurnRequest) -> tuple[int, int, float]:
    lines: list[Any] = request.meter.requests
    return tuple(sum(line[key] for line in lines) for key in ("input_tokens", "output_tokens", "cost"))  # type: ignore[return-value]


async def test_each_request_is_priced_with_the_model_that_served_it(up: Upstreams) -> None:
    work = bench(up, ("cut", "dear"), ("fine", "cheap"))
    request = work.request("@cut rivers")
    end = (await work.events(request))[-1]
    assert isinstance(end, Final)
    assert end.text == answer_to("@cut rivers")
    broken, whole = end.trace["requests"]  # type: ignore[misc]
    assert (broken["model"], broken["estimated"]) == ("dear", True)
    assert broken["input_tokens"] > 1000  # the instructions and some thirty tools were sent
    assert 1 <= broken["output_tokens"] < 100
    assert broken["cost"] == pytest.approx((broken["input_tokens"] + broken["output_tokens"]) * 1000 / 1e6)
    assert (whole["model"], whole.get("estimated", False)) == ("cheap", False)
    assert whole["cost"] == pytest.approx((whole["input_tokens"] + whole["output_tokens"]) / 1e6)
    assert end.usage == request.meter.usage
    assert (end.usage.input_tokens, end.usage.output_tokens, end.usage.cost) == pytest.approx(_sums(request))
    assert (end.usage.requests, end.usage.model) == (1, "cheap")
    await work.brain.close()


@pytest.mark.parametrize("behaviour", ["stall", "hang"])
async def test_a_stopped_turn_is_counted_by_estimate(up: Upstreams, behaviour: str) -> None:
    work = bench(up, (behaviour, "dear"))
    request = work.request("rivers")
    heard = asyncio.Event()

    async def listen() -> None:
        async for event in work.brain.turn(request):
            if isinstance(event, TextDelta):
                heard.set()

    listening = asyncio.create_task(listen())
    if behaviour == "stall":
        await asyncio.wait_for(heard.wait(), 20)
    else:  # nothing has come yet, but the question is on its way
        while not up.asked:  # noqa: ASYNC110 - the list is filled by the server
            await asyncio.sleep(0.01)
    listening.cancel()
    await asyncio.wait((listening,))
    for _ in range(200):
        if request.meter.requests:
            break
        await asyncio.sleep(0.01)
    [line] = request.meter.requests
    assert line["estimated"] is True
    assert request.meter.usage.input_tokens > 1000
    assert (request.meter.usage.output_tokens > 0) is (behaviour == "stall")
    assert request.meter.usage.cost > 1
    await work.brain.close()


async def test_a_turn_out_of_time_is_counted(up: Upstreams) -> None:
    work = bench(up, ("stall", "dear"), turn_seconds=4)
    await work.brain.warm_up()
    request = work.request("rivers")
    end = (await work.events(request))[-1]
    assert isinstance(end, Final)
    assert (end.trace["stopped"], end.usage.cost > 1, end.usage.requests) == ("time", True, 1)
    assert end.trace["requests"] == request.meter.requests
    await work.brain.close()


async def test_a_refused_request_costs_nothing(up: Upstreams) -> None:
    work = bench(up, ("refuse", "dear"))
    end = (await work.events(work.request("write a poem")))[-1]
    assert isinstance(end, Final)
    assert end.usage.cost == 0
    assert end.usage.input_tokens == 0
    await work.brain.close()


async def test_a_turn_ends_between_requests_when_it_costs_too_much(up: Upstreams) -> None:
    work = bench(up, ("loops", "dear"), turn_cost=0.25, turn_requests=50, turn_tool_calls=50)
    request = work.request("around")
    end = (await work.events(request))[-1]
    assert isinstance(end, Final)
    assert "reached 0.25, the most that one answer may cost" in end.text
    assert end.trace["stopped"] == "cost"
    assert end.usage.cost >= 0.25
    assert len(up.asked) == len(request.meter.requests) < 5
    await work.brain.close()


async def test_a_stream_ends_when_it_costs_too_much(up: Upstreams) -> None:
    work = bench(up, ("endless", "dear"), turn_cost=12.0)
    end = (await work.events(work.request("story")))[-1]
    assert isinstance(end, Final)
    assert end.trace["stopped"] == "cost"
    assert "the most that one answer may cost" in end.text
    assert end.usage.cost == pytest.approx(12.0, rel=0.1)
    assert end.trace["requests"][0]["estimated"] is True  # type: ignore[index]
    await work.brain.close()


async def test_a_free_model_and_no_limit_run_on(up: Upstreams) -> None:
    for model, limit in (("unlisted", 0.0001), ("dear", 0.0)):
        work = bench(up, ("fine", model), turn_cost=limit)
        assert await work.ask("rivers") == answer_to("rivers")
        await work.brain.close()


async def test_a_judge_that_is_too_late_is_counted(up: Upstreams) -> None:
    experts = tuple(
        ExpertSettings.model_validate({"name": name, "model": f"openai:{model}", "base_url": up.url(behaviour)})
        for name, model, behaviour in (("code", "dear", "hang"), ("poems", "cheap", "fine"))
    )
    routing = RoutingSettings(health_seconds=0, judge="code", judge_seconds=0.3, default="poems")
    work = Workbench((), None, Settings(experts=experts, routing=routing, prices=PRICES))
    end = (await work.events(work.request("rivers")))[-1]
    assert isinstance(end, Final)
    assert [line["model"] for line in end.trace["requests"]] == ["dear", "cheap"]  # type: ignore[union-attr]
    await work.brain.close()
