"""What people do to tasks by hand: stop one, or try one again. Used by the API and, later, by commands in chats."""

from __future__ import annotations

from antiphon.domain.events import TASK_CANCEL, Bus, turn_topic
from antiphon.domain.work import Task, TaskState, TaskStore


class TaskControl:
    """Cancel and retry, with the word to whoever listens."""

    def __init__(self, tasks: TaskStore, bus: Bus) -> None:
        self._tasks = tasks
        self._bus = bus

    async def cancel(self, task_id: int) -> Task:
        """Stop a task. A queued or waiting one is cancelled now; a running one ends with the words said so far.

        Idempotent; a task that is already over is returned as it is.
        """
        before = await self._tasks.get(task_id)
        task = await self._tasks.cancel(task_id)
        if task.state is TaskState.RUNNING:
            await self._bus.publish(TASK_CANCEL, "cancel", {"task": str(task_id)})
        elif task.state is TaskState.CANCELLED and before.state is not TaskState.CANCELLED:
            await self._bus.publish(
                turn_topic(task.channel),
                "turn.failed",
                {
                    "task": str(task_id),
                    "turn": f"{task_id}.{task.attempt}",
                    "attempt": task.attempt,
                    "code": "cancelled",
                    "message": "Stopped.",
                    "retrying": False,
                },
            )
        return task

    async def retry(self, task_id: int) -> Task:
        """Queue a dead or cancelled task again. `Conflict` in any other state."""
        return await self._tasks.retry(task_id)
