"""Tasks: what became of a message, and stopping or retrying it by hand."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import shapes, task_rows, turn_rows, wire
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.task_rows import Asked, TaskRow
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.conversation import check_channel_key
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.work import TaskState
from antiphon.telemetry.logs import secrets_of
from antiphon.telemetry.redaction import Redactor

_STATES = [state.value for state in TaskState]


class TasksView(ApiView):
    """`/api/tasks`."""

    @describe(
        summary="My tasks",
        description="Newest first. With the scope `admin`, `everybody=1` gives all there are; what was said in other "
        "people's own conversations is left out.",
        parameters=[
            OpenApiParameter("state", str, enum=_STATES, description="Only tasks in this state."),
            OpenApiParameter("channel", str, description="Only tasks of this conversation."),
            OpenApiParameter("thread", int, description="Only tasks of this thread."),
            OpenApiParameter("dead", str, enum=["1"], description="Only dead ones, and those whose reply is dead."),
            OpenApiParameter("everybody", str, enum=["1"], description="Everybody's; needs the scope admin."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.TaskItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of tasks."""
        page = page_of(request.GET)
        state, channel, thread = (request.GET.get(name) for name in ("state", "channel", "thread"))
        if state is not None and state not in _STATES:
            raise InvalidInput(f"state is one of {', '.join(_STATES)}.", fields={"state": "not a state"})
        if channel is not None:
            check_channel_key(channel)
        asked = Asked(
            state=state,
            channel=channel,
            thread=None if thread is None else row_id(thread, "thread"),
            dead=_flag(request, "dead"),
            everybody=_flag(request, "everybody"),
        )
        reader = await (self.operator() if asked.everybody else self.reader())
        rows = await self.stores.database.read(task_rows.tasks, reader, asked, page)
        return json_answer(envelope(rows, page, wire.task, lambda row: (row.id,)))


def _flag(request: Request, name: str) -> bool:
    value = request.GET.get(name)
    if value not in (None, "", "1"):
        raise InvalidInput(f"{name} is 1 or left out.", fields={name: "1 or nothing"})
    return value == "1"


class _OneTask(ApiView):
    async def _visible(self, id: str) -> TaskRow:
        row = await self.stores.database.read(task_rows.task, await self.reader(), row_id(id, "task"))
        if row is None:
            raise NotFound("There is no such task.")
        return row


class TaskView(_OneTask):
    """`/api/tasks/{id}`."""

    @describe(summary="One task", responses={200: shapes.TaskItem})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """State, answer, tool calls, usage and error."""
        return json_answer(wire.task(await self._visible(id)))


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
        await self.services.cancel((await self._visible(id)).id)
        return json_answer(wire.task(await self._visible(id)))


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
        await self.services.retry((await self._visible(id)).id)
        return json_answer(wire.task(await self._visible(id)))


class TurnsView(_OneTask):
    """`/api/tasks/{id}/turns`."""

    @describe(
        summary="How a task was worked on",
        description="Each turn with its model, usage, time and trace: what the model was given (kind, row and tokens "
        "of each piece), how the expert was chosen, what failed; and the recorded tool calls. Arguments and results "
        "are shown to the task's person, to operators only with log.personal_text.",
        responses={200: shapes.TurnList},
    )
    async def get(self, request: Request, id: str) -> HttpResponse:
        """Oldest first; there are few."""
        task = (await self._visible(id)).id
        found = await self.stores.database.read(turn_rows.turns_of, task)
        words = found.person == self.person or self.services.settings.log.personal_text
        redactor = Redactor(secrets_of(self.services.settings))
        return json_answer(redactor.value(wire.turns(found, words=words)))
