"""What platforms told us and what was done about it: events and moderation cases."""

from __future__ import annotations

from django.db import models

from antiphon.store.models.conversation import Channel, Server
from antiphon.store.models.fields import InstantField
from antiphon.store.models.people import Account, Person


class Event(models.Model):
    """Something a platform told us that is not a message to the agent (a join, a deletion, a reaction)."""

    platform = models.CharField(max_length=16)
    name = models.CharField(max_length=100)
    server = models.ForeignKey(Server, on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, null=True, blank=True, related_name="events")
    account = models.ForeignKey(Account, on_delete=models.SET_NULL, null=True, blank=True, related_name="events")
    payload = models.JSONField(default=dict, blank=True)
    dedupe = models.CharField(max_length=300, unique=True, null=True, blank=True)
    at = InstantField()

    class Meta:
        indexes = [models.Index(fields=["server", "name", "-at"], name="event_of_server")]

    def __str__(self) -> str:
        return f"{self.name} ({self.platform})"


class Case(models.Model):
    """A moderation record. `number` counts within its server."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="cases")
    number = models.IntegerField()
    action = models.CharField(max_length=40)
    target = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="cases")
    moderator = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="cases")
    reason = models.TextField(blank=True, default="")
    data = models.JSONField(default=dict, blank=True)
    created_at = InstantField()
    expires_at = InstantField(null=True, blank=True)
    closed_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "number"], name="case_once")]

    def __str__(self) -> str:
        return f"case {self.number} of {self.server}"
