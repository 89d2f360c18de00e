"""A platform in memory that shows what people would see, and fails on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.replies import Delivery

Failure = Callable[[Delivery], Exception | None]


class FakePlatform:
    """Implements `domain.platforms.Platform`. `shown` is the channel as a person sees it: (native id, text) in order.

    `fail` may return an exception for a call before it has any effect; `lose_answer` raises after the effect, as a
    broken connection does. `seconds` is how long a request takes.
    """

    def __init__(self, name: str = "telegram", limits: PlatformLimits | None = None, seconds: float = 0.0) -> None:
        self.name = name
        self.limits = limits or PlatformLimits()
        self.seconds = seconds
        self.shown: dict[str, list[tuple[str, str]]] = {}
        self.calls: list[tuple[str, int, str]] = []
        self.fail: Failure = lambda _: None
        self.lose_answer: Failure = lambda _: None
        self._reply_of: dict[str, int] = {}

    def texts(self, channel: str) -> list[str]:
        """The texts of a channel in order."""
        return [text for _, text in self.shown.get(channel, [])]

    async def send(self, delivery: Delivery) -> str:
        """Show a new message."""
        await self._before("send", delivery)
        native_id = f"n{len(self._reply_of) + 1}"
        self._reply_of[native_id] = delivery.reply
        self.shown.setdefault(delivery.channel, []).append((native_id, delivery.text))
        if error := self.lose_answer(delivery):
            raise error
        return native_id

    async def edit(self, delivery: Delivery) -> None:
        """Replace a message's text."""
        await self._before("edit", delivery)
        rows = self.shown[delivery.channel]
        self.shown[delivery.channel] = [
            (native, delivery.text if native == delivery.native_id else text) for native, text in rows
        ]

    async def find(self, delivery: Delivery) -> str | None:
        """Look the reply up."""
        await self._before("find", delivery)
        if not self.limits.reconciles:
            return None
        return next((native for native, reply in self._reply_of.items() if reply == delivery.reply), None)

    async def _before(self, what: str, delivery: Delivery) -> None:
        self.calls.append((what, delivery.reply, delivery.text))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if error := self.fail(delivery):
            raise error
