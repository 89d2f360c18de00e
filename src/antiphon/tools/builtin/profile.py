"""The person's own settings, in words: time zone, language, name."""

from __future__ import annotations

from pydantic import Field

from antiphon.domain.errors import InvalidInput, ToolError
from antiphon.domain.identity import PeopleStore
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.places import find_place
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare


class TimezoneArguments(Arguments):
    """Where the person is."""

    place: str = Field("", max_length=80, description="City, country or IANA zone; empty to ask which one is set.")


class ProfileTimezone(Tool[TimezoneArguments]):
    """`profile.timezone`."""

    spec = declare(
        "profile.timezone",
        "Show the person's time zone, or set it to that of a place.",
        TimezoneArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = TimezoneArguments

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def run(self, call: ToolCall[TimezoneArguments]) -> ToolResult:
        """Set it when a place is given; say it in any case."""
        name = call.arguments.place
        zone_name, zone, note = call.zone_name, call.zone, ""
        if name:
            place = find_place(name)
            if place is None:
                raise ToolError(f"I do not know a place or time zone called “{name}”.")
            if "/" not in place.zone_name and place.zone_name != "UTC":
                raise ToolError(f"“{name}” is an offset, not a zone; name a city, so that summer time is right.")
            person = await self._people.set_preferences(call.requester.person, timezone=place.zone_name)
            zone_name, zone, note = person.timezone, place.zone, place.note
        data: dict[str, object] = {
            "zone": zone_name,
            "changed": bool(name),
            "time": f"{call.now.astimezone(zone):%H:%M}",
            "note": note,
        }
        return ToolResult(f"Time zone {zone_name}", data)


class LanguageArguments(Arguments):
    """Which one."""

    language: str = Field("", max_length=12, description='A language tag such as "de"; empty to ask which one is set.')


class ProfileLanguage(Tool[LanguageArguments]):
    """`profile.language`."""

    spec = declare(
        "profile.language",
        "Show or set the language in which the person wants to be answered where a message does not tell.",
        LanguageArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = LanguageArguments

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def run(self, call: ToolCall[LanguageArguments]) -> ToolResult:
        """Set it when one is given; say it in any case."""
        wanted = call.arguments.language
        person = await self._people.person(call.requester.person)
        if wanted:
            try:
                person = await self._people.set_preferences(call.requester.person, language=wanted)
            except InvalidInput:
                raise ToolError(f"“{wanted}” is no language I know the tag of. Say for example “en” or “de”.") from None
        return ToolResult(f"Language {person.language}", {"language": person.language, "changed": bool(wanted)})


class NameArguments(Arguments):
    """What to be called."""

    name: str = Field("", max_length=60, description="What the person wants to be called; empty to ask.")


class ProfileName(Tool[NameArguments]):
    """`profile.name`."""

    spec = declare(
        "profile.name",
        "Show or set what the person is called here. A name is a label and gives no rights.",
        NameArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = NameArguments

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def run(self, call: ToolCall[NameArguments]) -> ToolResult:
        """Set it when one is given; say it in any case."""
        wanted = call.arguments.name
        person = await self._people.person(call.requester.person)
        if wanted:
            try:
                person = await self._people.set_preferences(call.requester.person, name=wanted)
            except InvalidInput as error:
                raise ToolError(f"This cannot be a name: {error.message}") from None
        return ToolResult(f"Name {person.name}", {"name": person.name, "changed": bool(wanted)})
