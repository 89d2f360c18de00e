"""Who speaks and who decides: people, accounts, users, keys, and the authority that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """The role of a console user. Order of power: owner > operator > member."""

    OWNER = "owner"
    OPERATOR = "operator"
    MEMBER = "member"

    @property
    def rank(self) -> int:
        """Power as a number: a higher rank may do everything a lower one may."""
        return {Role.MEMBER: 1, Role.OPERATOR: 2, Role.OWNER: 3}[self]


@dataclass(frozen=True, slots=True)
class Person:
    """A human. `timezone` is an IANA name; `language` a BCP 47 tag ("en")."""

    id: int
    name: str
    timezone: str = "UTC"
    language: str = "en"
    preferences: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Sender:
    """The account a platform says a message came from. `native_id` is authority; `name` is only a label."""

    native_id: str
    name: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Requester:
    """Whose authority a turn carries: the sender of this turn, on this platform, in this server.

    Built from stored rows by the runner for each attempt, never from anything the model or a message says.
    """

    person: int
    platform: str
    channel: str
    account: str = ""
    server: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a checked credential on `/api`, `/v1` or a WebSocket: a signed-in user or an API key."""

    person: int
    scopes: frozenset[str]
    user: int | None = None
    key: int | None = None
    role: Role | None = None

    def has(self, scope: str) -> bool:
        """Whether the credential carries `scope`."""
        return scope in self.scopes


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
