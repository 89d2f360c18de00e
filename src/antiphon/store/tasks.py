"""Implements `domain.work.TaskStore`: claims, leases and fenced completions. Called by `threads.runner`.

A task's lease is its row's (owner, attempt) while it is running; every write of a worker names both in its WHERE, so a
worker that lost the task changes nothing. `owner` stays on the row afterwards, which lets the same worker repeat a
write whose commit it could not see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from antiphon.domain.approvals import Approval, ApprovalState, Resume
from antiphon.domain.clock import Clock
from antiphon.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound
from antiphon.domain.replies import ReplyKind
from antiphon.domain.work import Lease, Outcome, Pause, Task, TaskFailure, TaskState, Usage, Work
from antiphon.store import models
from antiphon.store.approval_rows import approval_of, cancel_pending
from antiphon.store.completion import TaskPlace, check_repeated, record_turn, say, settle_draft
from antiphon.store.db import Database, Tx, placeholders
from antiphon.store.standby import Standby
from antiphon.store.task_rows import WORK_OF_CLAIMED, task_view, work_of, works

# The heads: due, with tries left, nothing running in their channel and nothing queued before them there.
_CLAIM = """
UPDATE antiphon_task
SET state = 'running', owner = %s, lease_until = %s, attempt = attempt + 1, tries = tries + 1, updated_at = %s
WHERE id {among} (
    SELECT t.id FROM antiphon_task t
    WHERE t.state = 'queued' AND t.run_after <= %s AND t.tries < %s
      AND NOT EXISTS (SELECT 1 FROM antiphon_task r WHERE r.channel_id = t.channel_id AND r.state = 'running')
      AND NOT EXISTS (SELECT 1 FROM antiphon_task q
                      WHERE q.channel_id = t.channel_id AND q.state = 'queued' AND q.id < t.id)
    ORDER BY t.id LIMIT %s {lock}){end}
RETURNING {returning}
"""
_CLAIM_SQLITE = _CLAIM.format(among="IN", lock="", end="", returning="id")
# ANY(ARRAY(...)): as a plain IN the planner may run the subquery twice and lock more rows than the limit.
_CLAIM_POSTGRES = _CLAIM.format(among="= ANY (ARRAY", lock="FOR UPDATE OF t SKIP LOCKED", end=")", returning="*")
# One round trip for both; SQLite, which has none, knows no UPDATE in a WITH.
_CLAIM_WORK = f"WITH claimed AS ({_CLAIM_POSTGRES}) {WORK_OF_CLAIMED}"
_RENEW = """
UPDATE antiphon_task SET lease_until = %s WHERE owner = %s AND state = 'running' AND id IN ({ids})
RETURNING id, cancel_requested
"""
_HELD = "SELECT 1 FROM antiphon_task WHERE id = %s AND owner = %s AND attempt = %s AND state = 'running'"
_FENCED = """
WHERE id = %s AND owner = %s AND attempt = %s AND state = 'running' RETURNING channel_id, thread_id, message_id, round
"""
_FINISH = f"""
UPDATE antiphon_task
SET state = %s, error_code = %s, error_message = %s, resume = FALSE, lease_until = NULL, updated_at = %s
{_FENCED}"""
_PAUSE = f"""
UPDATE antiphon_task
SET state = 'waiting', resume = TRUE, tries = 0, lease_until = NULL, updated_at = %s
{_FENCED}"""
_ASKED_TO_STOP = "SELECT 1 FROM antiphon_task WHERE id = %s AND state = 'running' AND cancel_requested"
_NEXT_ROUND = "UPDATE antiphon_task SET round = round + 1 WHERE id = %s"
_RETRY_LATER = f"""
UPDATE antiphon_task
SET state = 'queued', run_after = %s, error_code = %s, error_message = %s, lease_until = NULL, updated_at = %s
{_FENCED}"""
_GIVE_BACK = """
UPDATE antiphon_task SET state = 'queued', tries = tries - 1, owner = '', lease_until = NULL, updated_at = %s
WHERE owner = %s AND state = 'running' AND id IN ({ids})
"""
_REAP = """
UPDATE antiphon_task SET state = 'queued', owner = '', lease_until = NULL, updated_at = %s
WHERE state = 'running' AND (lease_until < %s OR %s)
"""
_FORGET_SENDERS = """
UPDATE antiphon_reply SET state = 'ready', doubtful = (native_id = ''), owner = '', lease_until = NULL, updated_at = %s
WHERE state = 'sending'
"""
_EXHAUSTED = """
SELECT id, channel_id, thread_id, message_id, round FROM antiphon_task
WHERE state = 'queued' AND tries >= %s ORDER BY id LIMIT 100
"""
_BURY = """
UPDATE antiphon_task SET state = 'dead', error_code = 'gave_up', error_message = %s, resume = FALSE, updated_at = %s
WHERE id = %s AND state = 'queued'
"""
_CANCEL = (
    "UPDATE antiphon_task SET state = 'cancelled', resume = FALSE, lease_until = NULL, updated_at = %s WHERE id = %s"
)
_ASK_TO_STOP = "UPDATE antiphon_task SET cancel_requested = TRUE WHERE id = %s"
_RETRY = """
UPDATE antiphon_task
SET state = 'queued', tries = 0, round = round + 1, run_after = 0, owner = '', resume = FALSE, cancel_requested = FALSE,
    error_code = '', error_message = '', updated_at = %s
