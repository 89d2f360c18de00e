"""Tickets for the audio socket: in memory and in Redis they do the same; what only Redis adds is said by its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as redis

from antiphon.domain.errors import Unavailable
from antiphon.voice.redis_tickets import KEY, RedisTickets
from antiphon.voice.tickets import LocalTickets, Ticket, Tickets, TicketUsed
from tests.fixtures_redis import RedisServer, free_port

TICKET = Ticket(7, "kitchen", (("authorization", "Bearer ant_sécret"), ("cookie", "a=b; c=d"), ("cookie", "e=f")))

Make = Callable[..., Tickets]


def local(seconds: float) -> LocalTickets:
    return LocalTickets(asyncio.get_running_loop().time, seconds=seconds)


@pytest_asyncio.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes tickets that are good for so many seconds."""
    made: list[Tickets] = []
    url = request.getfixturevalue("redis_server").url if request.param == "redis" else ""

    def tickets(seconds: float = 60.0) -> Tickets:
        made.append(RedisTickets(url, seconds=seconds, local=local(seconds)) if url else local(seconds))
        return made[-1]

    yield tickets
    for one in made:
        await one.aclose()


async def test_a_ticket_is_good_once_and_its_second_use_is_told_apart(make: Make) -> None:
    tickets = make()
    first, second = await tickets.issue(TICKET), await tickets.issue(TICKET)
    assert first != second
    assert await tickets.redeem(first) == TICKET
    with pytest.raises(TicketUsed):
        await tickets.redeem(first)
    assert await tickets.redeem(second) == TICKET
    for wrong in ("", "vt_wrong", first + "x", "\udc80", "vt_\0"):
        assert await tickets.redeem(wrong) is None


async def test_of_many_uses_at_once_one_is_good(make: Make) -> None:
    tickets = make()
    secret = await tickets.issue(TICKET)
    uses = await asyncio.gather(*(tickets.redeem(secret) for _ in range(20)), return_exceptions=True)
    assert uses.count(TICKET) == 1
    assert [type(one) for one in uses if one != TICKET] == [TicketUsed] * 19


async def test_an_old_ticket_is_worth_nothing(make: Make) -> None:
    tickets = make(0.05)
    secret, used = await tickets.issue(TICKET), await tickets.issue(TICKET)
    await tickets.redeem(used)
    await asyncio.sleep(0.1)
    assert await tickets.redeem(secret) is None
    assert await tickets.redeem(used) is None


@pytest.mark.needs("redis")
async def test_another_process_takes_it_and_only_one_of_them(redis_server: RedisServer) -> None:
    one, other = (RedisTickets(redis_server.url, seconds=60, local=local(60)) for _ in range(2))
    secret = await one.issue(TICKET)
    assert await other.redeem(secret) == TICKET
    for tickets in (one, other):
        with pytest.raises(TicketUsed):
            await tickets.redeem(secret)
        await tickets.aclose()


@pytest.mark.needs("redis")
async def test_what_lies_in_redis_tells_nobody_anything(redis_server: RedisServer) -> None:
    client: Any = redis.Redis.from_url(redis_server.url)
    before = set(await client.keys(f"{KEY}*"))
    tickets = RedisTickets(redis_server.url, seconds=60, local=local(60))
    secret = await tickets.issue(TICKET)
    (key,) = set(await client.keys(f"{KEY}*")) - before
    kept = key + await client.get(key)
    for word in (secret.encode(), b"s\xc3\xa9cret", b"kitchen", b"authorization"):
        assert word not in kept
    assert 0 < await client.ttl(key) <= 60
    await tickets.redeem(secret)
    assert await client.get(key) == b"used"
    assert 0 < await client.ttl(key) <= 60
    await client.aclose()
    await tickets.aclose()


@pytest.mark.needs("redis")
async def test_while_redis_is_away_a_ticket_is_good_where_it_was_asked_for() -> None:
    server = RedisServer(free_port())
    server.start()
    one, other = (RedisTickets(server.url, seconds=60, local=local(60)) for _ in range(2))
    try:
        before = await one.issue(TICKET)
        server.stop()
        secret = await one.issue(TICKET)
        assert await one.redeem(secret) == TICKET
        with pytest.raises(TicketUsed):
            await one.redeem(secret)
        for tickets, other_ones in ((one, before), (other, secret)):
            with pytest.raises(Unavailable):
                await tickets.redeem(other_ones)
        server.start()
        assert await one.redeem(before) is None, "it lost everything, and comes back"
        assert await other.redeem(await one.issue(TICKET)) == TICKET
    finally:
        server.stop()
        await one.aclose()
        await other.aclose()
