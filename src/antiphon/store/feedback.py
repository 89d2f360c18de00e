"""Implements `domain.memories.FeedbackStore`: thumbs and corrections. Called by the API and the brain's context."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Author
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.memories import Lesson
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.store.full_text import matching
from antiphon.store.search_terms import query_terms

_TEXT_CHARS = 4000


class DjangoFeedbackStore:
    """Opinions about answers. Whether the person may see the message is checked by the caller."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def rate(self, message: int, person: int, value: int, text: str) -> None:
        """Store a person's opinion (1 or -1) of an agent's message; a second one replaces the first. `NotFound`."""
        if value not in (1, -1):
            raise InvalidInput("An opinion is 1 or -1.", fields={"value": "not 1 or -1"})
        if len(text) > _TEXT_CHARS or "\x00" in text:
            raise InvalidInput(
                f"A remark has up to {_TEXT_CHARS} characters.", fields={"text": "too long, or a NUL character"}
            )
        now = self._clock.now()

        def rate(_: Tx) -> None:
            answers = models.Message.objects.select_related("answers__message")
            row = answers.filter(pk=message, author=Author.AGENT).first()
            if row is None:
                raise NotFound("There is no such answer.")
            asked = row.answers.message if row.answers else None
            question = asked.text if asked is not None and asked.author == Author.PERSON else ""
            models.Feedback.objects.update_or_create(
                message_id=message,
                person_id=person,
                defaults={"value": value, "text": text.strip(), "question": question, "created_at": now},
            )

        await self._database.run(rate)

    async def retract(self, feedback: int, person: int) -> None:
        """Take an opinion back: from then on it changes nothing. `NotFound` when it is not there or not theirs."""

        def retract(_: Tx) -> None:
            gone, _rows = models.Feedback.objects.filter(pk=feedback, person_id=person).delete()
            if not gone:
                raise NotFound("There is no such opinion.")

        await self._database.run(retract)

    async def lessons(self, person: int, question: str, limit: int) -> Sequence[Lesson]:
        """A person's opinions of answers to questions like this one, the most alike first."""

        def read(tx: Tx) -> list[Lesson]:
            found = matching(tx, "antiphon_feedback", f"person{person}", query_terms(question), limit, person)
            rows = models.Feedback.objects.select_related("message").in_bulk(found)
            return [_lesson(rows[number]) for number in found if number in rows]

        return await self._database.read(read)


def _lesson(row: models.Feedback) -> Lesson:
    return Lesson(
        id=row.pk,
        value=row.value,
        question=row.question,
        answer=row.message.text,
        correction=row.text,
        at=row.created_at,
    )
