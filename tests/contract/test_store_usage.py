"""Accounts are sums over the rows of turns, the same on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from antiphon.domain.conversation import ServerRef
from antiphon.domain.identity import Sender
from antiphon.domain.usage import Consumed, UsageKey, UsageQuery
from antiphon.domain.work import Usage
from tests.contract.store_work import AT, claimed, discord, done
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

MIDNIGHT = AT.replace(hour=0)


async def _turn(stores: Stores, native_id: str, user: str, tokens: int, model: str, *, warned: bool = False) -> int:
    server = ServerRef("discord", f"guild of {user}", f"Guild of {user}")
    message = discord(native_id, channel=f"discord:{user}", sender=Sender(user, user), server=server)
    await stores.inbox.receive(message)
    work = await claimed(stores)
    usage = Usage(1, tokens, 5, 0, tokens / 100, 1.5, model)
    await stores.tasks.finish(work.lease, done(usage=usage, trace={"warned": True} if warned else {}))
    return work.requester.person


async def test_days_begin_by_the_clock_of_the_zone_also_when_it_changes(stores: Stores, store_clock: FakeClock) -> None:
    """Berlin turns its clocks on 29 March 2026, Tokyo never: a turn belongs to the day on the wall there."""
    since = AT.replace(hour=0)
    instants = ["2026-03-28T22:59", "2026-03-28T23:01", "2026-03-29T21:59", "2026-03-29T22:01"]
    for number, instant in enumerate(instants):
        store_clock.move(seconds=(datetime.fromisoformat(instant + "Z") - store_clock.now()).total_seconds())
        await _turn(stores, f"z{number}", "ada", 10, "small")

    async def days(zone: str) -> list[tuple[str, int]]:
        query = UsageQuery(since, UsageKey.DAY, None, zone)
        return [(row.key[8:], row.turns) for row in await stores.usage.table(query, 10)]

    assert await days("UTC") == [("29", 2), ("28", 2)]
    assert await days("Europe/Berlin") == [("30", 1), ("29", 2), ("28", 1)]
    assert await days("Asia/Tokyo") == [("30", 2), ("29", 2)]
    assert await days("America/New_York") == [("29", 2), ("28", 2)]


async def test_accounts_are_right_by_every_key(stores: Stores, store_clock: FakeClock) -> None:
    store_clock.move(seconds=-86_400)
    ada = await _turn(stores, "m1", "ada", 10, "small")
    store_clock.move(seconds=86_400)
    await _turn(stores, "m2", "ada", 20, "large", warned=True)
    bob = await _turn(stores, "m3", "bob", 40, "small")

    async def table(by: UsageKey, person: int | None = None) -> list[tuple[object, ...]]:
        rows = await stores.usage.table(UsageQuery(MIDNIGHT - timedelta(days=29), by, person), 10)
        return [(row.key, row.name, row.turns, row.input_tokens, row.output_tokens, round(row.cost, 3)) for row in rows]

    assert await table(UsageKey.DAY) == [("2026-03-04",) * 2 + (2, 60, 10, 0.6), ("2026-03-03",) * 2 + (1, 10, 5, 0.1)]
    assert await table(UsageKey.PERSON) == [(str(bob), "bob", 1, 40, 5, 0.4), (str(ada), "ada", 2, 30, 10, 0.3)]
    assert [row[1:4] for row in await table(UsageKey.SERVER)] == [("Guild of bob", 1, 40), ("Guild of ada", 2, 30)]
    assert [row[:4] for row in await table(UsageKey.MODEL, ada)] == [
        ("large", "large", 1, 20),
        ("small", "small", 1, 10),
    ]

    today = await stores.usage.today(MIDNIGHT, ada, None)
    assert (today.person, today.server, today.all) == (
        Consumed(25, 0.2, 1.5),
        Consumed(),
        Consumed(70, 0.2 + 0.4, 3.0),
    )
    assert today.warned
    assert not (await stores.usage.today(MIDNIGHT, bob, None)).warned
