"""Who speaks and who decides: people, accounts, roles, and the authority that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


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


class PeopleStore(Protocol):
    """People and their preferences."""

    async def person(self, person: int) -> Person:
        """One person, or `NotFound`."""
        ...

    async def set_preferences(
        self, person: int, *, timezone: str | None = None, language: str | None = None, name: str | None = None
    ) -> Person:
        """Change what is given and return the person."""
        ...

    async def role(self, person: int) -> str:
        """The highest console role tied to the person ("owner", "operator", "member") or ""."""
        ...


class Authority(Protocol):
    """What the requester may do, asked at execution time and again at resume. Implemented per platform."""

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Whether the requester holds `permission` there now ("everyone", "operator", "owner", a platform's word)."""
        ...
