"""Reading tasks: as work for the runner, and as the API shows them. Used by `tasks` and `live`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Requester
from antiphon.domain.work import Lease, Task, TaskFailure, TaskKind, TaskState, Work
from antiphon.store.db import Tx, placeholders
from antiphon.store.models.fields import from_epoch

_WORK_OF = """
SELECT t.id, t.owner, t.attempt, t.tries, t.kind, t.resume, t.cancel_requested, t.thread_id, t.message_id, t.person_id,
       c.key, c.platform, c.server_id, m.text, m.created_at, a.native_id
FROM {tasks} t
JOIN antiphon_channel c ON c.id = t.channel_id
JOIN antiphon_message m ON m.id = t.message_id
LEFT JOIN antiphon_account a ON a.id = m.account_id
"""
_WORK = _WORK_OF.format(tasks="antiphon_task") + "WHERE t.id IN ({ids}) ORDER BY t.id"
WORK_OF_CLAIMED = _WORK_OF.format(tasks="claimed") + "ORDER BY t.id"
"""The same for the rows a statement before it in a WITH returned as `claimed`."""
_TASK = """
SELECT t.state, t.kind, c.key, t.thread_id, t.message_id, t.attempt, t.created_at, t.updated_at, t.error_code,
       t.error_message
FROM antiphon_task t JOIN antiphon_channel c ON c.id = t.channel_id WHERE t.id = %s
"""
_ANSWER = "SELECT text FROM antiphon_message WHERE answers_id = %s ORDER BY id DESC LIMIT 1"
_TOOLS = "SELECT id, tool, status, seconds FROM antiphon_toolexecution WHERE task_id = %s ORDER BY id"
_USAGE = """
SELECT count(*), sum(requests), sum(input_tokens), sum(output_tokens), sum(tool_calls), sum(cost), sum(seconds)
FROM antiphon_turn WHERE task_id = %s
"""
_MODEL = "SELECT model FROM antiphon_turn WHERE task_id = %s AND model <> '' ORDER BY attempt DESC LIMIT 1"


def works(tx: Tx, ids: Sequence[int]) -> list[Work]:
    """Claimed tasks with all a turn needs, oldest first."""
    return [work_of(row) for row in tx.rows(_WORK.format(ids=placeholders(ids)), *ids)]


def work_of(row: tuple[Any, ...]) -> Work:
    """A row of the work queries as the runner gets it."""
    (task, owner, attempt, tries, kind, resume, cancel, thread, message, person, key, platform, server) = row[:13]
    return Work(
        lease=Lease(task=task, owner=owner, attempt=attempt),
        channel=key,
        thread=thread,
        message=message,
        text=row[13],
        requester=Requester(person=person, platform=platform, channel=key, account=row[15] or "", server=server),
        kind=TaskKind(kind),
        received_at=from_epoch(row[14]),
        resume=bool(resume),
        cancel_requested=bool(cancel),
        tries=tries,
    )


def task_view(tx: Tx, task: int) -> Task:
    """One task as the API shows it. Raises `NotFound`."""
    row = tx.row(_TASK, task)
    if row is None:
        raise NotFound("There is no such task.")
    state = TaskState(row[0])
    answer = tx.row(_ANSWER, task) if state.final else None
    return Task(
        id=task,
        state=state,
        kind=TaskKind(row[1]),
        channel=row[2],
        thread=row[3],
        message=row[4],
        attempt=row[5],
        created_at=from_epoch(row[6]),
        updated_at=from_epoch(row[7]),
        reply=answer[0] if answer else None,
        tools=tuple(
            {"execution": str(execution), "tool": tool, "status": status, "seconds": seconds}
            for execution, tool, status, seconds in tx.rows(_TOOLS, task)
        ),
        usage=_usage(tx, task),
        error=TaskFailure(code=row[8], message=row[9]) if row[8] else None,
    )


def _usage(tx: Tx, task: int) -> dict[str, object]:
    """What all turns of the task used together; the model is that of the last one."""
    totals = tx.row(_USAGE, task)
    if totals is None or not totals[0]:
        return {}
    model = tx.row(_MODEL, task)
    names = ("requests", "input_tokens", "output_tokens", "tool_calls", "cost", "seconds")
    return {**dict(zip(names, totals[1:], strict=True)), "model": model[0] if model else ""}
