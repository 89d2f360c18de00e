"""Ways in: users of the console with their sessions, and API keys. `store` keeps them; `api` and `run` ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from antiphon.domain.identity import Principal, Role

SCOPES: frozenset[str] = frozenset({"chat", "admin", "metrics"})
"""Every scope a key may carry. A signed-in user holds `chat`; owners and operators hold all of them."""

KEY_PREFIX = "ant_"


@dataclass(frozen=True, slots=True)
class Key:
    """An API credential as listed: the secret itself is shown once at creation and stored only as a hash."""

    id: int
    name: str
    person: int
    scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    hint: str = ""
    """The first characters of the secret, so that its holder can recognise it."""


@dataclass(frozen=True, slots=True)
class User:
    """A login of the console, tied to a person."""

    id: int
    name: str
    role: Role
    person: int
    signed_in: bool = False
    """Whether this user ever signed in; until then the start-up text offers a link."""
    active: bool = True
    password: bool = False
    """Whether they chose one; without, they sign in by link."""
    totp: bool = False
    """Whether the password alone is not enough: a code of an authenticator app is asked for too."""
    created_at: datetime | None = None
    last_signed_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One session of a user, as they see it. `address` and `agent` are what the browser's connection said: labels."""

    id: int
    user: int
    started_at: datetime
    seen_at: datetime
    address: str = ""
    agent: str = ""
    key: str = field(default="", repr=False)
    """The session key: a credential, never shown."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What ends when somebody is locked out: session keys, and ids of the API keys that are refused from now on."""

    user: User
    sessions: tuple[str, ...] = field(default=(), repr=False)
    keys: tuple[int, ...] = ()


class KeyStore(Protocol):
    """API credentials. Only a hash of the secret is kept."""

    async def create(self, name: str, scopes: Sequence[str], person: int) -> tuple[Key, str]:
        """Create a key. The second value is the secret (`ant_...`), shown once. `InvalidInput` on bad scopes."""
        ...

    async def verify(self, secret: str) -> Principal | None:
        """The holder of a live key, or None. Compares in constant time."""
        ...

    async def list(self, person: int | None) -> Sequence[Key]:
        """The keys of one person, or all with None; newest first."""
        ...

    async def revoke(self, key: int, person: int | None) -> Key:
        """Revoke at once. With `person` only that person's keys exist (`NotFound`). Idempotent."""
        ...


class UserStore(Protocol):
    """Logins of the console."""

    async def ensure_owner(self) -> User:
        """The owner account; created with its person at the first start."""
        ...

    async def create(self, name: str, role: Role) -> User:
        """A new user with a person of their own. `Conflict` when the name is taken."""
        ...

    async def find(self, name: str) -> User:
        """A user by name, or `NotFound`."""
        ...

    async def sign_in_token(self, user: int, valid: timedelta) -> str:
        """A single-use sign-in token; only its hash is kept."""
        ...

    async def redeem(self, token: str) -> User:
        """Use a sign-in token up. `Unauthenticated` when it is unknown, used or too old."""
        ...

    async def principal(self, user: int) -> Principal | None:
        """What a signed-in, active user may do; None when the user is gone or disabled."""
        ...

    async def get(self, user: int) -> User:
        """A user by id, or `NotFound`."""
        ...

    async def all(self) -> Sequence[User]:
        """Every user, disabled ones too, in the order they were made."""
        ...

    async def set_role(self, user: int, role: Role) -> User:
        """Change a role. `Conflict` when nobody would be left who owns the installation."""
        ...

    async def disable(self, user: int) -> Ended:
        """Lock a user out: sessions and sign-in links end, keys are refused. `Conflict` for the last owner."""
        ...

    async def enable(self, user: int) -> User:
        """Let a disabled user in again, by a new link or their password; their keys work again."""
        ...

    async def reset(self, user: int) -> Ended:
        """Forget password, authenticator and recovery codes, and end every session: a new link is needed."""
        ...


class CredentialStore(Protocol):
    """Passwords, codes of authenticator apps and recovery codes. Only hashes are kept of what can be hashed."""

    async def sign_in(self, name: str, password: str, code: str) -> User:
        """The user who proves to be `name`. `Unauthenticated`, the same for an unknown name as for a wrong password;
        `SecondFactorNeeded` when only the code is missing. A code works once."""
        ...

    async def check_password(self, user: int, password: str) -> bool:
        """Whether this is the user's password. False when they have none."""
        ...

    async def set_password(self, user: int, password: str, *, keep: str = "") -> Sequence[str]:
        """Choose a password. `InvalidInput` names what is weak about it. Every session of the user ends but the one
        with the key `keep`; returns the keys of those."""
        ...

    async def begin_totp(self, user: int) -> str:
        """A new secret for an authenticator app (base32). It counts only once a code of it was shown."""
        ...

    async def confirm_totp(self, user: int, code: str) -> Sequence[str]:
        """Turn the second factor on and return the recovery codes, shown once. `InvalidInput` on a wrong code."""
        ...

    async def end_totp(self, user: int) -> None:
        """Turn the second factor off; the recovery codes go with it."""
        ...

    async def recovery_codes_left(self, user: int) -> int:
        """How many recovery codes were not used yet."""
        ...


class SessionStore(Protocol):
    """The sessions of signed-in users, as they see them."""

    async def of(self, user: int) -> Sequence[SignedIn]:
        """The live sessions of a user, the last used first."""
        ...

    async def note(self, session_key: str, *, address: str, agent: str) -> None:
        """That a session was used just now. One that ended is left alone."""
        ...

    async def end(self, user: int, session: int | None, *, but: str = "") -> Sequence[str]:
        """End one session of that user, or all with None, except the one with the key `but`; returns the keys of what
        ended. `NotFound` when `session` is none of theirs."""
        ...

    async def known_address(self, user: str, address: str) -> bool:
        """Whether the user called `user` has signed in from there and not been signed out since."""
        ...
