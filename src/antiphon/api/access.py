"""Which channels a person may use, who reads for the whole installation, and where a stream resumes.

Shared by the views and both kinds of streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from antiphon.api import reads
from antiphon.api.origins import Scope, header
from antiphon.domain.conversation import check_channel_key
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import PeopleStore, Principal, Role
from antiphon.store.db import Database
from antiphon.store.models import Channel

CREATABLE = ("web:", "api:")
"""Kinds of channels that come to be by posting to them."""
_LARGEST = 2**63 - 1


def no_such_channel() -> NotFound:
    """The answer for a channel that is not there and for one that is somebody else's."""
    return NotFound("There is no such conversation.")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a list: the person, and whether they answer for the whole installation."""

    person: int
    operator: bool


async def reader_of(people: PeopleStore, principal: Principal) -> Reader:
    """An operator is a person with that role (or owner), and a credential that carries the scope admin."""
    role = await people.role(principal.person) if principal.has("admin") else ""
    return Reader(principal.person, operator=bool(role) and Role(role).rank >= Role.OPERATOR.rank)


async def owned_channel(database: Database, key: str, person: int) -> Channel:
    """The row of a channel that belongs to `person`. Raises `InvalidInput` or `NotFound`."""
    check_channel_key(key)
    channel = await database.read(reads.channel_of, key, person)
    if channel is None:
        raise no_such_channel()
    return channel


async def listenable_channel(database: Database, key: str, person: int) -> int | None:
    """The owner of a channel `person` may listen to: themself, or None when it may yet be created by them."""
    check_channel_key(key)
    exists, owner = await database.read(reads.owner_of, key)
    if owner == person:
        return owner
    if exists or not key.startswith(CREATABLE):
        raise no_such_channel()
    return None


def resume_point(scope: Scope, *, header_too: bool) -> int | None:
    """The event id after which a stream resumes: `?after=`, or the Last-Event-ID header of an event stream."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get("after")
    text = given[-1] if given else None
    name = "after"
    if header_too and (last := header(scope, b"last-event-id")) is not None:
        text, name = last, "Last-Event-ID"
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > _LARGEST:
        raise InvalidInput("An event id is a whole number.", fields={name: "not an event id"})
    return int(text)
