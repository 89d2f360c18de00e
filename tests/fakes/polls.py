"""Polls in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from antiphon.domain.errors import Conflict
from antiphon.domain.polls import NewPoll, Poll, PollState
from tests.fakes.clock import FakeClock


class FakePolls:
    """Implements `domain.polls.PollStore`."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[int, Poll] = {}
        self.votes: dict[int, dict[int, int]] = {}
        self.origins: dict[str, int] = {}

    async def create(self, poll: NewPoll) -> Poll:
        """Open one, once per origin and one per channel."""
        if poll.origin in self.origins:
            return self._now(self.origins[poll.origin])
        if any(p.channel == poll.channel and p.state is PollState.OPEN for p in self.rows.values()):
            raise Conflict("There is an open poll in this channel already.")
        number = len(self.rows) + 1
        self.rows[number] = Poll(
            id=number,
            channel=poll.channel,
            person=poll.person,
            question=poll.question,
            options=poll.options,
            votes=(),
            state=PollState.OPEN,
            language=poll.language,
            created_at=self._clock.now(),
            closes_at=poll.closes_at,
        )
        self.origins[poll.origin], self.votes[number] = number, {}
        return self._now(number)

    async def latest(self, channel: str) -> Poll | None:
        """The newest of the channel."""
        return max(
            (self._now(p.id) for p in self.rows.values() if p.channel == channel), key=lambda p: p.id, default=None
        )

    async def vote(self, poll: int, person: int, option: int) -> Poll:
        """One vote per person."""
        if self.rows[poll].state is not PollState.OPEN:
            raise Conflict("This poll is closed.")
        self.votes[poll][person] = option
        return self._now(poll)

    async def close(self, poll: int) -> Poll:
        """Close it."""
        self.rows[poll] = replace(self.rows[poll], state=PollState.CLOSED, closed_at=self._clock.now())
        return self._now(poll)

    def _now(self, poll: int) -> Poll:
        row = self.rows[poll]
        counted = Counter(self.votes[poll].values())
        return replace(row, votes=tuple(counted[place] for place in range(len(row.options))))
