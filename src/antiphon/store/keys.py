"""Implements `domain.logins.KeyStore`: API credentials. Called by the API's authentication and `antiphon key`."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from antiphon.domain.clock import Clock
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import Principal
from antiphon.domain.logins import KEY_PREFIX, SCOPES, Key
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.store.people import find_person

_SECRET_BYTES = 32
_MAX_SECRET_CHARS = 200
_NAME_CHARS = 100
_HINT_CHARS = len(KEY_PREFIX) + 4
_USE_NOTED_EVERY = timedelta(minutes=1)


def digest_of(secret: str) -> str:
    """What is stored of a secret. It is random and long, so a plain hash cannot be searched backwards."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


class DjangoKeyStore:
    """Keys for `/api` and `/v1`. Nothing is cached here: a revoked key is refused from the next request on."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, name: str, scopes: Sequence[str], person: int) -> tuple[Key, str]:
        """Create a key. The second value is the secret (`ant_...`), shown once. `InvalidInput` on bad scopes."""
        name = name.strip()
        if not name or len(name) > _NAME_CHARS or not name.isprintable():
            raise InvalidInput(
                f"A key's name has 1 to {_NAME_CHARS} printable characters.", fields={"name": "empty, too long, or odd"}
            )
        if not scopes or not SCOPES.issuperset(scopes):
            raise InvalidInput(
                f"A key carries at least one of the scopes {', '.join(sorted(SCOPES))}.",
                fields={"scopes": "empty or unknown"},
            )
        secret = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        now = self._clock.now()

        def create(_: Tx) -> Key:
            return _key(
                models.Key.objects.create(
                    name=name,
                    person=find_person(person),
                    digest=digest_of(secret),
                    hint=secret[:_HINT_CHARS],
                    scopes=sorted(set(scopes)),
                    created_at=now,
                )
            )

        return await self._database.run(create), secret

    async def verify(self, secret: str) -> Principal | None:
        """The holder of a live key, or None. Compares in constant time."""
        if not secret.startswith(KEY_PREFIX) or len(secret) > _MAX_SECRET_CHARS:
            return None
        digest = digest_of(secret)

        def read(_: Tx) -> models.Key | None:
            # A disabled login takes the keys of its person with it.
            return (
                models.Key.objects.filter(digest=digest, revoked_at=None).exclude(person__user__is_active=False).first()
            )

        row = await self._database.read(read)
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        await self._note_use(row)
        return Principal(person=row.person_id, scopes=frozenset(row.scopes), key=row.pk)

    async def _note_use(self, row: models.Key) -> None:
        now = self._clock.now()
        if row.last_used_at is None or now - row.last_used_at >= _USE_NOTED_EVERY:
            await self._database.run(lambda _: models.Key.objects.filter(pk=row.pk).update(last_used_at=now))

    async def list(self, person: int | None) -> Sequence[Key]:
        """The keys of one person, or all with None; newest first."""

        def read(_: Tx) -> Sequence[Key]:
            rows = models.Key.objects.order_by("-id")
            return [_key(row) for row in (rows if person is None else rows.filter(person_id=person))]

        return await self._database.read(read)

    async def revoke(self, key: int, person: int | None) -> Key:
        """Revoke at once. With `person` only that person's keys exist (`NotFound`). Idempotent."""
        now = self._clock.now()

        def revoke(_: Tx) -> Key:
            row = models.Key.objects.filter(pk=key).first()
            if row is None or (person is not None and row.person_id != person):
                raise NotFound("There is no such key.")
            if row.revoked_at is None:
                row.revoked_at = now
                row.save(update_fields=["revoked_at"])
            return _key(row)

        return await self._database.run(revoke)


def _key(row: models.Key) -> Key:
    return Key(
        id=row.pk,
        name=row.name,
        person=row.person_id,
        scopes=frozenset(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        hint=row.hint,
    )
