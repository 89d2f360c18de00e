"""Implements `domain.voice.VoiceStore`: spoken sessions with their transcripts. Called by `voice.service`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models.functions import Substr

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Author
from antiphon.domain.errors import NotFound
from antiphon.domain.tools import ExecutionStatus
from antiphon.domain.voice import (
    LONGEST_LABEL,
    PARTS,
    Begun,
    EndReason,
    NewVoiceSession,
    Segment,
    SpokenTool,
    TurnTimes,
    VoiceRecord,
    VoiceSession,
    spoken_message,
)
from antiphon.domain.work import TaskState
from antiphon.store import models
from antiphon.store.db import Database, Tx


class DjangoVoiceStore:
    """Rooms, sessions, segments and the times of turns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim_room(self, room: str, person: int) -> None:
        """Make a room a person's own, if it is nobody's."""
        if await self._database.read(lambda _: _is_own(room, person)):
            return
        await self._database.run(self._claim, room, person)

    async def begin(self, session: NewVoiceSession) -> Begun:
        """Store the beginning of a session."""

        def begin(tx: Tx) -> Begun:
            room = self._claim(tx, session.room, session.person)
            if session.owner:
                _renew(session.owner, self._clock.now(), session.lease_seconds)
            # With the room locked, of two at once the second one sees the first.
            models.VoiceRoom.objects.select_for_update().get(pk=room.pk)
            going_on = models.VoiceSession.objects.filter(room=room, ended_at=None).order_by("pk")
            earlier = tuple(going_on.values_list("key", flat=True))
            row = models.VoiceSession.objects.create(
                key=session.key,
                room=room,
                person_id=session.person,
                identity=_plain(session.identity)[:LONGEST_LABEL],
                channel=session.channel,
                transport=session.transport,
                language=session.language[:35],
                voice=_plain(session.voice)[:100],
                system_prompt=_plain(session.system_prompt),
                started_at=self._clock.now(),
                owner=session.owner,
            )
            return Begun(session_of(row), earlier)

        return await self._database.run(begin)

    def _claim(self, _: Tx, room: str, person: int) -> models.VoiceRoom:
        row, _created = models.VoiceRoom.objects.get_or_create(
            name=room, defaults={"person_id": person, "created_at": self._clock.now()}
        )
        if row.person_id != person:
            raise NotFound("There is no such room.")
        return row

    async def get(self, key: str, person: int) -> VoiceSession:
        """A person's session."""
        return await self._database.read(lambda _: session_of(_own(key, person)))

    async def record(self, key: str, person: int) -> VoiceRecord:
        """The same with everything that was said."""

        def record(_: Tx) -> VoiceRecord:
            row = _own(key, person)
            segments = tuple(_segment(one) for one in row.segments.order_by("number"))
            turns = tuple(_times(one) for one in row.turns.order_by("number"))
            return VoiceRecord(session_of(row), segments, turns, _tools(row))

        return await self._database.read(record)

    async def segments(self, key: str, after: int) -> Sequence[Segment]:
        """The segments of a session from a number on."""

        def segments(_: Tx) -> list[Segment]:
            rows = models.VoiceSegment.objects.filter(session__key=key, number__gt=after)
            return [_segment(row) for row in rows.order_by("number")]

        return await self._database.read(segments)

    async def add_segment(self, key: str, segment: Segment) -> None:
        """Store a segment that is final."""

        def add(_: Tx) -> None:
            session = models.VoiceSession.objects.filter(key=key).first()
            if session is None:
                return
            models.VoiceSegment.objects.update_or_create(
                session=session,
                number=segment.number,
                defaults={
                    "author": segment.author.value,
                    "speaker": _plain(segment.speaker)[:LONGEST_LABEL],
                    "text": _plain(segment.text),
                    "unheard": _plain(segment.unheard),
                    "interrupted": segment.interrupted,
                    "heard_seconds": segment.heard_seconds,
                    "at": segment.at,
                },
            )

        await self._database.run(add)

    async def add_turn(self, key: str, times: TurnTimes) -> None:
        """Store how long a turn took."""

        def add(_: Tx) -> None:
            session = models.VoiceSession.objects.filter(key=key).first()
            if session is not None:
                models.VoiceTurn.objects.update_or_create(
                    session=session, number=times.turn, defaults={"parts": times.parts}
                )

        await self._database.run(add)

    async def end(self, key: str, reason: EndReason, *, recording: bool) -> None:
        """Store that a session is over. The first reason stands; that there is a recording may be known later."""
        now = self._clock.now()

        def end(_: Tx) -> None:
            rows = models.VoiceSession.objects.filter(key=key)
            rows.filter(ended_at=None).update(ended_at=now, reason=reason.value)
            if recording:
                rows.update(recording=True)

        await self._database.run(end)

    async def keep(self, owner: str, seconds: float) -> Sequence[str]:
        """Renew the lease of a process; returns the keys of its sessions."""

        def keep(_: Tx) -> list[str]:
            _renew(owner, self._clock.now(), seconds)
            own = models.VoiceSession.objects.filter(ended_at=None, owner=owner)
            return list(own.values_list("key", flat=True))

        return await self._database.run_unsynced(keep)

    async def leave(self, owner: str) -> None:
        """Give the lease of a process back."""
        await self._database.run_unsynced(lambda _: models.NamedLease.objects.filter(name=_lease(owner)).delete())

    async def hand(self, key: str, giver: str, taker: str, *, recording: bool) -> bool:
        """Give a session to another process."""

        def hand(_: Tx) -> bool:
            rows = models.VoiceSession.objects.filter(key=key, ended_at=None)
            given = rows.filter(owner=giver).update(owner=taker)
            if given and recording:
                rows.update(recording=True)
            return bool(given)

        return await self._database.run(hand)

    async def end_forgotten(self, *, owners_are_gone: bool = False) -> Sequence[str]:
        """End the sessions of processes that died."""
        now = self._clock.now()

        def end(_: Tx) -> list[str]:
            open_ = models.VoiceSession.objects.filter(ended_at=None)
            if not owners_are_gone:
                leases = models.NamedLease.objects.filter(name__startswith=_LEASE)
                leases.filter(lease_until__lte=now).delete()
                living = leases.annotate(process=Substr("name", len(_LEASE) + 1))
                open_ = open_.exclude(owner__in=living.values("process"))
            keys = list(open_.values_list("key", flat=True))
            rows = models.VoiceSession.objects.filter(key__in=keys, ended_at=None)
            rows.update(ended_at=now, reason=EndReason.CRASHED.value)
            return keys

        return await self._database.run(end)

    async def known(self, keys: Collection[str]) -> Collection[str]:
        """Those of the keys that name a session."""
        return await self._database.read(
            lambda _: set(models.VoiceSession.objects.filter(key__in=keys).values_list("key", flat=True))
        )

    async def delete(self, key: str, person: int) -> None:
        """Delete a session with its transcript."""
        await self._database.run(lambda _: _own(key, person).delete())


