"""Implements `domain.ports.FeedbackStore`: thumbs up and down. Called by the API."""

from __future__ import annotations

from antiphon.domain.conversation import Author
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.ports import Clock
from antiphon.store import models
from antiphon.store.db import Database, Tx

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
            if not models.Message.objects.filter(pk=message, author=Author.AGENT).exists():
                raise NotFound("There is no such answer.")
            models.Feedback.objects.update_or_create(
                message_id=message, person_id=person, defaults={"value": value, "text": text, "created_at": now}
            )

        await self._database.run(rate)