WHERE id = %s
"""
_ROUND = "SELECT round FROM antiphon_task WHERE id = %s"
_SEND_AGAIN = """
UPDATE antiphon_reply
SET state = 'ready', attempt = 0, not_before = 0, doubtful = FALSE, reason = '', updated_at = %s
WHERE task_id = %s AND state = 'dead'
"""
_COUNTS = "SELECT state, count(*) FROM antiphon_task GROUP BY state"


class DjangoTaskStore:
    """The runner's side of tasks. A task is claimed at most `max_attempts` times in a row."""

    def __init__(self, database: Database, clock: Clock, standby: Standby, *, max_attempts: int) -> None:
        self._database = database
        self._standby = standby
        self._clock = clock
        self._max_attempts = max_attempts

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[Work]:
        """Take up to `limit` queued, due heads of channels; at most one per channel. Counts the attempt.

        What was handed over meanwhile comes first and by itself, so that it does not wait for another transaction.
        """
        if handed := self._standby.collect():
            return handed
        if limit <= 0:
            return ()
        now = self._now()

        def claim(tx: Tx) -> list[Work]:
            parameters = (owner, now + lease_seconds, now, now, self._max_attempts, limit)
            if tx.postgres:
                return [work_of(row) for row in tx.rows(_CLAIM_WORK, *parameters)]
            rows = tx.rows(_CLAIM_SQLITE, *parameters)
            return works(tx, [row[0] for row in rows]) if rows else []

        # A claim that a power cut takes back only leaves the task queued: the turn need not wait for the disk.
        return await self._database.run_unsynced(claim)

    def stand_by(self, owner: str, slots: int, lease_seconds: float) -> None:
        """Until the next `claim`, messages of idle channels may be accepted as claimed by `owner`."""
        self._standby.offer(owner, slots, lease_seconds)

    async def renew(self, owner: str, tasks: Sequence[int], lease_seconds: float) -> Mapping[int, bool]:
        """Extend the leases still held. Returns task -> cancel requested for those; a missing id is a lost lease."""
        until = self._now() + lease_seconds
        sql = _RENEW.format(ids=placeholders(tasks))
        return await self._database.run_unsynced(
            lambda tx: {task: bool(cancel) for task, cancel in tx.rows(sql, until, owner, *tasks)}
        )

    async def resume_of(self, lease: Lease) -> Resume:
        """The stored pause of a task that was waiting, with its decided approvals."""

        def read(tx: Tx) -> Resume:
            if tx.row(_HELD, lease.task, lease.owner, lease.attempt) is None:
                raise LeaseLost("This task belongs to somebody else now.")
            pause = models.Pause.objects.filter(task_id=lease.task).order_by("-round").first()
            if pause is None:
                raise NotFound("This task was never waiting.")
            return Resume(snapshot=bytes(pause.snapshot), approvals=_approvals(pause))

        return await self._database.read(read)

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """Fenced completion: agent message, reply parts (a draft becomes ready), turn, usage, state."""
        await self._database.run(finish, lease, outcome, self._now())

    async def pause(self, lease: Lease, pause: Pause) -> Sequence[Approval]:
        """Fenced: store the snapshot, create the approvals, tell the person (a notice reply), wait."""
        if not pause.requests:
            raise InvalidInput("A pause names at least one tool call to approve.")
        return await self._database.run(_pause, lease, pause, self._now())

    async def retry_later(
        self,
        lease: Lease,
        failure: TaskFailure,
        delay: float,
        *,
        usage: Usage | None = None,
        trace: dict[str, object] | None = None,
    ) -> None:
        """Fenced: back to the queue, not before `delay` seconds, remembering why and what the attempt consumed."""
        now = self._now()

        def retry_later(tx: Tx) -> None:
            fence = (lease.task, lease.owner, lease.attempt)
            if tx.row(_RETRY_LATER, now + delay, failure.code[:60], failure.message, now, *fence) is None:
                check_repeated(tx, lease, TaskState.QUEUED)
                return
            record_turn(tx, lease, TaskState.QUEUED, usage or Usage(), now, error=failure.code, trace=trace)
            tx.notify_here("tasks")

        await self._database.run(retry_later)

    async def give_back(self, owner: str, tasks: Sequence[int]) -> None:
        """Return unfinished tasks at shutdown. `attempt` goes on growing, but this one is not held against them."""
        now = self._now()

        def give_back(tx: Tx) -> None:
            if tx.execute(_GIVE_BACK.format(ids=placeholders(tasks)), now, owner, *tasks):
                tx.notify("tasks")

        await self._database.run(give_back)

    async def reap(self, *, owners_are_gone: bool = False) -> int:
        """Requeue running tasks whose lease expired; all of them, and what was being sent, when owners are gone."""
        now = self._now()

        def reap(tx: Tx) -> int:
            if owners_are_gone and tx.execute(_FORGET_SENDERS, now):
                tx.notify("replies")
            count = tx.execute(_REAP, now, now, owners_are_gone)
            if count:
                tx.notify("tasks")
            return count

        return await self._database.run(reap)

    async def bury(self, max_attempts: int, text: str) -> Sequence[int]:
        """Move queued tasks that used up their attempts to the dead letters and tell the person with `text`."""
        now = self._now()

        def bury(tx: Tx) -> list[int]:
            places = [TaskPlace(*row) for row in tx.rows(_EXHAUSTED, max_attempts)]
            buried = [place for place in places if tx.execute(_BURY, text, now, place.task)]
            for place in buried:
                say(tx, place, ReplyKind.NOTICE, text, (text,), now)
            if buried:
                tx.notify("tasks")
            return [place.task for place in buried]

        return await self._database.run(bury)

    async def cancel(self, task: int) -> Task:
        """Cancel a queued or waiting task now (its pending approvals too); ask a running one to stop. Idempotent."""
        now = self._now()

        def cancel(tx: Tx) -> Task:
            tx.lock_task(task)
            before = task_view(tx, task)
            if before.state is TaskState.RUNNING:
                tx.execute(_ASK_TO_STOP, task)
            elif not before.state.final:
                tx.execute(_CANCEL, now, task)
                cancel_pending(task, now)
                settle_draft(tx, task, tx.value(_ROUND, task), now)
                tx.notify("tasks")
            return task_view(tx, task)

        return await self._database.run(cancel)

    async def retry(self, task: int) -> Task:
        """Queue a dead or cancelled task again with fresh attempts, in a new round that has its own replies."""
        now = self._now()

        def retry(tx: Tx) -> Task:
            tx.lock_task(task)
            before = task_view(tx, task)
            if before.state is TaskState.DONE and tx.execute(_SEND_AGAIN, now, task):
                tx.notify("replies")
                return before
            if before.state not in (TaskState.DEAD, TaskState.CANCELLED):
                raise Conflict("Only a task that was given up or cancelled, or whose reply was, can be tried again.")
            tx.execute(_RETRY, now, task)
            tx.notify("tasks")
            return task_view(tx, task)

        return await self._database.run(retry)

    async def get(self, task: int) -> Task:
        """One task with reply, tools, usage and error. `NotFound` if there is none."""
        return await self._database.read(task_view, task)

    async def counts(self) -> Mapping[str, int]:
        """How many tasks are in each state."""
        return await self._database.read(lambda tx: {**dict.fromkeys(map(str, TaskState), 0), **dict(tx.rows(_COUNTS))})


