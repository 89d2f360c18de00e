"""The parts of several models as one, each alone: breaker, seam, likeness, chain, health, trying a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon.brain.experts.breaker import Breaker, BreakerState
from antiphon.brain.experts.failures import Failure, Kind
from antiphon.brain.experts.health import ExpertHealth
from antiphon.brain.experts.ngrams import ExampleIndex, margin
from antiphon.brain.experts.probe import list_models, probe_model
from antiphon.brain.experts.registry import FIRST_TOKEN_SPOKEN, Experts
from antiphon.brain.experts.router import Router
from antiphon.brain.experts.seam import Seam
from antiphon.brain.models import ModelChoice
from antiphon.config.experts import ExpertSettings
from antiphon.config.providers import Provider
from antiphon.config.settings import Settings
from antiphon.domain.health import PartState
from tests.fakes.upstreams import KEY, Upstreams

TEXT = "The cat sat on the mat, and the dog did not mind it."


class Time:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_lets_one_try_and_waits_longer_each_time() -> None:
    time = Time()
    breaker = Breaker(3, 15, time)
    for _ in range(3):
        assert breaker.enter()
        breaker.bad()
    assert breaker.state is BreakerState.OPEN
    assert not breaker.enter()
    time.now = 15
    assert [breaker.enter() for _ in range(3)] == [True, False, False]
    breaker.leave()  # stopped by a person: the next one may try
    assert [breaker.enter(), breaker.enter()] == [True, False]
    breaker.bad()
    time.now = 15 + 29
    assert not breaker.enter()
    time.now = 15 + 30
    assert breaker.enter()
    breaker.good()
    assert breaker.state is BreakerState.CLOSED
    assert all(breaker.enter() for _ in range(5))


def test_a_breaker_opens_at_once_for_what_lasts_and_for_as_long_as_a_server_asks() -> None:
    time = Time()
    breaker = Breaker(3, 15, time)
    assert breaker.enter()
    breaker.bad(lasting=True)
    assert breaker.seconds_left == 60
    breaker.reachable_again()
    assert breaker.enter()
    breaker.bad(retry_after=7)
    assert breaker.seconds_left == 7
    time.now = 7
    assert breaker.enter()
    breaker.bad(retry_after=10_000)
    assert breaker.seconds_left == 300


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
@pytest.mark.parametrize("habit", ["exact", "space", "all", "last word", "last words"])
def test_a_text_broken_anywhere_is_joined_whatever_the_next_model_repeats(step: int, habit: str) -> None:
    for cut in range(1, len(TEXT)):
        seam = Seam()
        seam.begin()
        said = "".join(seam.add(letter) for letter in TEXT[:cut])
        shown = seam.shown
        assert said == shown
        assert TEXT.startswith(shown)
        words, rest = shown.split(), TEXT[len(shown) :]
        if not words and habit != "exact":
            continue
        again = {
            "exact": rest,
            "space": f" {rest}",
            "all": TEXT,
            "last word": f"{words[-1] if words else ''} {rest}",
            "last words": f"{' '.join(words[-3:])} {rest}",
        }[habit]
        seam.begin()
        said += "".join(seam.add(again[at : at + step]) for at in range(0, len(again), step)) + seam.end()
        assert said == seam.shown == TEXT, (cut, habit)


def joined(first: str, then: str) -> str:
    seam = Seam()
    said = ""
    for text in (first, then):
        seam.begin()
        said += seam.add(text)
    return said + seam.end()


def test_what_comes_twice_on_purpose_and_scripts_without_spaces_are_kept() -> None:
    assert joined("0, 1, ", "1, 2, 3") == "0, 1, 1, 2, 3"
    assert joined("你好世", "界。") == "你好世界。"
    assert joined("- one\n- two\n", "- three") == "- one\n- two\n- three"


def test_half_characters_and_zero_bytes_never_get_through() -> None:
    seam = Seam()
    seam.begin()
    said = seam.add("a \ud83d") + seam.add("\ude00 b\x00c \ud83d d ") + seam.end()
    assert said == "a \U0001f600 bc  d "
    said.encode()


EXAMPLES = {
    "code": ["fix this python error", "write a function that sorts a list", "explain this stack trace"],
    "moderation": ["kick that spammer", "ban the user for hate speech", "mute bob for ten minutes"],
    "poems": ["write a poem about spring", "a haiku about rain", "compose a song"],
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my python function has an error", "code"),
        ("please ban this spammer", "moderation"),
        ("compose a poem about the rain", "poems"),
    ],
)
def test_likeness_finds_the_expert(text: str, name: str) -> None:
    best, ahead = margin(ExampleIndex(EXAMPLES).scores(text))
    assert best == name
    assert ahead > 0.08


@pytest.mark.parametrize("text", ["", "   ", "🙂", "zzzz", "what is for lunch today", "x" * 100_000])
def test_likeness_says_nothing_about_the_unlike(text: str) -> None:
    scores = ExampleIndex(EXAMPLES).scores(text)
    assert max(scores.values(), default=0.0) < 0.2
    assert ExampleIndex({}).scores(text) == {}


def settings(*names: str, **routing: object) -> Settings:
    experts = [
        {"name": name, "model": "ollama:x", "examples": EXAMPLES.get(name, []), "channels": [f"web:{name}*"]}
        for name in names
    ]
    return Settings.model_validate({"experts": experts, "routing": routing})


async def test_the_router_decides_in_order_and_says_why() -> None:
    config = settings("code", "poems", default="poems", offline_first=True)
    router = Router(Experts.of(config), config.routing, lambda text: text == "what time is it")
    for text, channel, name, by in (
        ("what time is it", "web:1", "offline", "understood"),
        ("@CODE hello", "web:1", "code", "mention"),
        ("code: hello", "web:2", "code", "mention"),
        ("@nobody hello", "web:3", "poems", "default"),
        ("hello", "web:code1", "code", "channel"),
        ("there is an error in my python function", "web:4", "code", "examples"),
        ("and now?", "web:4", "code", "conversation"),
        ("", "web:5", "poems", "default"),
    ):
        route = await router.route(text, channel)
        assert (route.expert, route.by) == (name, by), text
    trace = (await router.route("fix this python error", "web:9")).as_trace()
    json.dumps(trace)
    assert trace["chain"] == ["code", "poems"]


async def test_a_single_expert_is_not_chosen_and_none_means_offline() -> None:
    one, none = settings("code"), Settings()
    assert (await Router(Experts.of(one), one.routing, bool).route("hi", "web:1")).by == "only one"
    assert (await Router(Experts.of(none), none.routing, bool).route("hi", "web:1")).expert == "offline"


def test_the_chain_follows_fallbacks_each_once() -> None:
    def expert(name: str, *fallback: str) -> ExpertSettings:
        return ExpertSettings(name=name, model="ollama:x", fallback=fallback)

    experts = Experts.of(Settings(experts=(expert("a", "b", "c"), expert("b", "c"), expert("c"), expert("d"))))
    assert [one.name for one in experts.chain(experts.all["a"])] == ["a", "b", "c"]
    assert [one.name for one in experts.chain(experts.all["d"])] == ["d", "a", "b", "c"]
    assert experts.all["a"].first_token_seconds(spoken=True, last=False) == FIRST_TOKEN_SPOKEN
    assert experts.all["a"].first_token_seconds(spoken=True, last=True) == 30


async def test_health_says_what_is_wrong_and_what_to_do() -> None:
    experts = Experts.of(settings("code", "poems"))
    health = ExpertHealth(experts, every=60, own_port=8000)
    experts.all["code"].failed(Failure(Kind.KEY, 401))
    wrong, well = await health.parts()
    assert (wrong.name, wrong.state) == ("model code", PartState.DEGRADED)
    assert "it refuses the key (HTTP 401); left alone for 60 s; meanwhile poems, then the offline model" in wrong.detail
    assert "check the key" in wrong.remedy
    assert (well.state, well.detail) == (PartState.OK, "ollama:x (not asked yet), then code, then the offline model")


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_a_check_finds_a_server_that_is_gone_and_one_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Upstreams() as up:
        base = {"name": "a", "model": "openai:x", "base_url": up.url("fine")}
        experts = Experts.of(Settings.model_validate({"experts": [base]}))
    [expert] = experts.all.values()
    stop = asyncio.Event()
    watching = asyncio.create_task(ExpertHealth(experts, every=0.01, own_port=8000).watch(stop))
    await until(lambda: expert.failure is not None)
    assert expert.failure is not None
    assert expert.failure.kind is Kind.UNREACHABLE
    expert.failed(Failure(Kind.KEY, 401))
    assert not expert.breaker.enter()

    async def well(choice: ModelChoice, seconds: float) -> tuple[str, ...]:
        return ("x",)

    monkeypatch.setattr("antiphon.brain.experts.probe.list_models", well)
    await until(expert.breaker.enter)
    stop.set()
    await watching


async def test_a_local_server_is_offered_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Upstreams() as up:
        port = int(up.url("fine").split(":")[2].split("/")[0])

        here = {"llamacpp": Provider("llamacpp", port=port), "vllm": Provider("vllm", port=8000)}
        monkeypatch.setattr("antiphon.brain.experts.health.PROVIDERS", here)
        [part] = await ExpertHealth(Experts.of(Settings()), every=60, own_port=8000).parts()
        assert part.state is PartState.OFF
        assert f"not used: llamacpp at http://127.0.0.1:{port}/v1 with fake-b, fake-a" in part.detail
        assert f"ANTIPHON_MODEL=llamacpp:fake-b and ANTIPHON_MODEL_URL=http://127.0.0.1:{port}/v1" in part.remedy
        assert up.asked == []


@pytest.mark.parametrize("speaks", ["openai", "anthropic", "google"])
async def test_a_model_is_tried_with_the_real_client(speaks: str) -> None:
    async with Upstreams() as up:
        good = await probe_model(f"{speaks}:fake-a", base_url=up.url("keyed", speaks=speaks), api_key=KEY)
        assert (good.ok, good.kind, good.models) == (True, "", ("fake-a", "fake-b"))
        assert good.seconds > 0
        assert up.asked[-1].max_tokens is not None
        listed = await probe_model(f"{speaks}:", base_url=up.url("keyed", speaks=speaks), api_key=KEY)
        assert (listed.ok, listed.models) == (True, ("fake-a", "fake-b"))
        wrong = await probe_model(f"{speaks}:fake-a", base_url=up.url("keyed", speaks=speaks), api_key="sk-wrong")
        assert (wrong.ok, wrong.kind) == (False, "key")
        assert "sk-wrong" not in repr(wrong)
        missing = await probe_model(f"{speaks}:other", base_url=up.url("unknown", speaks=speaks))
        assert (missing.ok, missing.kind) == (False, "model")
        assert "other is not among the 2 models it lists" in missing.remedy
        for behaviour, kind in (("garbage", "garbage"), ("empty", "empty"), ("cut", "broken"), ("refuse", "server")):
            assert (await probe_model(f"{speaks}:fake-a", base_url=up.url(behaviour, speaks=speaks))).kind == kind
        late = await probe_model(f"{speaks}:fake-a", base_url=up.url("hang", speaks=speaks), seconds=0.3)
        assert (late.ok, late.kind) == (False, "first_token")


@pytest.mark.parametrize(
    ("model", "url", "remedy"),
    [
        ("", "", "name a model"),
        ("offline", "", "name a model"),
        ("mammoth:x", "", "use one of openai"),
        ("openai:x", "", "enter the key"),
        ("openai:x", "ftp://x", "http://"),
        ("openai:x", "no address", "http://"),
        ("nim:x", "", "set"),
        ("gguf:none", "", ""),
    ],
)
async def test_what_cannot_be_tried_is_refused_cleanly(model: str, url: str, remedy: str) -> None:
    tried = await probe_model(model, base_url=url)
    assert (tried.ok, tried.kind) == (False, "config")
    assert remedy in tried.remedy
    assert tried.detail.endswith(".")


async def test_files_of_models_are_listed(tmp_path: Path) -> None:
    (tmp_path / "b.gguf").touch()
    (tmp_path / "a.gguf").touch()
    choice = ModelChoice("a", label="gguf:a", provider="gguf", speaks="gguf", folder=tmp_path)
    assert await list_models(choice, 1) == ("a.gguf", "b.gguf")
    assert await list_models(ModelChoice("a", speaks="gguf", folder=tmp_path / "no"), 1) == ()
