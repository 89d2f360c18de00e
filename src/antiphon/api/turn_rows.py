"""The turns of a task and its recorded tool calls, as the API reads them."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.store.db import Tx
from antiphon.store.models import Task, ToolExecution, Turn


@dataclass(frozen=True, slots=True)
class TurnRows:
    """Oldest first. `person` is whose task it is."""

    person: int | None
    turns: list[Turn]
    calls: list[ToolExecution]


def turns_of(_tx: Tx, task: int) -> TurnRows:
    """What is stored of a task's work; the caller has checked that it may be seen."""
    person = Task.objects.filter(pk=task).values_list("person_id", flat=True).first()
    turns = list(Turn.objects.filter(task_id=task).order_by("attempt"))
    return TurnRows(person, turns, list(ToolExecution.objects.filter(task_id=task).order_by("pk")))
