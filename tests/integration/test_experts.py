"""Turns over real clients and sockets, against servers that fail in every way they can."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from antiphon.config.experts import ExpertSettings, RoutingSettings
from antiphon.config.settings import LimitSettings, Settings
from antiphon.domain.turns import Final, TextDelta, TurnEvent
from tests.fakes.agent import Workbench
from tests.fakes.tools import Poke
from tests.fakes.upstreams import Upstreams, answer_to

PROTOCOLS = ("openai", "anthropic", "google")
FAULTS = {
    "refuse": "server",
    "busy": "rate",
    "key": "key",
    "unknown": "model",
    "rejects": "rejected",
    "garbage": "garbage",
    "empty": "empty",
    "cut": "broken",
    "cut_word": "broken",
    "ends_early": "broken",
    "error_event": "server",
    "bad_json": "broken",
}


@pytest.fixture
async def up() -> AsyncIterator[Upstreams]:
    async with Upstreams() as server:
        yield server


class Bench(Workbench):
    """Experts that are called by their names: "@cut rivers" is answered by the one that breaks off."""

    def __init__(self, *experts: ExpertSettings, builtin: bool = True, **routing: object) -> None:
        self.poke = Poke()
        routed = RoutingSettings.model_validate({"health_seconds": 0, **routing})
        limits = LimitSettings(turn_requests=8, context_messages=4, turn_seconds=600)
        settings = Settings(experts=experts, routing=routed, limits=limits)
        super().__init__((self.poke,), None, settings, builtin=builtin)

    async def answer(self, text: str) -> Final:
        """The end of a turn; what was streamed is what is stored."""
        events: list[TurnEvent] = await self.events(self.request(text))
        assert isinstance(events[-1], Final)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == events[-1].text
        return events[-1]


def expert(up: Upstreams, behaviour: str, *, name: str = "", speaks: str = "openai", **more: object) -> ExpertSettings:
    """An expert that behaves so; `first_token_seconds` is generous, for machines that are busy."""
    return ExpertSettings.model_validate(
        {
            "name": name or behaviour.replace("_", "-"),
            "model": f"{speaks}:fake-model",
            "base_url": up.url(behaviour, speaks=speaks),
            "first_token_seconds": 30,
            **more,
        }
    )


def results(end: Final) -> list[str]:
    attempts = end.trace["attempts"]
    assert isinstance(attempts, list)
    return [f"{one['expert']} {one['result']}" for one in attempts]


async def test_every_fault_of_every_protocol_is_told_apart_and_another_expert_goes_on(
    up: Upstreams,
) -> None:
    faulty = [
        expert(up, fault, name=f"{speaks}-{fault}".replace("_", "-"), speaks=speaks, fallback=("fine",))
        for speaks in PROTOCOLS
        for fault in FAULTS
    ]
    bench = Bench(*faulty, expert(up, "fine"))
    wrong: list[str] = []
    for one in faulty:
        end = await bench.answer(f"@{one.name} rivers")
        kind = FAULTS[up.asked[-2].behaviour] if "key" not in one.name else "key"
        if end.text != answer_to(f"@{one.name} rivers") or results(end) != [f"{one.name} {kind}", "fine ok"]:
            wrong.append(f"{one.name}: {results(end)} {end.text}")
    assert wrong == []
    await bench.brain.close()


async def test_the_clients_of_all_protocols_talk_call_tools_and_send_their_keys(up: Upstreams) -> None:
    bench = Bench(*(expert(up, "fine", name=speaks, speaks=speaks) for speaks in PROTOCOLS))
    for speaks in PROTOCOLS:
        question = f"@{speaks} please poke Bob"
        end = await bench.answer(question)
        assert end.text == answer_to(question)
        assert end.trace["tools"] == ["poke.do"]
        assert (end.usage.requests, end.usage.tool_calls) == (2, 1)
        assert end.usage.input_tokens == 200
        asked = up.asked[-1]
        assert (asked.speaks, asked.model) == (speaks, "fake-model")
        assert "You act for exactly one person" in asked.system
        assert "poke_do" in asked.tools
        assert ("tool" in [role for role, _ in asked.turns]) is True
    assert [call.arguments.whom for call in bench.poke.runs] == ["Bob"] * 3
    await bench.brain.close()


KINDS = ("fine", "slow", "refuse", "cut", "cut_word", "cut_call", "half_call", "error_event")
HABITS = ("fine", "repeats_all", "repeats_words")


@pytest.mark.timeout(240)
async def test_five_hundred_conversations_over_failing_servers_lose_nothing() -> None:
    async with Upstreams(words=8) as up:  # most of the time goes into pieces of answers
        await _five_hundred(up)


async def _five_hundred(up: Upstreams) -> None:
    experts = [
        expert(up, kind, name=f"{kind}-{habit}".replace("_", "-"), fallback=(f"then-{habit}".replace("_", "-"),))
        for kind in KINDS
        for habit in HABITS
    ]
    then = [expert(up, habit, name=f"then-{habit}".replace("_", "-"), fallback=("fine-fine",)) for habit in HABITS]
    # Breakers that never open, so that every conversation meets the fault it was made for. One tool: the client
    # libraries walk through the schema of each in every request, which would be most of the time.
    bench = Bench(*experts, *then, breaker_failures=100, builtin=False)
    await bench.brain.warm_up()
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    places = asyncio.Semaphore(16)

    async def converse(number: int) -> None:
        one = experts[number % len(experts)]
        question = f"@{one.name} number {number}" + (", and poke Bob" if number % 2 else "")
        async with places:
            end = await bench.answer(question)
        kinds.update(results(end)[-1].split()[1:])
        if end.text != answer_to(question):
            wrong.append(f"{results(end)} {end.text}")

    await asyncio.gather(*(converse(number) for number in range(500)))
    assert wrong == []
    assert kinds == {"ok": 500}
    assert len(bench.poke.runs) == 250  # each call ran once, whoever asked for it
    await bench.brain.close()


async def test_a_call_that_has_run_is_not_run_again_by_the_expert_that_steps_in(up: Upstreams) -> None:
    bench = Bench(expert(up, "calls_then_refuses"), expert(up, "fine"), expert(up, "fine", name="g", speaks="google"))
    for name in ("calls-then-refuses", "g"):
        question = f"@{name} please poke Bob"
        assert (await bench.answer(question)).text == answer_to(question)
    assert len(bench.poke.runs) == 2
    await bench.brain.close()


async def test_when_all_are_down_the_offline_model_helps_and_says_why(up: Upstreams) -> None:
    bench = Bench(expert(up, "refuse"), expert(up, "key"), breaker_failures=2)
    assert "**00:00** in Tokyo" in (await bench.answer("what time is it in Tokyo")).text
    end = await bench.answer("write a poem")
    assert "right now it refuses the key" in end.text or "its server fails" in end.text
    assert "left_alone" in " ".join(results(end))
    before = len(up.asked)
    await bench.answer("write another poem")
    assert len(up.asked) == before  # both are left alone
    parts = {part.name: part for part in await bench.brain.health.parts()}
    assert parts["model key"].state.value == "degraded"
    assert "it refuses the key (HTTP 401)" in parts["model key"].detail
    assert "check the key" in parts["model key"].remedy
    await bench.brain.close()


async def test_a_rate_limit_is_waited_for_when_it_is_short_and_nobody_else_is_there(up: Upstreams) -> None:
    bench = Bench(expert(up, "busy_for_a_moment"))
    end = await bench.answer("rivers")
    assert end.text == answer_to("rivers")
    assert results(end) == ["busy-for-a-moment rate", "busy-for-a-moment ok"]
    await bench.brain.close()


async def test_what_models_do_wrong_is_bounded(up: Upstreams) -> None:
    names = ("endless", "loops", "unknown_tool", "wrong_arguments")
    bench = Bench(*(expert(up, name, fallback=("fine",)) for name in names), expert(up, "fine"))
    end = await bench.answer("@endless story")
    assert end.text.endswith("Say “go on” for more.)*")
    assert 60_000 < len(end.text) < 70_000
    assert "more steps than one answer may take" in (await bench.answer("@loops around")).text
    ran = len(bench.poke.runs)
    for name in ("unknown-tool", "wrong-arguments"):
        question = f"@{name} please poke Bob"
        end = await bench.answer(question)
        assert end.text == answer_to(question)
        assert results(end) == [f"{name} ok", f"{name} ok", "fine ok"]
    assert len(bench.poke.runs) == ran
    await bench.brain.close()


async def test_calls_under_one_id_all_run_and_endless_brackets_are_a_broken_answer(up: Upstreams) -> None:
    bench = Bench(expert(up, "same_ids"), expert(up, "deep_call", fallback=("fine",)), expert(up, "fine"))
    question = "@same-ids please poke both"
    assert (await bench.answer(question)).text == answer_to(question)
    assert sorted(call.arguments.whom for call in bench.poke.runs) == ["Bob", "Eve"]
    question = "@deep-call please poke Bob"
    end = await bench.answer(question)
    assert end.text == answer_to(question)
    assert results(end) == ["deep-call broken", "fine ok", "fine ok"]
    await bench.brain.close()


async def test_a_stall_and_a_late_beginning_are_given_up(up: Upstreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.brain.experts.failover.STALL_SECONDS", 0.3)
    bench = Bench(
        expert(up, "stall"), expert(up, "very_slow", first_token_seconds=0.3), expert(up, "fine"), default="fine"
    )
    for name, kind in (("stall", "stalled"), ("very-slow", "first_token")):
        end = await bench.answer(f"@{name} rivers")
        assert end.text == answer_to(f"@{name} rivers")
        assert results(end) == [f"{name} {kind}", "fine ok"]
    await bench.brain.close()


async def test_a_stopped_turn_closes_its_request_and_counts_against_nobody(up: Upstreams) -> None:
    bench = Bench(expert(up, "stall"))
    turn = bench.brain.turn(bench.request("rivers"))
    async for event in turn:
        if isinstance(event, TextDelta):
            break
    await turn.aclose()  # type: ignore[attr-defined]
    [part] = await bench.brain.health.parts()
    assert part.state.value == "ok"
    await bench.brain.close()


async def test_a_turn_stopped_from_before_does_not_let_a_second_one_try(up: Upstreams) -> None:
    bench = Bench(expert(up, "stall"), breaker_seconds=0.01)
    [one] = bench.brain._experts.all.values()

    async def begun() -> AsyncGenerator[TurnEvent, None]:
        turn = bench.brain.turn(bench.request("rivers"))
        async for event in turn:
            if isinstance(event, TextDelta):
                break
        return turn

    before = await begun()
    one.breaker.bad(lasting=False, retry_after=0.0)
    trying = await begun()
    assert not one.breaker.enter()
    await before.aclose()
    assert not one.breaker.enter(), "somebody is still trying"
    await trying.aclose()
    assert one.breaker.enter()
    await bench.brain.close()


async def test_examples_embeddings_and_a_judge_choose(up: Upstreams) -> None:
    code = expert(up, "fine", name="code", description="Writes programs", examples=("fix this python error",))
    poems = expert(up, "fine", name="poems", description="Poetry", examples=("write a poem about spring",))
    bench = Bench(code, poems, embedding_model="openai:e", embedding_url=up.url("fine"), default="poems", judge="code")
    for question, name, by in (
        ("@poems python", "poems", "mention"),
        ("fix the python error in my function", "code", "examples"),
        ("does rust compile", "code", "embeddings"),
    ):
        route = (await bench.answer(question)).trace["route"]
        assert isinstance(route, dict)
        assert (route["expert"], route["by"]) == (name, by), question
    await bench.brain.close()
