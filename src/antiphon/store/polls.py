"""Implements `domain.polls.PollStore`. Called by the poll tools; `schedule` closes what is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.polls import MOST_OPTIONS, NewPoll, Poll, PollState
from antiphon.store import models
from antiphon.store.db import Database, Tx

NEXT_CLOSING = "SELECT min(closes_at) FROM antiphon_poll WHERE state = 'open'"
_DUE = "SELECT id FROM antiphon_poll WHERE state = 'open' AND closes_at <= %s ORDER BY closes_at, id LIMIT %s {lock}"
_DUE_SQLITE = _DUE.format(lock="")
_DUE_POSTGRES = _DUE.format(lock="FOR UPDATE SKIP LOCKED")


class DjangoPollStore:
    """Polls and their votes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, poll: NewPoll) -> Poll:
        """Open a poll; the same `origin` returns the existing one."""
        if not 2 <= len(poll.options) <= MOST_OPTIONS:
            raise InvalidInput(f"A poll has 2 to {MOST_OPTIONS} options.", fields={"options": "too few or too many"})
        now = self._clock.now()

        def create(tx: Tx) -> Poll:
            known = _polls().filter(origin=poll.origin).first()
            if known is not None:
                return _poll(known)
            channel = models.Channel.objects.filter(key=poll.channel).first()
            if channel is None:
                raise NotFound("There is no such channel.")
            tx.lock_channel(channel.key)
            if models.Poll.objects.filter(channel=channel, state=PollState.OPEN).exists():
                raise Conflict("There is an open poll in this channel already.")
            row = models.Poll.objects.create(
                channel=channel,
                person_id=poll.person,
                origin=poll.origin,
                question=poll.question.replace("\x00", "")[:300],
                options=[option.replace("\x00", "") for option in poll.options],
                language=poll.language,
                state=PollState.OPEN.value,
                created_at=now,
                closes_at=poll.closes_at,
            )
            if poll.closes_at is not None:
                tx.notify("schedule")
            return _poll(row)

        return await self._database.run(create)

    async def latest(self, channel: str) -> Poll | None:
        """The open poll of a channel, else the one that was closed last."""

        def latest(_: Tx) -> Poll | None:
            row = _polls().filter(channel__key=channel).order_by("-id").first()
            return None if row is None else _poll(row)

        return await self._database.read(latest)

    async def vote(self, poll: int, person: int, option: int) -> Poll:
        """Give or change a person's vote. `Conflict` when it is closed meanwhile."""
        now = self._clock.now()

        def vote(tx: Tx) -> Poll:
            row = _locked(tx, poll)
            if row.state != PollState.OPEN or (row.closes_at is not None and row.closes_at <= now):
                raise Conflict("This poll is closed.")
            if not 0 <= option < len(row.options):
                raise InvalidInput("There is no such option.", fields={"option": "unknown"})
            models.PollVote.objects.update_or_create(poll=row, person_id=person, defaults={"option": option, "at": now})
            return _poll(row)

        return await self._database.run(vote)

    async def close(self, poll: int) -> Poll:
        """Close a poll. Idempotent."""
        now = self._clock.now()

        def close(tx: Tx) -> Poll:
            row = _locked(tx, poll)
            if row.state == PollState.OPEN:
                closed(row, now)
            return _poll(row)

        return await self._database.run(close)


def due(tx: Tx, now: datetime, limit: int) -> Sequence[models.Poll]:
    """The open polls whose time is up, locked."""
    ids = [row[0] for row in tx.rows(_DUE_POSTGRES if tx.postgres else _DUE_SQLITE, now.timestamp(), limit)]
    return list(_polls().filter(pk__in=ids).order_by("closes_at", "id"))


def closed(row: models.Poll, now: datetime) -> Poll:
    """Mark a poll closed and return it with its result."""
    row.state, row.closed_at = PollState.CLOSED.value, now
    row.save(update_fields=["state", "closed_at"])
    return _poll(row)


def _polls():
    return models.Poll.objects.select_related("channel")


def _locked(tx: Tx, poll: int) -> models.Poll:
    if tx.postgres:
        tx.rows("SELECT id FROM antiphon_poll WHERE id = %s FOR UPDATE", poll)
    row = _polls().filter(pk=poll).first()
    if row is None:
        raise NotFound("There is no such poll.")
    return row


def _poll(row: models.Poll) -> Poll:
    counted = Counter(models.PollVote.objects.filter(poll_id=row.pk).values_list("option", flat=True))
    return Poll(
        id=row.pk,
        channel=row.channel.key,
        person=row.person_id,
        question=row.question,
        options=tuple(row.options),
        votes=tuple(counted[place] for place in range(len(row.options))),
        state=PollState(row.state),
        language=row.language,
        created_at=row.created_at,
        closes_at=row.closes_at,
        closed_at=row.closed_at,
    )
