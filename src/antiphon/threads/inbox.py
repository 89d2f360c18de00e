"""Accepting what was said. Every platform and the API come through `Inbox.receive`; nothing else creates tasks."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from antiphon.domain.conversation import InboundMessage, InboxStore, Receipt, check_channel_key
from antiphon.domain.errors import InvalidInput, TooLarge
from antiphon.telemetry import metrics, tracing

log = structlog.stdlib.get_logger(__name__)


def check_text(text: str, limit: int) -> None:
    """Refuse what no platform could store or show: too long, empty, NUL, or half of a surrogate pair."""
    if len(text) > limit:
        raise TooLarge(
            f"The text has {len(text)} characters; at most {limit} are taken.",
            fields={"text": f"over {limit} characters"},
        )
    if "\x00" in text:
        raise InvalidInput("The text holds a NUL character.", fields={"text": "NUL character"})
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "The text is not valid Unicode.", fields={"text": f"lone surrogate at character {error.start}"}
        ) from error


class Inbox:
    """The way in. `message_chars` is the longest text taken."""

    def __init__(self, store: InboxStore, *, message_chars: int) -> None:
        self._store = store
        self._message_chars = message_chars

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message with its task, once per dedupe key.

        Once this returns the message survives anything. Raises `InvalidInput`, `TooLarge`, `Conflict` (same id, other
        text), `NotFound` (somebody else's channel) or `StoreUnavailable`; then nothing was kept.
        """
        check_channel_key(message.channel)
        check_text(message.text, self._message_chars)
        if not message.text.strip() and not message.attachments:
            raise InvalidInput("The message is empty.", fields={"text": "empty"})
        began = datetime.now(UTC)
        receipt = await self._store.receive(message)
        if receipt.created:
            metrics.MESSAGES.labels(platform=message.platform, direction="in").inc()
            tracing.accepted(receipt.task, began, platform=message.platform)
            log.debug("message.received", task=receipt.task, thread=receipt.thread, platform=message.platform)
        return receipt
