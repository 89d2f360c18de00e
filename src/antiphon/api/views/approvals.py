"""Approvals: the questions a person asked for or may answer, and answering them."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.approvals import ApprovalState
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import Role
from antiphon.store.models import Approval

_STATES = [state.value for state in ApprovalState]


class _ApprovalsView(ApiView):
    async def _permissions(self) -> list[str]:
        """The permissions of our own channels that the person's console role holds."""
        name = await self.stores.people.role(self.person)
        if not name:
            return ["everyone"]
        rank = Role(name).rank
        return ["everyone", *(role.value for role in Role if role.rank <= rank)]

    async def _visible(self, id: str) -> Approval:
        row = await self.stores.database.read(
            reads.approval_of, row_id(id, "approval"), self.person, await self._permissions()
        )
        if row is None:
            raise NotFound("There is no such approval.")
        return row


class ApprovalsView(_ApprovalsView):
    """`/api/approvals`."""

    @describe(
        summary="Approvals I asked for or may answer",
        description="Newest first.",
        parameters=[
            OpenApiParameter("state", str, enum=_STATES, description="Only approvals in this state."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.ApprovalItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page = page_of(request.GET)
        state = request.GET.get("state")
        if state is not None and state not in _STATES:
            raise InvalidInput(f"state is one of {', '.join(_STATES)}.", fields={"state": "not a state"})
        rows = await self.stores.database.read(reads.approvals, self.person, await self._permissions(), state, page)
        return json_answer(envelope(rows, page, wire.approval, lambda row: (row.pk,)))


class ApprovalView(_ApprovalsView):
    """`/api/approvals/{id}`."""

    @describe(summary="One approval", responses={200: shapes.ApprovalItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """As in the list."""
        return json_answer(wire.approval(await self._visible(id)))


_deciding = partial(
    describe,
    description="409 when it is decided otherwise, expired or used.",
    request=None,
    responses={200: shapes.ApprovalItem},
    also=(409,),
)


class _DecisionView(_ApprovalsView):
    async def _decide(self, id: str, *, approve: bool) -> HttpResponse:
        row = await self._visible(id)
        await self.services.decide(row.pk, self.identity.principal, approve)
        return json_answer(wire.approval(await self._visible(id)))


class ApproveView(_DecisionView):
    """`/api/approvals/{id}/approve`."""

    @_deciding(summary="Allow it, once")
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Approve."""
        return await self._decide(id, approve=True)


class DenyView(_DecisionView):
    """`/api/approvals/{id}/deny`."""

    @_deciding(summary="Refuse it")
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Deny."""
        return await self._decide(id, approve=False)