def session_of(row: models.VoiceSession) -> VoiceSession:
    """A row as the domain knows it."""
    return VoiceSession(
        key=row.key,
        room=row.room.name,
        person=row.person_id,
        identity=row.identity,
        channel=row.channel,
        transport=row.transport,
        language=row.language,
        voice=row.voice,
        system_prompt=row.system_prompt,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=EndReason(row.reason) if row.reason else None,
        recording=row.recording,
        owner=row.owner,
    )


_OVER = frozenset({TaskState.DONE.value, TaskState.DEAD.value, TaskState.CANCELLED.value})
_LEASE = "voice:"
"""With this before it, the name of a process is the name of its lease."""


def _lease(owner: str) -> str:
    return f"{_LEASE}{owner}"


def _renew(owner: str, now: datetime, seconds: float) -> None:
    # Held by its own name: what else the process leases is given back without it.
    held = {"owner": _lease(owner), "lease_until": now + timedelta(seconds=seconds)}
    models.NamedLease.objects.update_or_create(name=_lease(owner), defaults=held)


def _is_own(room: str, person: int) -> bool:
    return models.VoiceRoom.objects.filter(name=room, person_id=person).exists()


def _own(key: str, person: int) -> models.VoiceSession:
    row = models.VoiceSession.objects.select_related("room").filter(key=key, person_id=person).first()
    if row is None:
        raise NotFound("There is no such spoken session.")
    return row


def _segment(row: models.VoiceSegment) -> Segment:
    return Segment(
        number=row.number,
        author=Author(row.author),
        speaker=row.speaker,
        text=row.text,
        at=row.at,
        interrupted=row.interrupted,
        unheard=row.unheard,
        heard_seconds=row.heard_seconds,
    )


def _tools(session: models.VoiceSession) -> tuple[SpokenTool, ...]:
    """Those that ran in the tasks of what was said. Once its task is over nobody will tell how one of them fared."""
    rows = models.ToolExecution.objects.filter(
        task__channel__key=session.channel, task__message__native_id__startswith=spoken_message(session.key)
    )
    return tuple(
        SpokenTool(
            execution=row.pk,
            tool=row.tool,
            status=ExecutionStatus.UNKNOWN
            if row.status == ExecutionStatus.STARTED and row.task.state in _OVER
            else ExecutionStatus(row.status),
            at=row.started_at,
            seconds=row.seconds,
        )
        for row in rows.select_related("task").order_by("started_at", "pk")
    )


def _times(row: models.VoiceTurn) -> TurnTimes:
    return TurnTimes(row.number, **{name: row.parts.get(name) for name in PARTS})


def _plain(text: str) -> str:
    """Without NUL, which PostgreSQL cannot hold."""
    return text.replace("\x00", "")
