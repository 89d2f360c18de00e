"""Who holds what, one process at a time."""

from __future__ import annotations

from django.db import models

from antiphon.store.models.fields import InstantField


class NamedLease(models.Model):
    """One thing by its name, held by `owner` until `lease_until`."""

    name = models.CharField(max_length=120, primary_key=True)
    owner = models.CharField(max_length=100)
    lease_until = InstantField()

    def __str__(self) -> str:
        return f"{self.name} held by {self.owner}"