def finish(tx: Tx, lease: Lease, outcome: Outcome, now: float) -> None:
    """Fenced completion, for written and spoken turns alike."""
    if not outcome.state.final:
        raise InvalidInput("A turn ends a task as done, cancelled or dead.")
    code, message = (outcome.failure.code[:60], outcome.failure.message) if outcome.failure else ("", "")
    row = tx.row(_FINISH, outcome.state.value, code, message, now, lease.task, lease.owner, lease.attempt)
    if row is None:
        check_repeated(tx, lease, outcome.state)
        return
    kind = ReplyKind.ANSWER
    if outcome.spoken:
        kind = ReplyKind.SPOKEN
    elif outcome.state is TaskState.DEAD:
        kind = ReplyKind.NOTICE
    place = TaskPlace(lease.task, *row)
    say(tx, place, kind, outcome.text, outcome.parts, now, interrupted=outcome.interrupted)
    record_turn(tx, lease, outcome.state, outcome.usage, now, error=code, trace=outcome.trace)
    tx.notify_here("tasks")


def _pause(tx: Tx, lease: Lease, pause: Pause, now: float) -> list[Approval]:
    if tx.row(_ASKED_TO_STOP, lease.task):
        stopped = Outcome(
            TaskState.CANCELLED,
            pause.text,
            pause.parts,
            pause.usage,
            interrupted=bool(pause.parts),
            trace=pause.trace,
        )
        finish(tx, lease, stopped, now)
        return []
    row = tx.row(_PAUSE, now, lease.task, lease.owner, lease.attempt)
    if row is None:
        check_repeated(tx, lease, TaskState.WAITING)
        stored = models.Pause.objects.filter(task_id=lease.task).latest("round")
        return list(_approvals(stored))
    place = TaskPlace(lease.task, *row)
    tx.execute(_NEXT_ROUND, lease.task)
    stored = _store_pause(tx, place, pause, now)
    if pause.parts:
        say(tx, place, ReplyKind.ANSWER, pause.text, pause.parts, now)
    notice = _notice(pause, stored.task.person.language if stored.task.person else "")
    say(tx, place, ReplyKind.NOTICE, notice, (notice,), now)
    record_turn(tx, lease, TaskState.WAITING, pause.usage, now, trace=pause.trace)
    tx.notify_here("tasks")
    tx.notify("schedule")
    return list(_approvals(stored))


