"""The state of each part, for people who are signed in. The public /health is `lean`."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import shapes, wire
from antiphon.api.lean import status_of
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer


class HealthView(ApiView):
    """`/api/health`."""

    needs = None

    @describe(summary="The state of each part", responses={200: shapes.Health})
    async def get(self, request: Request) -> HttpResponse:
        """Every part with its state and, where something is off or broken, the remedy."""
        parts = await self.services.parts()
        return json_answer({"status": status_of(parts), "parts": [wire.part(part) for part in parts]})
