"""Implements `domain.identity.PeopleStore`: people and their preferences. Called by tools, authorities and the API."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import Person
from antiphon.store import models
from antiphon.store.db import Database, Tx

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_NAME_CHARS = 200


class DjangoPeopleStore:
    """What is known about people themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def person(self, person: int) -> Person:
        """One person, or `NotFound`."""
        return await self._database.read(lambda _: person_of(find_person(person)))

    async def set_preferences(
        self, person: int, *, timezone: str | None = None, language: str | None = None, name: str | None = None
    ) -> Person:
        """Change what is given and return the person. `InvalidInput` names what cannot be."""
        changes = _checked(timezone=timezone, language=language, name=name)

        def change(_: Tx) -> Person:
            row = find_person(person)
            for field, value in changes.items():
                setattr(row, field, value)
            if changes:
                row.save(update_fields=list(changes))
            return person_of(row)

        return await self._database.run(change)

    async def role(self, person: int) -> str:
        """The role of the person's active console user ("owner", "operator", "member") or ""."""

        def read(_: Tx) -> str:
            row = models.User.objects.filter(person_id=person, is_active=True).first()
            return row.role if row else ""

        return await self._database.read(read)


def find_person(person: int) -> models.Person:
    """The row of a person, or `NotFound`."""
    row = models.Person.objects.filter(pk=person).first()
    if row is None:
        raise NotFound("There is no such person.")
    return row


def person_of(row: models.Person) -> Person:
    """The domain's view of a stored person."""
    return Person(
        id=row.pk, name=row.name, timezone=row.timezone, language=row.language, preferences=dict(row.preferences)
    )


def _checked(*, timezone: str | None, language: str | None, name: str | None) -> dict[str, str]:
    changes: dict[str, str] = {}
    if timezone is not None:
        if not _is_timezone(timezone):
            raise InvalidInput(
                "A time zone is a name like Europe/Berlin.", fields={"timezone": "not a known time zone"}
            )
        changes["timezone"] = timezone
    if language is not None:
        if len(language) > 35 or _LANGUAGE.fullmatch(language) is None:
            raise InvalidInput("A language is a tag like en or pt-BR.", fields={"language": "not a language tag"})
        changes["language"] = language
    if name is not None:
        name = name.strip()
        if not name or len(name) > _NAME_CHARS or not name.isprintable():
            raise InvalidInput(
                f"A name has 1 to {_NAME_CHARS} printable characters.", fields={"name": "empty, too long, or odd"}
            )
        changes["name"] = name
    return changes


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # not a path below the zones, a folder there, or nothing
        return False
    return len(name) <= 64
