"""What people asked to keep or to happen: schedule entries, memories, feedback."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from antiphon.domain.memories import MemoryScope, ProposalState
from antiphon.domain.schedule import EntryKind, EntryState
from antiphon.store.models.conversation import Channel, Message, Thread
from antiphon.store.models.fields import InstantField, choices
from antiphon.store.models.people import Person
from antiphon.store.models.work import Task
from antiphon.store.search_terms import index_terms


class ScheduleEntry(models.Model):
    """A reminder or timer. `origin` makes its creation idempotent.

    With a `rule` it repeats: `rule_start` is the naive local time (ISO 8601) in `rule_zone` from which it is counted,
    `due_at` the next firing, `fired_at` and `task` the last.
    """

    kind = models.CharField(max_length=8, choices=choices(EntryKind))
    state = models.CharField(max_length=9, choices=choices(EntryState))
    due_at = InstantField()
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="schedule_entries")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="schedule_entries")
    origin = models.CharField(max_length=300, unique=True)
    text = models.TextField(blank=True, default="")
    data = models.JSONField(default=dict, blank=True)
    rule = models.CharField(max_length=200, blank=True, default="", db_default="")
    rule_start = models.CharField(max_length=19, blank=True, default="", db_default="")
    rule_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = InstantField()
    fired_at = InstantField(null=True, blank=True)
    task = models.OneToOneField(Task, on_delete=models.PROTECT, null=True, blank=True, related_name="schedule_entry")

    class Meta:
        verbose_name_plural = "schedule entries"
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="pending"), name="entry_due"),
            models.Index(fields=["person", "due_at"], condition=Q(state="pending"), name="entry_of_person"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Memory(models.Model):
    """One remembered fact about a person or a server, with who said it and where."""

    scope = models.CharField(max_length=6, choices=choices(MemoryScope))
    subject = models.BigIntegerField()
    """The id of the person or server it is about."""
    text = models.TextField()
    author = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    channel = models.CharField(max_length=140)
    origin = models.CharField(max_length=300)
    created_at = InstantField()
    search = models.TextField(blank=True, default="", db_default="", editable=False)
    """The terms of `text`, filled in by `save`; the migrations index them for full-text search."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the search terms true to the text."""
        self.search = index_terms(self.text)
        super().save(*args, **kwargs)

    class Meta:
        verbose_name_plural = "memories"
        constraints = [models.UniqueConstraint(fields=["scope", "subject", "origin"], name="memory_once")]
        indexes = [models.Index(fields=["scope", "subject", "-id"], name="memory_of_subject")]

    def __str__(self) -> str:
        return f"memory {self.pk}"


class Proposal(models.Model):
    """A fact the agent would like to remember about a person, who is asked. Nothing is remembered before they agree."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="proposals", db_index=False)
    text = models.TextField()
    channel = models.CharField(max_length=140)
    origin = models.CharField(max_length=300, unique=True)
    state = models.CharField(max_length=8, choices=choices(ProposalState))
    memory = models.ForeignKey(Memory, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = InstantField()
    decided_at = InstantField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["person", "-id"], name="proposal_of_person")]

    def __str__(self) -> str:
        return f"proposal {self.pk} ({self.state})"


class ThreadSummary(models.Model):
    """What was said in a thread up to a message, in short: what the brain reads instead of the older messages."""

    thread = models.OneToOneField(Thread, on_delete=models.CASCADE, related_name="summary")
    upto = models.BigIntegerField()
    """The id of the last message that is in it."""
    text = models.TextField()
    author = models.CharField(max_length=200)
    """The model that wrote it, or `offline`."""
    updated_at = InstantField()

    class Meta:
        verbose_name_plural = "thread summaries"

    def __str__(self) -> str:
        return f"summary of thread {self.thread_id}"


class Feedback(models.Model):
    """A person's thumb up (1) or down (-1) for one message of the agent; `text` may say what would be right.

    `question` is what the message answered, as it was then: by its terms the brain finds the opinions that matter.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="feedback")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="feedback")
    value = models.SmallIntegerField()
    text = models.TextField(blank=True, default="")
    question = models.TextField(blank=True, default="", db_default="")
    search = models.TextField(blank=True, default="", db_default="", editable=False)
    """The terms of `question`, filled in by `save`."""
    created_at = InstantField()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the search terms true to the question."""
        self.search = index_terms(self.question)
        super().save(*args, **kwargs)

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["message", "person"], name="feedback_once"),
            models.CheckConstraint(condition=Q(value__in=[-1, 1]), name="feedback_up_or_down"),
        ]

    def __str__(self) -> str:
        return f"{'up' if self.value > 0 else 'down'} for message {self.message_id}"
