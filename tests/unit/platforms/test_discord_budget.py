"""The budget of requests to Discord: what waits under a route's name is not forgotten when the bucket gets its own."""

from __future__ import annotations

import asyncio

from antiphon.platforms.discord.budget import RateBudget
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
