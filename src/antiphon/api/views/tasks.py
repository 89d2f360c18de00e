"""Tasks: what became of a message, and stopping or retrying it by hand."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import reads, shapes, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.conversation import check_channel_key
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.work import TaskState

_STATES = [state.value for state in TaskState]


class TasksView(ApiView):
    """`/api/tasks`."""

    @describe(
        summary="My tasks",
        description="Newest first.",
        parameters=[
            OpenApiParameter("state", str, enum=_STATES, description="Only tasks in this state."),
            OpenApiParameter("channel", str, description="Only tasks of this conversation."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.TaskItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of the person's tasks."""
        page = page_of(request.GET)
        state, channel = request.GET.get("state"), request.GET.get("channel")
        if state is not None and state not in _STATES:
            raise InvalidInput(f"state is one of {', '.join(_STATES)}.", fields={"state": "not a state"})
        if channel is not None:
            check_channel_key(channel)
        rows = await self.services.database.read(reads.tasks, self.person, state, channel, page)
        return json_answer(envelope(rows, page, wire.task, lambda task: (task.id,)))


class _OneTask(ApiView):
    async def _own(self, id: str) -> int:
        task = row_id(id, "task")
        if not await self.services.database.read(reads.owns_task, task, self.person):
            raise NotFound("There is no such task.")
        return task


class TaskView(_OneTask):
    """`/api/tasks/{id}`."""

    @describe(summary="One task", responses={200: shapes.TaskItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """State, answer, tool calls, usage and error."""
        return json_answer(wire.task(await self.services.tasks.get(await self._own(id))))


class CancelTaskView(_OneTask):
    """`/api/tasks/{id}/cancel`."""

    @describe(
        summary="Stop a task",
        description="A running one stops as soon as it can, keeping the words said so far. Repeating is harmless.",
        request=None,
        responses={200: shapes.TaskItem},
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Stop."""
        return json_answer(wire.task(await self.services.cancel(await self._own(id))))


class RetryTaskView(_OneTask):
    """`/api/tasks/{id}/retry`."""

    @describe(
        summary="Try a dead or cancelled task again",
        description="409 in any other state.",
        request=None,
        responses={200: shapes.TaskItem},
        also=(409,),
    )
    async def post(self, request: Request, id: str) -> HttpResponse:
        """Queue it again with fresh attempts."""
        return json_answer(wire.task(await self.services.retry(await self._own(id))))
