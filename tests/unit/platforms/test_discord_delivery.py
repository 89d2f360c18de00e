"""Looking for a reply that may have arrived: from when it was made on, and so far only as is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from antiphon.domain.errors import DeliveryUnsettled
from antiphon.domain.replies import Delivery, ReplyKind
from antiphon.platforms.discord.delivery import DiscordPlatform
from antiphon.platforms.discord.ids import snowflake_at

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ASKED = snowflake_at(NOON - timedelta(days=3))


class Channel:
    """A channel in which somebody else says `busy` messages after noon, with our reply among them."""

    def __init__(self, busy: int, ours_at: int) -> None:
        author = {"id": "9"}
        self.messages = [
            {"id": str(int(snowflake_at(NOON)) + number), "author": author, "content": "la"} for number in range(busy)
        ]
        if ours_at < busy:
            reference = {"message_reference": {"message_id": ASKED}}
            self.messages[ours_at] |= {"author": {"id": "7"}, "content": "Answer", **reference}
        self.calls = 0

    async def me(self) -> dict[str, str]:
        return {"id": "7"}

    async def call(self, route: object, *, query: dict[str, str], channel: str) -> list[dict[str, Any]]:
        self.calls += 1
        return [dict(one) for one in self.messages if int(one["id"]) > int(query["after"])][:100]

    async def delivered(self, channel: str, ids: Sequence[str]) -> list[str]:
        return []

    async def find(self) -> str | None:
        delivery = Delivery(
            reply=1,
            channel="discord:5",
            text="Answer",
            kind=ReplyKind.ANSWER,
            attempt=2,
            task=1,
            reply_to=ASKED,
            created_at=NOON,
            doubtful=True,
        )
        return await DiscordPlatform(cast("Any", self), cast("Any", self), cast("Any", None)).find(delivery)


async def test_a_reply_is_found_among_two_thousand_messages() -> None:
    channel = Channel(busy=2500, ours_at=1900)
    assert await channel.find() == channel.messages[1900]["id"]
    quiet = Channel(busy=30, ours_at=99)
    assert await quiet.find() is None, "it is surely not there"
    assert quiet.calls == 1, "what was said before it was made is not read"


async def test_beyond_them_it_is_said_that_nobody_looked() -> None:
    channel = Channel(busy=2500, ours_at=2400)
    with pytest.raises(DeliveryUnsettled, match="2000 messages"):
        await channel.find()
