"""What the agent learns from a person: opinions of answers that can be taken back, and questions what to remember."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import InvalidInput
from antiphon.domain.memories import ProposalState

_STATES = [state.value for state in ProposalState]
_STATE = OpenApiParameter("state", str, enum=_STATES, description="Only those in this state.")


class OpinionsView(ApiView):
    """`/api/feedback`."""

    @describe(
        summary="My opinions of answers",
        description="Newest first. The agent is shown those whose question is like the one it answers.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.OpinionItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page = page_of(request.GET)
        rows = await self.stores.database.read(reads.opinions, self.person, page)
        return json_answer(envelope(rows, page, wire.opinion, lambda row: (row.pk,)))


class OpinionView(ApiView):
    """`/api/feedback/{id}`."""

    @describe(summary="Take an opinion back", description="From then on it changes no answer.", responses={204: None})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Delete it for good."""
        await self.stores.feedback.retract(row_id(id, "opinion"), self.person)
        return HttpResponse(status=204)


class ProposalsView(ApiView):
    """`/api/proposals`."""

    @describe(
        summary="What the agent would like to remember about me",
        description="Newest first. Nothing of it is remembered before you accept it.",
        parameters=[*PAGING, _STATE],
        responses={200: shapes.page_shape(shapes.ProposalItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page, state = page_of(request.GET), request.GET.get("state")
        if state is not None and state not in _STATES:
            raise InvalidInput(f"A state is one of {', '.join(_STATES)}.", fields={"state": "unknown"})
        rows = await self.stores.database.read(reads.proposals, self.person, state, page)
        return json_answer(envelope(rows, page, wire.proposal_row, lambda row: (row.pk,)))


class AcceptProposalView(ApiView):
    """`/api/proposals/{id}/accept`."""

    @describe(summary="Let it be remembered", request=None, responses={200: shapes.ProposalItem}, also=(409,))
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Remember the fact. The same answer again changes nothing."""
        return json_answer(
            wire.proposal(await self.stores.proposals.decide(row_id(id, "proposal"), self.person, accept=True))
        )


class DenyProposalView(ApiView):
    """`/api/proposals/{id}/deny`."""

    @describe(summary="Do not remember it", request=None, responses={200: shapes.ProposalItem}, also=(409,))
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Leave it at that. The same answer again changes nothing."""
        return json_answer(
            wire.proposal(await self.stores.proposals.decide(row_id(id, "proposal"), self.person, accept=False))
        )
