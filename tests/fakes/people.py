"""People in memory."""

from __future__ import annotations

from dataclasses import replace

from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Person


class FakePeople:
    """Implements `domain.identity.PeopleStore`."""

    def __init__(self, *people: Person, roles: dict[int, str] | None = None) -> None:
        self.rows = {person.id: person for person in people}
        self.roles = roles or {}

    async def person(self, person: int) -> Person:
        """One person."""
        if person not in self.rows:
            raise NotFound("No such person.")
        return self.rows[person]

    async def set_preferences(
        self, person: int, *, timezone: str | None = None, language: str | None = None, name: str | None = None
    ) -> Person:
        """Change what is given."""
        row = await self.person(person)
        self.rows[person] = replace(
            row, timezone=timezone or row.timezone, language=language or row.language, name=name or row.name
        )
        return self.rows[person]

    async def role(self, person: int) -> str:
        """The highest role."""
        return self.roles.get(person, "")