def _store_pause(tx: Tx, place: TaskPlace, pause: Pause, now: float) -> models.Pause:
    task = models.Task.objects.get(pk=place.task)
    stored = models.Pause.objects.create(
        task=task, round=place.round, snapshot=pause.snapshot, text=pause.text, created_at=now
    )
    models.Approval.objects.bulk_create(
        models.Approval(
            task=task,
            pause=stored,
            channel_id=place.channel,
            requester_id=task.person_id,
            call_id=request.call_id,
            tool=request.tool,
            arguments=request.arguments,
            arguments_hash=request.arguments_hash,
            summary=request.summary,
            rule_kind=request.rule.kind.value,
            rule_permission=request.rule.permission,
            state=ApprovalState.PENDING.value,
            created_at=now,
            expires_at=request.expires_at,
        )
        for request in pause.requests
    )
    return stored


_NOTICES = {
    "en": ("This needs an approval before I go on: {what}", "These need an approval before I go on:\n{what}"),
    "de": (
        "Bevor ich weitermache, braucht das eine Genehmigung: {what}",
        "Bevor ich weitermache, braucht das Genehmigungen:\n{what}",
    ),
    "es": (
        "Antes de seguir, esto necesita una aprobación: {what}",
        "Antes de seguir, esto necesita aprobaciones:\n{what}",
    ),
}


def _notice(pause: Pause, language: str) -> str:
    """What the person reads while the task waits, in their own language."""
    one, several = _NOTICES.get(language.partition("-")[0].casefold(), _NOTICES["en"])
    if len(pause.requests) == 1:
        return one.format(what=pause.requests[0].summary)
    return several.format(what="\n".join(f"- {request.summary}" for request in pause.requests))


def _approvals(pause: models.Pause) -> tuple[Approval, ...]:
    return tuple(approval_of(row) for row in pause.approvals.select_related("channel").order_by("id"))
