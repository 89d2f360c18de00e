"""Questions what to remember, in memory."""

from __future__ import annotations

from dataclasses import replace

from antiphon.domain.errors import NotFound
from antiphon.domain.memories import Proposal, ProposalState
from tests.fakes.clock import FakeClock


class FakeProposals:
    """Implements `domain.memories.ProposalStore`, without remembering what is accepted."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[str, Proposal] = {}

    async def propose(self, person: int, text: str, *, channel: str, origin: str) -> Proposal:
        """Store, once per origin."""
        number = len(self.rows) + 1
        asked = Proposal(number, person, text, channel, ProposalState.PENDING, self._clock.now())
        return self.rows.setdefault(origin, asked)

    async def decide(self, proposal: int, person: int, *, accept: bool) -> Proposal:
        """Answer it."""
        for origin, row in self.rows.items():
            if (row.id, row.person) == (proposal, person):
                state = ProposalState.ACCEPTED if accept else ProposalState.DENIED
                self.rows[origin] = replace(row, state=state, decided_at=self._clock.now())
                return self.rows[origin]
        raise NotFound("There is no such proposal.")
