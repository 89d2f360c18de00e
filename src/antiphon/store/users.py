"""Implements `domain.logins.UserStore`: logins of the console. Called at start-up, by sign-in and `antiphon user`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from antiphon.domain.identity import Principal, Role
from antiphon.domain.logins import SCOPES, Ended, User
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.store.keys import digest_of
from antiphon.store.sessions import end_sessions

OWNER_NAME = "owner"
_NAME_CHARS = 150
_TOKEN_BYTES = 32
_MEMBER_SCOPES = frozenset({"chat"})


class DjangoUserStore:
    """Users sign in by single-use links, or with a password once they chose one (`store.credentials`)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ensure_owner(self) -> User:
        """The owner account; created with its person at the first start."""

        def ensure(_: Tx) -> User:
            row = models.User.objects.filter(role=Role.OWNER, is_active=True).order_by("id").first()
            return user_of(row or self._add(OWNER_NAME, "Owner", Role.OWNER))

        return await self._database.run(ensure)

    async def create(self, name: str, role: Role) -> User:
        """A new user with a person of their own. `Conflict` when the name is taken."""
        name = name.strip()
        if not name or len(name) > _NAME_CHARS or not name.isprintable():
            raise InvalidInput(
                f"A user's name has 1 to {_NAME_CHARS} printable characters.",
                fields={"name": "empty, too long, or odd"},
            )

        def create(_: Tx) -> User:
            if models.User.objects.filter(name=name).exists():
                raise Conflict("This name is taken.", fields={"name": "taken"})
            return user_of(self._add(name, name, role))

        return await self._database.run(create)

    def _add(self, name: str, person_name: str, role: Role) -> models.User:
        now = self._clock.now()
        person = models.Person.objects.create(name=person_name, created_at=now)
        user = models.User(name=name, role=role.value, person=person, created_at=now)
        user.set_unusable_password()
        user.save()
        return user

    async def find(self, name: str) -> User:
        """A user by name, or `NotFound`."""

        def find(_: Tx) -> User:
            row = models.User.objects.filter(name=name).first()
            if row is None:
                raise NotFound("There is no such user.")
            return user_of(row)

        return await self._database.read(find)

    async def sign_in_token(self, user: int, valid: timedelta) -> str:
        """A single-use sign-in token; only its hash is kept."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock.now()

        def add(_: Tx) -> None:
            if not models.User.objects.filter(pk=user, is_active=True).exists():
                raise NotFound("There is no such user.")
            models.SignInToken.objects.filter(expires_at__lte=now).delete()
            models.SignInToken.objects.create(
                user_id=user, digest=digest_of(token), created_at=now, expires_at=now + valid
            )

        await self._database.run(add)
        return token

    async def redeem(self, token: str) -> User:
        """Use a sign-in token up. `Unauthenticated` when it is unknown, used or too old."""
        now = self._clock.now()

        def redeem(_: Tx) -> User:
            usable = models.SignInToken.objects.filter(
                digest=digest_of(token), used_at=None, expires_at__gt=now, user__is_active=True
            )
            # The update is the gate: of two at once only one changes the row.
            row = usable.select_related("user").first()
            gate = models.SignInToken.objects.filter(pk=row.pk, used_at=None) if row else None
            if row is None or gate is None or not gate.update(used_at=now):
                raise Unauthenticated("This sign-in link is unknown, used or too old. Ask for a new one.")
            models.User.objects.filter(pk=row.user_id).update(last_login=now)
            return user_of(row.user)

        return await self._database.run(redeem)

    async def principal(self, user: int) -> Principal | None:
        """What a signed-in, active user may do; None when the user is gone or disabled."""

        def read(_: Tx) -> Principal | None:
            row = models.User.objects.filter(pk=user, is_active=True).first()
            if row is None:
                return None
            role = Role(row.role)
            scopes = _MEMBER_SCOPES if role is Role.MEMBER else SCOPES
            return Principal(person=row.person_id, scopes=scopes, user=row.pk, role=role)

        return await self._database.read(read)

    async def get(self, user: int) -> User:
        """A user by id, or `NotFound`."""
        return await self._database.read(lambda _: user_of(_find(user)))

    async def all(self) -> Sequence[User]:
        """Every user, disabled ones too, in the order they were made."""
        return await self._database.read(lambda _: [user_of(row) for row in models.User.objects.order_by("id")])

    async def set_role(self, user: int, role: Role) -> User:
        """Change a role. `Conflict` when nobody would be left who owns the installation."""

        def change(_: Tx) -> User:
            row = _find(user, locked=True)
            if role is not Role.OWNER:
                _keep_an_owner(row)
            row.role = role.value
            row.save(update_fields=["role"])
            return user_of(row)

        return await self._database.run(change)

    async def disable(self, user: int) -> Ended:
        """Lock a user out: sessions and sign-in links end, keys are refused. `Conflict` for the last owner."""

        def disable(_: Tx) -> Ended:
            row = _find(user, locked=True)
            _keep_an_owner(row)
            row.is_active = False
            row.save(update_fields=["is_active"])
            return _out(row)

        return await self._database.run(disable)

    async def enable(self, user: int) -> User:
        """Let a disabled user in again, by a new link or their password; their keys work again."""

        def enable(_: Tx) -> User:
            row = _find(user, locked=True)
            row.is_active = True
            row.save(update_fields=["is_active"])
            return user_of(row)

        return await self._database.run(enable)

    async def reset(self, user: int) -> Ended:
        """Forget password, authenticator and recovery codes, and end every session: a new link is needed."""

        def reset(_: Tx) -> Ended:
            row = _find(user, locked=True)
            row.set_unusable_password()
            row.totp_secret = row.totp_pending = ""
            row.save(update_fields=["password", "totp_secret", "totp_pending"])
            row.recovery_codes.all().delete()
            ended = _out(row)
            return Ended(ended.user, ended.sessions)  # the keys still work

        return await self._database.run(reset)


def user_of(row: models.User) -> User:
    """A row as the domain knows it."""
    return User(
        id=row.pk,
        name=row.name,
        role=Role(row.role),
        person=row.person_id,
        signed_in=row.last_login is not None,
        active=row.is_active,
        password=bool(row.password) and row.has_usable_password(),
        totp=bool(row.totp_secret),
        created_at=row.created_at,
        last_signed_in_at=row.last_login,
    )


def _find(user: int, *, locked: bool = False) -> models.User:
    rows = models.User.objects.select_for_update() if locked else models.User.objects
    row = rows.filter(pk=user).first()
    if row is None:
        raise NotFound("There is no such user.")
    return row


def _keep_an_owner(leaving: models.User) -> None:
    """Refuse what would leave the installation without an owner. The rows are locked, so that two owners who are
    demoted at once do not both go."""
    owners = models.User.objects.select_for_update().filter(role=Role.OWNER.value, is_active=True)
    if leaving.is_owner and [row.pk for row in owners] == [leaving.pk]:
        raise Conflict("This is the only owner. Make another user an owner first.")


def _out(row: models.User) -> Ended:
    models.SignInToken.objects.filter(user=row).delete()
    keys = models.Key.objects.filter(person_id=row.person_id, revoked_at=None).values_list("id", flat=True)
    return Ended(user_of(row), tuple(end_sessions(models.SignedIn.objects.filter(user=row))), tuple(keys))
