"""Polls: one open in a channel, one vote per person, closed by hand or by time; kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.identity import Role
from antiphon.domain.polls import NewPoll, PollState
from tests.contract.store_work import delivered, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def opened(stores: Stores, **changes: object) -> NewPoll:
    """A poll to be created in a channel that exists."""
    person = (await stores.users.ensure_owner()).person
    await started(stores)
    new = NewPoll("discord:c1", person, "o1", "Lunch?", ("pizza", "pasta"))
    return replace(new, **changes)  # type: ignore[arg-type]


async def test_a_poll_is_kept_with_one_vote_for_each(stores: Stores) -> None:
    new = await opened(stores)
    bob = (await stores.users.create("bob", Role.MEMBER)).person
    poll = await stores.polls.create(new)
    assert await stores.polls.create(new) == poll
    await stores.polls.vote(poll.id, new.person, 0)
    await stores.polls.vote(poll.id, bob, 0)
    assert (await stores.polls.vote(poll.id, bob, 1)).votes == (1, 1)
    latest = await stores.polls.latest(new.channel)
    assert latest is not None
    assert (latest.votes, latest.options, latest.state) == ((1, 1), ("pizza", "pasta"), PollState.OPEN)


async def test_a_channel_has_one_open_poll(stores: Stores) -> None:
    new = await opened(stores)
    poll = await stores.polls.create(new)
    with pytest.raises(Conflict):
        await stores.polls.create(replace(new, origin="o2"))
    closed = await stores.polls.close(poll.id)
    assert closed.state is PollState.CLOSED
    assert await stores.polls.close(poll.id) == closed
    with pytest.raises(Conflict):
        await stores.polls.vote(poll.id, new.person, 0)
    second = await stores.polls.create(replace(new, origin="o2"))
    assert await stores.polls.latest(new.channel) == second


async def test_what_cannot_be_is_refused(stores: Stores) -> None:
    new = await opened(stores)
    with pytest.raises(InvalidInput):
        await stores.polls.create(replace(new, options=("one",)))
    with pytest.raises(NotFound):
        await stores.polls.create(replace(new, channel="web:nowhere"))
    poll = await stores.polls.create(new)
    with pytest.raises(InvalidInput):
        await stores.polls.vote(poll.id, new.person, 2)
    with pytest.raises(NotFound):
        await stores.polls.vote(999_999, new.person, 0)
    assert await stores.polls.latest("web:nowhere") is None


async def test_a_poll_closes_when_its_time_is_up_and_says_the_result(stores: Stores, store_clock: FakeClock) -> None:
    new = await opened(stores, language="de")
    poll = await stores.polls.create(replace(new, closes_at=store_clock.now() + timedelta(minutes=5)))
    await stores.polls.vote(poll.id, new.person, 1)
    due = await stores.schedule.next_due()
    assert due is not None
    assert due <= store_clock.now() + timedelta(minutes=5)
    assert await stores.schedule.fire_due(10) == 0
    store_clock.move(seconds=301)
    with pytest.raises(Conflict):
        await stores.polls.vote(poll.id, new.person, 0)
    assert await stores.schedule.fire_due(10) >= 1
    latest = await stores.polls.latest(new.channel)
    assert latest is not None
    assert latest.state is PollState.CLOSED
    said = (await stores.threads.recent(new.channel, before=None, limit=5))[-1]
    assert "Die Umfrage ist beendet: Lunch?" in said.text
    assert "1 Stimme (100%)" in said.text
    assert await delivered(stores) == [said.text]
