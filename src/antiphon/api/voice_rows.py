"""What the API reads of spoken sessions beside their port: the list with its pages."""

from __future__ import annotations

from antiphon.api.paging import Page
from antiphon.domain.voice import VoiceSession
from antiphon.store.db import Tx
from antiphon.store.models import VoiceSession as Row
from antiphon.store.voice import session_of


def sessions(_tx: Tx, person: int, page: Page) -> list[tuple[int, VoiceSession]]:
    """A person's sessions with their sort keys, newest first."""
    rows = Row.objects.filter(person_id=person).select_related("room").order_by("-pk")
    if page.after:
        rows = rows.filter(pk__lt=page.after[0])
    return [(row.pk, session_of(row)) for row in rows[: page.limit + 1]]
