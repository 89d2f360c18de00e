"""The budget of requests to Discord: what waits under a route's name is not forgotten when the bucket gets its own."""

from __future__ import annotations

import asyncio

from antiphon.platforms.discord.budget import PER_SLOT, SLOT, RateBudget
from tests.fakes.virtual_time import run_virtually

ROUTE, CHANNEL = "PATCH /channels/{channel}/messages/{message}", "1"


def test_requests_that_wait_for_the_first_answer_go_once_it_names_the_bucket() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        left = 5

        async def request() -> float:
            nonlocal left
            assert await budget.take(ROUTE, CHANNEL, 2.0) == 0.0
            await asyncio.sleep(0.05)
            left -= 1
            headers = {
                "X-RateLimit-Bucket": "abc",
                "X-RateLimit-Limit": "5",
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset-After": "5",
            }
            budget.answered(ROUTE, CHANNEL, 200, headers, 0.0)
            return loop.time()

        return await asyncio.gather(*(request() for _ in range(5)))

    assert max(run_virtually(main())) < 1.0


def test_who_gives_up_while_waiting_leaves_no_place_taken() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        for number in range(PER_SLOT):
            assert await budget.take(f"GET /{number}", "", 1.0) == 0.0
        # The route is free, but the slot of all requests is full: it waits there, and is cancelled.
        asking = asyncio.create_task(budget.take(ROUTE, CHANNEL, 1.0))
        await asyncio.sleep(SLOT / 4)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        return await budget.take(ROUTE, CHANNEL, 1.0)

    assert run_virtually(main()) == 0.0


def test_a_turn_given_to_somebody_who_gave_up_goes_to_the_next() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
        first = asyncio.create_task(budget.take(ROUTE, CHANNEL, 10.0))
        second = asyncio.create_task(budget.take(ROUTE, CHANNEL, 10.0))
        await asyncio.sleep(1.0)
        first.cancel()
        await asyncio.wait({first})
        budget.lost(ROUTE, CHANNEL)
        assert await second == 0.0
        return loop.time()

    assert run_virtually(main()) < 2.0


def told(limit: int, remaining: int, after: float = 5.0) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset-After": str(after),
    }


def test_what_never_left_gives_its_place_back_and_what_was_lost_does_not() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
        budget.answered(ROUTE, CHANNEL, 200, told(3, 2), 0.0)
        for _ in range(10):  # no connection could be made
            assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
            budget.unasked(ROUTE, CHANNEL)
        for _ in range(2):  # these may have been counted
            assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
            budget.lost(ROUTE, CHANNEL)
        assert 4.0 < await budget.take(ROUTE, CHANNEL, 1.0) < 5.5

    run_virtually(main())


def test_a_window_of_which_no_answer_told_is_asked_for_again_by_one() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
        budget.answered(ROUTE, CHANNEL, 200, told(2, 1), 0.0)
        await asyncio.sleep(6.0)
        for _ in range(2):
            assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0
        for _ in range(2):
            budget.lost(ROUTE, CHANNEL)
        assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0, "it does not stand still for a minute"
        assert await budget.take(ROUTE, CHANNEL, 1.0) > 0.0, "but one asks first"
        budget.answered(ROUTE, CHANNEL, 200, told(2, 1), 0.0)
        assert await budget.take(ROUTE, CHANNEL, 1.0) == 0.0

    run_virtually(main())


def test_429_after_429_waits_as_long_as_it_says() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = RateBudget(now=loop.time, wall=loop.time)
        for _ in range(5):
            began = loop.time()
            assert await budget.take(ROUTE, CHANNEL, 5.0) == 0.0
            assert loop.time() - began < 0.5
            budget.answered(ROUTE, CHANNEL, 429, {}, 0.2)

    run_virtually(main())
