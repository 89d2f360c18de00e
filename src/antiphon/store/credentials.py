"""Implements `domain.logins.CredentialStore`: passwords, codes of authenticator apps, recovery codes. Used by the API.

Passwords are hashed with Argon2 in a thread of their own, outside of any transaction and at most two at a time: each
takes tens of milliseconds and 100 MB, and neither the database nor the memory may wait for who guesses passwords.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import pyotp
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, NotFound, SecondFactorNeeded, Unauthenticated
from antiphon.domain.logins import User
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.store.keys import digest_of
from antiphon.store.sessions import end_sessions, renew
from antiphon.store.users import user_of

WRONG = "The name or the password is not right."
WRONG_CODE = "The code is not right, or it was used before. Codes change every 30 seconds; check the phone's clock."
MOST_CHARS = 1024
"""Longest password that is hashed at all."""
RECOVERY_CODES = 10
_STEP_SECONDS = 30
_DRIFT_STEPS = 1
_HASHES_AT_ONCE = 2
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what looks alike
_RECOVERY_CHARS = 16


class DjangoCredentialStore:
    """Proofs of being somebody. Answers to wrong ones are alike and take the same time, whether the name exists."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def sign_in(self, name: str, password: str, code: str) -> User:
        """The user who proves to be `name`; see the port."""
        stored = await self._database.read(
            lambda _: models.User.objects.filter(name=name, is_active=True).only("id", "password").first()
        )
        if not await self._matches(password, stored.password if stored else "") or stored is None:
            raise Unauthenticated(WRONG)
        return await self._database.run(self._second_factor, stored.pk, stored.password, code)

    def _second_factor(self, _: Tx, user: int, proven: str, code: str) -> User:
        row = models.User.objects.select_for_update().filter(pk=user, is_active=True, password=proven).first()
        if row is None:  # disabled or changed while the password was being looked at
            raise Unauthenticated(WRONG)
        if row.totp_secret:
            if not code.strip():
                raise SecondFactorNeeded("Now the code of your authenticator app.", fields={"code": "missing"})
            if not (self._use_code(row, code) or self._use_recovery_code(row, code)):
                raise Unauthenticated(WRONG_CODE, fields={"code": "not right"})
        return user_of(row)

    async def check_password(self, user: int, password: str) -> bool:
        """Whether this is the user's password. False when they have none."""
        row = await self._database.read(lambda _: _find(user))
        return await self._matches(password, row.password)

    async def set_password(self, user: int, password: str, *, keep: str = "") -> Sequence[str]:
        """Choose a password; see the port."""
        row = await self._database.read(lambda _: _find(user))
        if len(password) > MOST_CHARS or "\x00" in password:
            raise InvalidInput("That password cannot be used.", fields={"password": f"over {MOST_CHARS} characters"})
        try:
            validate_password(password, row)
        except ValidationError as error:
            words = " ".join(error.messages)
            raise InvalidInput(f"That password is too easy. {words}", fields={"password": words}) from None
        async with self._hashing:
            encoded = await asyncio.to_thread(make_password, password)

        def change(_: Tx) -> Sequence[str]:
            row = _find(user)
            row.password = encoded
            row.save(update_fields=["password"])
            if keep:
                renew(keep, row)
            return end_sessions(models.SignedIn.objects.filter(user=row).exclude(session_key=keep))

        return await self._database.run(change)

    async def begin_totp(self, user: int) -> str:
        """A new secret for an authenticator app (base32); see the port."""
        secret = pyotp.random_base32()

        def begin(_: Tx) -> str:
            row = _find(user)
            if not row.has_usable_password():
                raise Conflict("Choose a password first: the code comes after it.")
            row.totp_pending = secret
            row.save(update_fields=["totp_pending"])
            return secret

        return await self._database.run(begin)

    async def confirm_totp(self, user: int, code: str) -> Sequence[str]:
        """Turn the second factor on and return the recovery codes, shown once; see the port."""
        fresh = [
            "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_CHARS)) for _ in range(RECOVERY_CODES)
        ]

        def confirm(_: Tx) -> Sequence[str]:
            row = models.User.objects.select_for_update().filter(pk=user).first()
            if row is None or not row.totp_pending:
                raise Conflict("Begin again: there is no authenticator waiting for its first code.")
            step = self._step_of(row.totp_pending, code)
            if step is None:
                raise InvalidInput(WRONG_CODE, fields={"code": "not right"})
            row.totp_secret, row.totp_pending, row.totp_step = row.totp_pending, "", step
            row.save(update_fields=["totp_secret", "totp_pending", "totp_step"])
            row.recovery_codes.all().delete()
            models.RecoveryCode.objects.bulk_create(
                models.RecoveryCode(user=row, digest=digest_of(f"{row.pk}:{one}")) for one in fresh
            )
            return ["-".join(one[at : at + 4] for at in range(0, _RECOVERY_CHARS, 4)) for one in fresh]

        return await self._database.run(confirm)

    async def end_totp(self, user: int) -> None:
        """Turn the second factor off; the recovery codes go with it."""

        def end(_: Tx) -> None:
            row = _find(user)
            row.totp_secret = row.totp_pending = ""
            row.save(update_fields=["totp_secret", "totp_pending"])
            row.recovery_codes.all().delete()

        await self._database.run(end)

    async def recovery_codes_left(self, user: int) -> int:
        """How many recovery codes were not used yet."""
        return await self._database.read(
            lambda _: models.RecoveryCode.objects.filter(user_id=user, used_at=None).count()
        )

    async def _matches(self, password: str, encoded: str) -> bool:
        """Whether a password fits a stored hash. A missing hash takes as long as a wrong password."""
        async with self._hashing:
            if len(password) > MOST_CHARS:
                return False
            if not encoded or encoded.startswith("!"):
                await asyncio.to_thread(make_password, password)
                return False
            return await asyncio.to_thread(check_password, password, encoded)

    def _step_of(self, secret: str, code: str) -> int | None:
        """The time step a code belongs to, or None. One step earlier or later is taken: clocks differ."""
        totp, now = pyotp.TOTP(secret, interval=_STEP_SECONDS), int(self._clock.now().timestamp())
        given = code.replace(" ", "")
        if not (given.isascii() and given.isdigit()):
            return None
        for step in range(now // _STEP_SECONDS - _DRIFT_STEPS, now // _STEP_SECONDS + _DRIFT_STEPS + 1):
            if secrets.compare_digest(totp.at(step * _STEP_SECONDS), given):
                return step
        return None

    def _use_code(self, row: models.User, code: str) -> bool:
        step = self._step_of(row.totp_secret, code)
        if step is None or step <= row.totp_step:
            return False
        row.totp_step = step
        row.save(update_fields=["totp_step"])
        return True

    def _use_recovery_code(self, row: models.User, code: str) -> bool:
        given = "".join(char for char in code.lower() if char.isalnum())
        rows = models.RecoveryCode.objects.filter(user=row, used_at=None, digest=digest_of(f"{row.pk}:{given}"))
        return bool(rows.update(used_at=self._clock.now()))


def _find(user: int) -> models.User:
    row = models.User.objects.filter(pk=user).first()
    if row is None:
        raise NotFound("There is no such user.")
    return row
