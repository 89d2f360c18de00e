"""Delivery under failure, on virtual time: order, back-off, doubt, and channels that do not wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.domain.errors import DeliveryError, DeliveryRetry, DeliveryUnsettled
from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.replies import Delivery, ReplyState
from antiphon.threads.outbox import Outbox, OutboxOptions
from tests.fakes.outbox import FakeOutbox
from tests.fakes.platform import FakePlatform
from tests.fakes.virtual_time import LoopClock, run_virtually


@dataclass
class Bench:
    store: FakeOutbox
    platform: FakePlatform

    def states(self) -> list[ReplyState]:
        return [row.state for row in self.store.rows.values()]


@asynccontextmanager
async def running(
    *,
    limits: PlatformLimits | None = None,
    doubtful: Literal["resend", "dead"] = "dead",
    seconds: float = 0.0,
    max_attempts: int = 8,
) -> AsyncIterator[Bench]:
    signals = LocalSignals()
    store = FakeOutbox(LoopClock(), signals)
    platform = FakePlatform(limits=limits, seconds=seconds)
    outbox = Outbox(
        store=store,
        platforms={"telegram": platform},
        signals=signals,
        clock=LoopClock(),
        owner="me",
        options=OutboxOptions(slots=4, lease_seconds=10, max_attempts=max_attempts, doubtful=doubtful),
    )
    stop = asyncio.Event()
    loop = asyncio.create_task(outbox.run(stop))
    try:
        yield Bench(store, platform)
    finally:
        stop.set()
        await loop


def times(count: int, error: Exception) -> Callable[[Delivery], Exception | None]:
    left = [count]

    def fail(_: Delivery) -> Exception | None:
        left[0] -= 1
        return error if left[0] >= 0 else None

    return fail


def test_replies_of_a_channel_arrive_in_order_and_once() -> None:
    async def main() -> None:
        async with running(seconds=0.3) as bench:
            for n in range(6):
                bench.store.add("telegram:a", f"a{n}")
            await asyncio.sleep(10)
            assert bench.platform.texts("telegram:a") == [f"a{n}" for n in range(6)]
            assert set(bench.states()) == {ReplyState.SENT}

    run_virtually(main())


def test_a_channel_that_fails_does_not_hold_up_another() -> None:
    async def main() -> None:
        async with running() as bench:
            bench.platform.fail = lambda d: DeliveryRetry("down") if d.channel == "telegram:bad" else None
            bench.store.add("telegram:bad", "never")
            bench.store.add("telegram:bad", "behind")
            bench.store.add("telegram:good", "hello")
            await asyncio.sleep(1)
            assert bench.platform.texts("telegram:good") == ["hello"]
            assert bench.platform.texts("telegram:bad") == []

    run_virtually(main())


def test_failures_back_off_and_keep_the_order() -> None:
    async def main() -> None:
        async with running() as bench:
            bench.platform.fail = times(3, DeliveryRetry("down"))
            bench.store.add("telegram:a", "first")
            bench.store.add("telegram:a", "second")
            await asyncio.sleep(0.5)
            assert len(bench.platform.calls) == 1
            await asyncio.sleep(20)
            assert bench.platform.texts("telegram:a") == ["first", "second"]

    run_virtually(main())


def test_the_platforms_retry_after_is_obeyed() -> None:
    async def main() -> None:
        async with running() as bench:
            bench.platform.fail = times(1, DeliveryRetry("flood", retry_after=33))
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(32)
            assert len(bench.platform.calls) == 1
            await asyncio.sleep(3)
            assert bench.platform.texts("telegram:a") == ["x"]

    run_virtually(main())


def test_a_refused_reply_is_dead_with_the_reason_and_the_next_one_goes() -> None:
    async def main() -> None:
        async with running() as bench:
            bench.platform.fail = lambda d: DeliveryError("The channel is gone") if d.text == "x" else None
            bench.store.add("telegram:a", "x")
            bench.store.add("telegram:a", "y")
            await asyncio.sleep(2)
            assert bench.states() == [ReplyState.DEAD, ReplyState.SENT]
            assert bench.store.rows[1].reason == "The channel is gone"

    run_virtually(main())


def test_attempts_end_in_the_dead_letters() -> None:
    async def main() -> None:
        async with running(max_attempts=3) as bench:
            bench.platform.fail = lambda _: DeliveryRetry("down")
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(60)
            assert len(bench.platform.calls) == 3
            assert bench.states() == [ReplyState.DEAD]

    run_virtually(main())


@pytest.mark.parametrize("error", [DeliveryRetry("reset", maybe_sent=True), OSError("reset")])
def test_a_lost_answer_is_looked_up_and_not_sent_twice(error: Exception) -> None:
    async def main() -> None:
        async with running(limits=PlatformLimits(reconciles=True)) as bench:
            bench.platform.lose_answer = times(1, error)
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(10)
            assert bench.platform.texts("telegram:a") == ["x"]
            assert bench.states() == [ReplyState.SENT]

    run_virtually(main())


def test_a_doubtful_reply_that_is_not_there_is_sent() -> None:
    async def main() -> None:
        async with running(limits=PlatformLimits(reconciles=True)) as bench:
            bench.platform.fail = times(1, DeliveryRetry("timeout", maybe_sent=True))
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(10)
            assert bench.platform.texts("telegram:a") == ["x"]

    run_virtually(main())


def test_who_cannot_even_look_stays_in_doubt() -> None:
    async def main() -> None:
        async with running(limits=PlatformLimits(reconciles=True)) as bench:
            bench.platform.lose_answer = times(1, DeliveryRetry("reset", maybe_sent=True))
            # The first try arrives; then the platform is busy for two looks.
            looks = iter([None, DeliveryRetry("busy", retry_after=1.0), DeliveryRetry("away")])
            bench.platform.fail = lambda _: next(looks, None)
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(30)
            assert bench.platform.texts("telegram:a") == ["x"]
            assert bench.states() == [ReplyState.SENT]

    run_virtually(main())


@pytest.mark.parametrize(("setting", "shown"), [("dead", ["x"]), ("resend", ["x", "x"])])
def test_a_channel_in_which_too_much_was_said_since_follows_the_setting(
    setting: Literal["resend", "dead"], shown: list[str]
) -> None:
    async def main() -> None:
        async with running(doubtful=setting, limits=PlatformLimits(reconciles=True)) as bench:
            bench.platform.lose_answer = times(1, DeliveryRetry("reset", maybe_sent=True))
            looks = iter([None, DeliveryUnsettled("I looked no further.")])
            bench.platform.fail = lambda _: next(looks, None)
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(10)
            assert bench.platform.texts("telegram:a") == shown

    run_virtually(main())


@pytest.mark.parametrize(("setting", "shown"), [("dead", ["x"]), ("resend", ["x", "x"])])
def test_doubt_that_cannot_be_settled_follows_the_setting(setting: Literal["resend", "dead"], shown: list[str]) -> None:
    async def main() -> None:
        async with running(doubtful=setting) as bench:
            bench.platform.lose_answer = times(1, DeliveryRetry("reset", maybe_sent=True))
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(10)
            assert bench.platform.texts("telegram:a") == shown
            assert bench.states() == [ReplyState.DEAD if setting == "dead" else ReplyState.SENT]

    run_virtually(main())


@pytest.mark.parametrize(("window", "state"), [(60, ReplyState.SENT), (1, ReplyState.DEAD)])
def test_a_nonce_settles_doubt_only_while_the_platform_remembers_it(window: int, state: ReplyState) -> None:
    async def main() -> None:
        async with running(limits=PlatformLimits(nonce_window=timedelta(seconds=window))) as bench:
            bench.platform.fail = times(1, DeliveryRetry("reset", maybe_sent=True, retry_after=5))
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(10)
            assert bench.states() == [state]

    run_virtually(main())


def test_a_platform_that_hangs_is_given_up_before_the_lease_ends() -> None:
    async def main() -> None:
        async with running(seconds=9, limits=PlatformLimits(reconciles=True)) as bench:
            bench.store.add("telegram:a", "x")
            await asyncio.sleep(8.5)
            row = bench.store.rows[1]
            assert (row.state, row.delivery.doubtful) == (ReplyState.READY, True)

    run_virtually(main())


def test_an_absent_database_loses_and_doubles_nothing() -> None:
    async def main() -> None:
        async with running(limits=PlatformLimits(reconciles=True)) as bench:
            reply = bench.store.add("telegram:a", "x")
            await asyncio.sleep(0)
            bench.store.down = 3
            bench.store.add("telegram:a", "y")
            await asyncio.sleep(40)
            assert bench.platform.texts("telegram:a") == ["x", "y"]
            assert bench.store.rows[reply].state is ReplyState.SENT

    run_virtually(main())
