"""Polls in channels and the votes for them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from antiphon.domain.polls import PollState
from antiphon.store.models.conversation import Channel
from antiphon.store.models.fields import InstantField, choices
from antiphon.store.models.people import Person


class Poll(models.Model):
    """A question with options; `person` opened it. A channel has at most one that is open."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="polls")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    origin = models.CharField(max_length=300, unique=True)
    question = models.CharField(max_length=300, blank=True, default="")
    options = models.JSONField(default=list)
    language = models.CharField(max_length=12, default="en")
    state = models.CharField(max_length=6, choices=choices(PollState))
    created_at = InstantField()
    closes_at = InstantField(null=True, blank=True)
    closed_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel"], condition=Q(state="open"), name="poll_one_open")]
        indexes = [
            models.Index(fields=["closes_at"], condition=Q(state="open"), name="poll_due"),
        ]

    def __str__(self) -> str:
        return f"poll {self.pk}"


class PollVote(models.Model):
    """The vote of one person: the option's place, counted from 0."""

    poll = models.ForeignKey(Poll, on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+", db_index=False)
    option = models.SmallIntegerField()
    at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["poll", "person"], name="poll_one_vote")]

    def __str__(self) -> str:
        return f"vote {self.pk}"
