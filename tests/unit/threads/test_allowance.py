"""Daily limits: told once when near, no model when reached, and what the offline model can do is still done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from antiphon.config.settings import LimitSettings
from antiphon.domain.identity import Requester
from antiphon.domain.turns import Final, TextDelta, ToolFinished, ToolStarted, TurnEvent, TurnRequest
from antiphon.domain.usage import Consumed, Today, UsageQuery, UsageRow
from antiphon.domain.work import Usage
from antiphon.threads.allowance import MeteredBrain
from tests.fakes.clock import FakeClock


@dataclass
class Says:
    """A brain that says one thing; `tool` is called first when it is set."""

    text: str
    usage: Usage = field(default_factory=Usage)
    tool: str = ""
    asked: int = 0

    async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """The events of one turn."""
        self.asked += 1
        if self.tool:
            yield ToolStarted(1, self.tool)
            yield ToolFinished(1, self.tool, "ok")
        yield TextDelta(self.text)
        yield Final(self.text, self.usage)


@dataclass
class FixedUsage:
    """Implements `domain.usage.UsageStore` with what the test says."""

    state: Today = field(default_factory=lambda: Today(Consumed(), Consumed(), Consumed()))

    async def today(self, since: datetime, person: int, server: int | None) -> Today:
        """What was set."""
        return self.state

    async def table(self, query: UsageQuery, limit: int) -> Sequence[UsageRow]:
        """Nothing."""
        return []


def _request(**more: Any) -> TurnRequest:
    requester = Requester(1, "web", "web:a", server=more.pop("server", None))
    return TurnRequest(1, "1.1", 1, "web:a", 1, 1, "hello", requester, **more)


async def _turn(brain: MeteredBrain, request: TurnRequest | None = None) -> tuple[Final, str]:
    """The final event, and the text as it was streamed."""
    events = [event async for event in brain.turn(request or _request())]
    final = events[-1]
    assert isinstance(final, Final)
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert streamed == final.text
    return final, streamed


def _metered(usage: FixedUsage, brain: Says, offline: Says, **limits: Any) -> MeteredBrain:
    return MeteredBrain(brain, offline, usage, FakeClock(), LimitSettings(**limits))


async def test_near_a_limit_the_person_is_told_once() -> None:
    usage = FixedUsage(Today(Consumed(tokens=70), Consumed(), Consumed()))
    brain = Says("hi", Usage(input_tokens=6, output_tokens=5, model="small"))
    metered = _metered(usage, brain, Says("off"), person_day_tokens=100)
    final, text = await _turn(metered)
    assert "81 of 100 tokens that you may use today" in text
    assert final.trace["warned"] is True
    usage.state = replace(usage.state, person=Consumed(tokens=81), warned=True)
    final, text = await _turn(metered)
    assert (text, final.trace) == ("hi", {})


@pytest.mark.parametrize(
    ("limits", "today", "server", "words"),
    [
        ({"person_day_tokens": 100}, Today(Consumed(tokens=100), Consumed(), Consumed()), None, "100 of 100 tokens"),
        ({"person_day_cost": 2}, Today(Consumed(cost=2.5), Consumed(), Consumed()), None, "2.50 of 2 cost"),
        ({"server_day_seconds": 60}, Today(Consumed(), Consumed(seconds=61), Consumed()), 7, "of this server"),
        ({"day_tokens": 10}, Today(Consumed(), Consumed(), Consumed(tokens=10)), None, "of everybody together"),
    ],
)
async def test_a_reached_limit_asks_no_model_and_says_so(
    limits: dict[str, Any], today: Today, server: int | None, words: str
) -> None:
    brain, offline = Says("hi"), Says("I can't do that offline.")
    final, text = await _turn(_metered(FixedUsage(today), brain, offline, **limits), _request(server=server))
    assert words in text
    assert "until midnight UTC, in 9 h 0 min" in text
    assert "offline." not in text
    assert (brain.asked, final.usage.model, final.trace["model"]) == (0, "offline", "offline")


async def test_at_a_limit_what_needs_no_model_is_still_done() -> None:
    usage = FixedUsage(Today(Consumed(tokens=100), Consumed(), Consumed()))
    brain, offline = Says("hi"), Says("It's 16:00.", tool="clock.now")
    _, text = await _turn(_metered(usage, brain, offline, person_day_tokens=100))
    assert text.startswith("It's 16:00.")
    assert "used up" in text
    assert brain.asked == 0


async def test_a_servers_limit_does_not_count_outside_of_servers() -> None:
    usage = FixedUsage(Today(Consumed(), Consumed(tokens=999), Consumed()))
    brain = Says("hi")
    assert (await _turn(_metered(usage, brain, Says("off"), server_day_tokens=10)))[1] == "hi"


async def test_without_limits_nothing_is_read() -> None:
    class Untouchable(FixedUsage):
        async def today(self, since: datetime, person: int, server: int | None) -> Today:
            raise AssertionError("read for nothing")

    assert (await _turn(_metered(Untouchable(), Says("hi"), Says("off"))))[1] == "hi"
