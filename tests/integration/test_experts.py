"""Turns over real clients and sockets, against servers that fail in every way they can."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config.experts import ExpertSettings, RoutingSettings
from antiphon.config.settings import LimitSettings, Settings
from antiphon.domain.turns import Final, TextDelta, TurnEvent
from tests.fakes.agent import Workbench
from tests.fakes.tools import Poke
from tests.fakes.upstreams import Upstreams, answer_to


@pytest.fixture
async def up() -> AsyncIterator[Upstreams]:
    async with Upstreams() as server:
        yield server


def expert(up: Upstreams, behaviour: str, *, name: str = "", speaks: str = "openai", **more: object) -> ExpertSettings:
    """An expert that behaves so."""
    return ExpertSettings.model_validate(
        {
            "name": name or behaviour.replace("_", "-"),
            "model": f"{speaks}:fake-model",
            "base_url": up.url(behaviour, speaks=speaks),
            "first_token_seconds": 5,
            **more,
        }
    )


def bench(*experts: ExpertSettings, poke: Poke | None = None, **routing: object) -> Workbench:
    settings = Settings(
        experts=experts,
        routing=RoutingSettings.model_validate({"health_seconds": 0, **routing}),
        limits=LimitSettings(turn_requests=8),
    )
    return Workbench((poke or Poke(),), None, settings)


def final(events: list[TurnEvent]) -> Final:
    assert isinstance(events[-1], Final)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == events[-1].text
    return events[-1]


def results(end: Final) -> list[str]:
    attempts = end.trace["attempts"]
    assert isinstance(attempts, list)
    return [f"{one['expert']} {one['result']}" for one in attempts]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("refuse", "server"),
        ("busy", "rate"),
        ("key", "key"),
        ("unknown", "model"),
        ("rejects", "rejected"),
        ("garbage", "garbage"),
        ("empty", "empty"),
        ("cut", "broken"),
        ("cut_word", "broken"),
        ("ends_early", "broken"),
        ("error_event", "server"),
        ("bad_json", "broken"),
    ],
)
@pytest.mark.parametrize("speaks", ["openai", "anthropic", "google"])
async def test_another_expert_steps_in_and_the_answer_is_whole(
    up: Upstreams, behaviour: str, kind: str, speaks: str
) -> None:
    there = bench(expert(up, behaviour, speaks=speaks, name="first"), expert(up, "fine"))
    end = final(await there.events(there.request("rivers")))
    assert end.text == answer_to("rivers")
    assert results(end)[-1] == "fine ok"
    assert results(end)[0].startswith("first ")
    assert end.trace["expert"] == "fine"
