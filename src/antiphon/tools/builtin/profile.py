"""The person's own settings that tools need: their time zone."""

from __future__ import annotations

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.ports import PeopleStore
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
