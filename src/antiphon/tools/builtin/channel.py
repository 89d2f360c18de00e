"""What was said in this channel: the messages a summary is made of. Summarising is the brain's work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from pydantic import Field

from antiphon.domain.conversation import Author, Message, ThreadStore
from antiphon.domain.errors import ToolError
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.when import NotATime, parse_day, parse_duration
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare

USUAL = 100
MOST = 300
_CHARACTERS = 18_000
"""Of message text in one result: the latest messages that fit."""
_LONGEST = 1_500


class SummaryArguments(Arguments):
    """How far back."""

    messages: int = Field(USUAL, ge=1, le=MOST, description="How many of the latest messages.")
    since: str = Field(
        "", max_length=60, description='Only what was said since: "2 hours" (ago), "yesterday", "monday"; or empty.'
    )


class ChannelSummary(Tool[SummaryArguments]):
    """`channel.summary`.

    Reads the channel of the request and no other, so the requester sees nothing they could not have read there.
    """

    spec = declare(
        "channel.summary",
        "The latest messages of this channel, for a summary of what was said. Summarise them for the requester.",
        SummaryArguments,
        Risk.READ,
        output_limit=24_000,
    )
    arguments = SummaryArguments

    def __init__(self, threads: ThreadStore) -> None:
        self._threads = threads

    async def run(self, call: ToolCall[SummaryArguments]) -> ToolResult:
        """The messages, oldest first, without the request itself."""
        since = _since(call.arguments.since, call) if call.arguments.since else None
        count = MOST if since is not None else call.arguments.messages
        found = await self._threads.recent(call.requester.channel, before=None, limit=count + 1)
        # The last thing said is the request for the summary.
        asked = max((m.id for m in found if m.author is Author.PERSON), default=0)
        said = [m for m in found if m.id != asked and m.text.strip() and (since is None or m.at >= since)]
        kept = _fitting(said)
        data: dict[str, object] = {
            "count": len(kept),
            "left_out": len(said) - len(kept),
            "since": since.astimezone(call.zone).isoformat(timespec="minutes") if since else "",
            "people": sorted({m.author_name for m in kept if m.author is Author.PERSON and m.author_name}),
            "messages": [
                {
                    "by": "agent" if m.author is Author.AGENT else m.author_name or "somebody",
                    "at": f"{m.at.astimezone(call.zone):%Y-%m-%d %H:%M}",
                    "text": m.text[:_LONGEST],
                }
                for m in kept
            ],
        }
        return ToolResult(f"{len(kept)} messages", data, source="messages of this channel")


def _fitting(said: Sequence[Message]) -> Sequence[Message]:
    """The latest messages whose text fits into one result."""
    left = _CHARACTERS
    for index in range(len(said) - 1, -1, -1):
        left -= min(len(said[index].text), _LONGEST) + 60
        if left < 0:
            return said[index + 1 :]
    return said


def _since(words: str, call: ToolCall[SummaryArguments]) -> datetime:
    try:
        return call.now - parse_duration(words)
    except (NotATime, OverflowError):
        pass
    try:
        day = parse_day(words, call.now, call.zone, call.language)
    except NotATime:
        raise ToolError(f"I do not understand since when “{words}” is. Try “2 hours” or “yesterday”.") from None
    today = call.now.astimezone(call.zone).date()
    while day > today:  # "since monday" means the last one
        day -= timedelta(days=7)
    return datetime.combine(day, time(), call.zone).astimezone(UTC)
