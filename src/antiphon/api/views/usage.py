"""The accounts: what turns consumed, one's own or everybody's."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.config.prices import price_of
from antiphon.domain.errors import InvalidInput
from antiphon.domain.usage import UsageKey, UsageQuery, UsageRow

MOST_DAYS = 366
MOST_GROUPS = 1000
_KEYS = [key.value for key in UsageKey]
_UNPAID = ("", "offline")


class UsageView(ApiView):
    """`/api/usage`."""

    @describe(
        summary="What was consumed",
        description="Turns, tokens, cost and time of the last days, today included; days begin at midnight in the "
        "person's own time zone (limits count days of UTC). A member sees their own, an operator or a key with the "
        "scope admin everybody's; `person=me` asks for one's own.",
        parameters=[
            OpenApiParameter("days", int, description=f"1 to {MOST_DAYS}; 30 without."),
            OpenApiParameter("by", str, enum=_KEYS, description="How it is grouped; by day without."),
            OpenApiParameter("person", str, enum=["me"], description="Only one's own."),
        ],
        responses={200: shapes.UsageTable},
    )
    async def get(self, request: Request) -> HttpResponse:
        """The table."""
        days, by = request.GET.get("days", "30"), request.GET.get("by", UsageKey.DAY.value)
        if not (days.isascii() and days.isdigit() and len(days) <= 3 and 1 <= int(days) <= MOST_DAYS):
            raise InvalidInput(f"days is a number from 1 to {MOST_DAYS}.", fields={"days": f"1 to {MOST_DAYS}"})
        if by not in _KEYS:
            raise InvalidInput(f"by is one of {', '.join(_KEYS)}.", fields={"by": "unknown"})
        only = request.GET.get("person")
        if only not in (None, "me"):
            raise InvalidInput("person is me or left out.", fields={"person": "unknown"})
        principal = self.identity.principal
        everybody = only is None and principal.has("admin")
        zone = (await self.stores.people.person(self.person)).timezone
        today = self.services.clock.now().astimezone(ZoneInfo(zone)).date()
        first = today - timedelta(days=int(days) - 1)
        since = datetime.combine(first, time(), ZoneInfo(zone)).astimezone(UTC)
        query = UsageQuery(since, UsageKey(by), None if everybody else self.person, zone)
        rows = await self.stores.usage.table(query, MOST_GROUPS)
        models = await self.stores.usage.table(UsageQuery(since, UsageKey.MODEL, query.person), MOST_GROUPS)
        prices = self.services.settings.prices
        unpriced = [row.key for row in models if row.key not in _UNPAID and price_of(prices, row.key) is None]
        return json_answer(
            {
                "items": [wire.usage(row) for row in rows],
                "total": wire.usage(_total(models)),
                "unpriced": unpriced,
                "today": today.isoformat(),
                "timezone": zone,
            }
        )


def _total(rows: list[UsageRow]) -> UsageRow:
    return UsageRow(
        key="",
        name="",
        turns=sum(row.turns for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cost=sum(row.cost for row in rows),
        seconds=sum(row.seconds for row in rows),
    )
