"""Implements `domain.logins.SessionStore`: who is signed in where. Called by the API's authentication and session list.

Django's own table proves a session; ours says whose it is, where from, and when it was last used. A session without a
row of ours (made before this table) gets one when it is next used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth import SESSION_KEY as USER_IN_SESSION
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from antiphon.domain.clock import Clock
from antiphon.domain.errors import NotFound
from antiphon.domain.logins import SignedIn
from antiphon.store import models
from antiphon.store.db import Database, Tx

_ADDRESS_CHARS = 64
_AGENT_CHARS = 300


class DjangoSessionStore:
    """What people see of their sessions, and how they end them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of(self, user: int) -> Sequence[SignedIn]:
        """The live sessions of a user, the last used first."""

        def read(_: Tx) -> Sequence[SignedIn]:
            return [_signed_in(row) for row in _live(models.SignedIn.objects.filter(user_id=user)).order_by("-seen_at")]

        return await self._database.read(read)

    async def note(self, session_key: str, *, address: str, agent: str) -> None:
        """That a session was used just now. One that ended is left alone."""
        now = self._clock.now()

        def note(_: Tx) -> None:
            user = SessionStore(session_key).get(USER_IN_SESSION)
            if user is None:
                return
            seen = {"seen_at": now, "address": address[:_ADDRESS_CHARS], "agent": agent[:_AGENT_CHARS]}
            models.SignedIn.objects.update_or_create(
                session_key=session_key,
                defaults=seen,
                create_defaults={**seen, "user_id": int(user), "started_at": now},
            )

        await self._database.run(note)

    async def end(self, user: int, session: int | None, *, but: str = "") -> Sequence[str]:
        """End one session of that user, or all with None, except the one with the key `but`; returns the keys of what
        ended. `NotFound` when `session` is none of theirs."""

        def end(_: Tx) -> Sequence[str]:
            rows = models.SignedIn.objects.filter(user_id=user).exclude(session_key=but)
            if session is not None:
                rows = rows.filter(pk=session)
            ended = end_sessions(rows)
            if session is not None and not ended:
                raise NotFound("There is no such session.")
            return ended

        return await self._database.run(end)

    async def known_address(self, user: str, address: str) -> bool:
        """Whether the user called `user` has signed in from there and not been signed out since."""

        def read(_: Tx) -> bool:
            return bool(address) and _live(models.SignedIn.objects.filter(user__name=user, address=address)).exists()

        return await self._database.read(read)


def end_sessions(rows: QuerySet[models.SignedIn]) -> list[str]:
    """Delete sessions with their rows; returns their keys."""
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    models.SignedIn.objects.filter(session_key__in=keys).delete()
    return keys


def renew(session_key: str, user: models.User) -> None:
    """Keep a session good after its user chose a new password."""
    session = SessionStore(session_key)
    if session.get(USER_IN_SESSION) == str(user.pk):
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()


def begin(session_key: str, user: int, *, now: datetime, address: str, agent: str) -> None:
    """Note a session that was just made, and throw the rows of those away that are no more."""
    models.SignedIn.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    models.SignedIn.objects.create(
        user_id=user,
        session_key=session_key,
        started_at=now,
        seen_at=now,
        address=address[:_ADDRESS_CHARS],
        agent=agent[:_AGENT_CHARS],
    )


def forget(session_key: str) -> None:
    """Throw the row of a session away that was ended."""
    models.SignedIn.objects.filter(session_key=session_key).delete()


def _live(rows: QuerySet[models.SignedIn]) -> QuerySet[models.SignedIn]:
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return rows.filter(session_key__in=alive)


def _signed_in(row: models.SignedIn) -> SignedIn:
    return SignedIn(
        id=row.pk,
        user=row.user_id,
        started_at=row.started_at,
        seen_at=row.seen_at,
        address=row.address,
        agent=row.agent,
        key=row.session_key,
    )
