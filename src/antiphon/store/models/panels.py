"""What outlives a restart of the dashboard's panels."""

from __future__ import annotations

from django.db import models

from antiphon.store.models.fields import InstantField


class PanelState(models.Model):
    """One panel by its name, as the dashboard wrote it; nothing else reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    state = models.JSONField(default=dict)
    changed_at = InstantField()

    def __str__(self) -> str:
        return f"panel {self.name}"
