"""The durable rows of work: tasks, turns, replies, tool executions, approvals and pauses.

What must always hold is a constraint here, not a habit of the code: one running task and one reply being sent per
channel, one reply per task, round, kind and part, one execution per call of a task.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from antiphon.domain.approvals import ApprovalState, ApproverKind
from antiphon.domain.replies import ReplyKind, ReplyState
from antiphon.domain.tools import ExecutionStatus
from antiphon.domain.work import TaskKind, TaskState
from antiphon.store.models.conversation import Channel, Message, Thread
from antiphon.store.models.fields import InstantField, choices
from antiphon.store.models.people import Person


class Task(models.Model):
    """One durable unit of work.

    `attempt` counts claims and only grows (listeners and fencing rely on it); `tries` counts the claims that are held
    against the task, and starts again when it is resumed or retried by hand. `round` counts pauses and retries: each
    round may have its own answer and notice.
    """

    kind = models.CharField(max_length=9, choices=choices(TaskKind))
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    thread = models.ForeignKey(Thread, on_delete=models.PROTECT, related_name="tasks")
    message = models.OneToOneField(Message, on_delete=models.PROTECT, related_name="task")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    state = models.CharField(max_length=9, choices=choices(TaskState))
    attempt = models.IntegerField(default=0, db_default=0)
    tries = models.IntegerField(default=0, db_default=0)
    round = models.IntegerField(default=0, db_default=0)
    owner = models.CharField(max_length=100, blank=True, default="", db_default="")
    lease_until = InstantField(null=True, blank=True)
    run_after = InstantField(default=0.0, db_default=0.0)
    resume = models.BooleanField(default=False, db_default=False)
    cancel_requested = models.BooleanField(default=False, db_default=False)
    error_code = models.CharField(max_length=60, blank=True, default="", db_default="")
    error_message = models.TextField(blank=True, default="", db_default="")
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel"], condition=Q(state="running"), name="one_running_task")
        ]
        indexes = [
            models.Index(fields=["channel", "id"], condition=Q(state="queued"), name="task_queue_of_channel"),
            models.Index(fields=["channel", "id"], name="task_of_channel"),
            models.Index(fields=["state", "id"], name="task_by_state"),
        ]

    def __str__(self) -> str:
        return f"task {self.pk} ({self.state})"


class Turn(models.Model):
    """One run of the brain for a task: how it ended and what it used."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="turns", db_index=False)
    attempt = models.IntegerField()
    result = models.CharField(max_length=9)
    """The state the turn left the task in."""
    error = models.CharField(max_length=60, blank=True, default="", db_default="")
    requests = models.IntegerField(default=0, db_default=0)
    input_tokens = models.IntegerField(default=0, db_default=0)
    output_tokens = models.IntegerField(default=0, db_default=0)
    tool_calls = models.IntegerField(default=0, db_default=0)
    cost = models.FloatField(default=0.0, db_default=0.0)
    seconds = models.FloatField(default=0.0, db_default=0.0)
    model = models.CharField(max_length=200, blank=True, default="", db_default="")
    trace = models.JSONField(default=dict, blank=True)
    warned = models.BooleanField(default=False, db_default=False)
    """Whether the person was told in this turn that a daily limit is near."""
    ended_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "attempt"], name="turn_once")]
        indexes = [models.Index(fields=["ended_at"], name="turn_by_end")]

    def __str__(self) -> str:
        return f"turn {self.task_id}.{self.attempt}"


class Reply(models.Model):
    """What must be delivered, once, in order per channel.

    `doubtful`: an earlier send may have arrived although `native_id` is empty. `reply_to` is the platform's id of the
    message being answered.
    """

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="replies", db_index=False)
    round = models.IntegerField(default=0, db_default=0)
    kind = models.CharField(max_length=8, choices=choices(ReplyKind))
    part = models.IntegerField(default=0, db_default=0)
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="replies", db_index=False)
    platform = models.CharField(max_length=16)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, blank=True, related_name="replies")
    text = models.TextField(blank=True)
    state = models.CharField(max_length=7, choices=choices(ReplyState))
    native_id = models.CharField(max_length=200, blank=True, default="", db_default="")
    reply_to = models.CharField(max_length=200, blank=True, default="", db_default="")
    attempt = models.IntegerField(default=0, db_default=0)
    not_before = InstantField(default=0.0, db_default=0.0)
    owner = models.CharField(max_length=100, blank=True, default="", db_default="")
    lease_until = InstantField(null=True, blank=True)
    doubtful = models.BooleanField(default=False, db_default=False)
    reason = models.TextField(blank=True, default="", db_default="")
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        verbose_name_plural = "replies"
        constraints = [
            models.UniqueConstraint(fields=["task", "round", "kind", "part"], name="reply_once"),
            models.UniqueConstraint(fields=["channel"], condition=Q(state="sending"), name="one_sending_reply"),
        ]
        indexes = [
            models.Index(fields=["channel", "id"], condition=Q(state="ready"), name="reply_queue_of_channel"),
            models.Index(fields=["state", "id"], name="reply_by_state"),
            models.Index(fields=["channel", "native_id"], condition=~Q(native_id=""), name="reply_by_native_id"),
        ]

    def __str__(self) -> str:
        return f"reply {self.pk} ({self.state})"


class Pause(models.Model):
    """A turn that waits for people: the brain's snapshot of one round of a task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="pauses", db_index=False)
    round = models.IntegerField()
    snapshot = models.BinaryField()
    text = models.TextField(blank=True)
    created_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "round"], name="pause_once")]

    def __str__(self) -> str:
        return f"pause {self.pk} of task {self.task_id}"


class Approval(models.Model):
    """A question to a human about one tool call, bound to the hash of its arguments, used once."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="approvals")
    pause = models.ForeignKey(Pause, on_delete=models.CASCADE, related_name="approvals")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="approvals")
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="requested_approvals")
    call_id = models.CharField(max_length=200)
    tool = models.CharField(max_length=100)
    arguments = models.JSONField()
    arguments_hash = models.CharField(max_length=128)
    summary = models.TextField()
    rule_kind = models.CharField(max_length=10, choices=choices(ApproverKind))
    rule_permission = models.CharField(max_length=100, blank=True, default="")
    state = models.CharField(max_length=9, choices=choices(ApprovalState))
    created_at = InstantField()
    expires_at = InstantField()
    decided_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, blank=True, related_name="decided_approvals"
    )
    decided_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pause", "call_id"], name="approval_once")]
        indexes = [models.Index(fields=["expires_at"], condition=Q(state="pending"), name="approval_expiry")]

    def __str__(self) -> str:
        return f"{self.tool}: {self.summary}"


class ToolExecution(models.Model):
    """One recorded call of a tool: the n-th with these arguments within its task."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="executions", db_index=False)
    tool = models.CharField(max_length=100)
    arguments_hash = models.CharField(max_length=128)
    occurrence = models.IntegerField()
    attempt = models.IntegerField(default=0)
    arguments = models.JSONField()
    status = models.CharField(max_length=7, choices=choices(ExecutionStatus))
    result = models.TextField(blank=True, default="", db_default="")
    started_at = InstantField()
    seconds = models.FloatField(default=0.0, db_default=0.0)
    approval = models.OneToOneField(Approval, on_delete=models.PROTECT, null=True, blank=True, related_name="execution")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "tool", "arguments_hash", "occurrence"], name="execution_once")
        ]

    def __str__(self) -> str:
        return f"{self.tool} ({self.status})"
