"""What the API reads of spoken sessions beside their port: the list with its pages."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery

from antiphon.api.paging import Page
from antiphon.domain.conversation import Author
from antiphon.domain.voice import VoiceSession
from antiphon.store.db import Tx
from antiphon.store.models import VoiceSegment
from antiphon.store.models import VoiceSession as Row
from antiphon.store.voice import session_of


def sessions(_tx: Tx, person: int, page: Page) -> list[tuple[int, VoiceSession, str]]:
    """A person's sessions with their sort keys and the first words that the person said, newest first."""
    said = VoiceSegment.objects.filter(session=OuterRef("pk"), author=Author.PERSON.value).order_by("number")
    rows = Row.objects.filter(person_id=person).select_related("room").order_by("-pk")
    if page.after:
        rows = rows.filter(pk__lt=page.after[0])
    rows = rows.annotate(first_words=Subquery(said.values("text")[:1]))[: page.limit + 1]
    return [(row.pk, session_of(row), row.first_words or "") for row in rows]  # pyright: ignore[reportAttributeAccessIssue] - annotated
