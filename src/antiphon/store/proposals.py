"""Implements `domain.memories.ProposalStore`: what the agent would like to remember. Called by its tool and the API."""

from __future__ import annotations

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.memories import MemoryScope, Proposal, ProposalState
from antiphon.store import models
from antiphon.store.db import Database, Tx

_TEXT_CHARS = 2000
MOST_PENDING = 50
"""Open questions to one person: a model that asks without end is stopped here."""


class DjangoProposalStore:
    """Questions to people about facts of theirs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def propose(self, person: int, text: str, *, channel: str, origin: str) -> Proposal:
        """Store a question to the person; the same `origin` returns the existing one."""
        text = text.replace("\x00", "").strip()
        if not text or len(text) > _TEXT_CHARS:
            raise InvalidInput(f"A memory has 1 to {_TEXT_CHARS} characters.", fields={"text": "empty or too long"})
        now = self._clock.now()

        def propose(_: Tx) -> Proposal:
            open_ones = models.Proposal.objects.filter(person_id=person, state=ProposalState.PENDING)
            row = models.Proposal.objects.filter(origin=origin).first() or open_ones.filter(text=text).first()
            if row is None:
                if open_ones.count() >= MOST_PENDING:
                    raise Conflict("There are many open questions about what to remember; they are answered first.")
                row = models.Proposal.objects.create(
                    person_id=person,
                    text=text,
                    channel=channel,
                    origin=origin,
                    state=ProposalState.PENDING.value,
                    created_at=now,
                )
            return proposal_of(row)

        return await self._database.run(propose)

    async def decide(self, proposal: int, person: int, *, accept: bool) -> Proposal:
        """The person's answer; accepting remembers the fact in the same transaction."""
        now = self._clock.now()
        wanted = ProposalState.ACCEPTED if accept else ProposalState.DENIED

        def decide(_: Tx) -> Proposal:
            rows = models.Proposal.objects.filter(pk=proposal, person_id=person)
            row = rows.select_for_update().first()
            if row is None:
                raise NotFound("There is no such proposal.")
            if row.state == wanted:
                return proposal_of(row)
            if row.state != ProposalState.PENDING:
                raise Conflict(f"This was {row.state} before.")
            if accept:
                row.memory, _created = models.Memory.objects.get_or_create(
                    scope=MemoryScope.PERSON.value,
                    subject=person,
                    origin=f"proposal:{row.pk}",
                    defaults={"text": row.text, "author_id": person, "channel": row.channel, "created_at": now},
                )
            row.state, row.decided_at = wanted.value, now
            row.save(update_fields=["state", "decided_at", "memory"])
            return proposal_of(row)

        return await self._database.run(decide)


def proposal_of(row: models.Proposal) -> Proposal:
    """The domain's view of a stored proposal."""
    return Proposal(
        id=row.pk,
        person=row.person_id,
        text=row.text,
        channel=row.channel,
        state=ProposalState(row.state),
        created_at=row.created_at,
        decided_at=row.decided_at,
        memory=row.memory_id,
    )
