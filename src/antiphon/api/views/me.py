"""The person behind the credential."""

from __future__ import annotations

import re
from zoneinfo import available_timezones

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import InvalidInput
from antiphon.domain.identity import Person

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class MeView(ApiView):
    """`/api/me`."""

    @describe(summary="Who I am", responses={200: shapes.Me})
    async def get(self, request: Request) -> HttpResponse:
        """Name, time zone, language, role and scopes."""
        return await self._answer(await self.stores.people.person(self.person))

    @describe(
        summary="Change my name, time zone or language",
        description="What is not given stays as it is.",
        request=request_shapes.MeChange,
        responses={200: shapes.Me},
    )
    async def patch(self, request: Request) -> HttpResponse:
        """Change what is given."""
        change = self.body(request_shapes.MeChange)
        fields: dict[str, str] = {}
        if "name" in change and not change["name"].strip():
            fields["name"] = "empty"
        if "timezone" in change and change["timezone"] not in available_timezones():
            fields["timezone"] = "not an IANA time zone"
        if "language" in change and _LANGUAGE.fullmatch(change["language"]) is None:
            fields["language"] = "not a BCP 47 language tag"
        if fields:
            raise InvalidInput("Some fields are not right: " + ", ".join(fields) + ".", fields=fields)
        return await self._answer(await self.stores.people.set_preferences(self.person, **change))

    async def _answer(self, person: Person) -> HttpResponse:
        role = await self.stores.people.role(person.id)
        return json_answer(wire.me(person, role, self.identity.principal))
