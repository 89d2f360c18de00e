"""The rolling summary of a long thread: what does not fit into the context any more, in short. Used by `context`.

A summary is stored and grows: the stored one and the messages since it make the next. It is made of what was said by
picking sentences, which takes milliseconds and needs no model; where a model is configured, it rewrites the summary
after the turn, so that no answer waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from antiphon.brain.offline.extract import summarise
from antiphon.config.providers import OFFLINE
from antiphon.domain.conversation import Author, Message
from antiphon.domain.memories import Summary, SummaryStore

SENTENCES = 12
CHARACTERS = 2_500
STEP = 20
"""Messages that fall out of the context before the summary is stored anew; until then it is made for the turn."""
BATCH = 200
"""Messages that are read for it at once; a longer gap is caught up over the following turns."""


class RollingSummary:
    """Gives the summary of a thread's older messages and keeps it up to date."""

    def __init__(self, store: SummaryStore) -> None:
        self._store = store

    async def before(self, thread: int, message: int, language: str) -> Summary | None:
        """What was said in `thread` before `message` (the first one that is in the context as it is).

        None when nothing was. Stores what had to be made anew.
        """
        known = await self._store.summary(thread)
        upto = known.upto if known else 0
        since = await self._store.unsummarised(thread, after=upto, before=message, limit=BATCH)
        if not since:
            return known
        text = await asyncio.to_thread(extract, known.text if known else "", since, language)
        made = Summary(thread, since[-1].id, text, OFFLINE)
        if known is None or len(since) >= STEP:
            await self._store.keep(made)
        return made


def extract(so_far: str, since: Sequence[Message], language: str) -> str:
    """A summary by picking sentences out of the earlier one and the messages since, with who said them."""
    said = [_line(message) for message in since if message.text.strip()]
    earlier = [so_far] if so_far else []
    return summarise([*earlier, *said], sentences=SENTENCES, language=language)[:CHARACTERS]


def _line(message: Message) -> str:
    who = (message.author_name or "somebody") if message.author is Author.PERSON else "you"
    return f"{who}: {message.text}"
