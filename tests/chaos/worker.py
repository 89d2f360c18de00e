"""A worker like the product's, with one more platform and one tool whose effects land in the receiver's log.

`tests.chaos.forking` runs it. Settings come from the environment as for the product; RECEIVER is the receiver's
address.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import httpx

from antiphon.config import load_settings
from antiphon.domain.errors import DeliveryRetry
from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.replies import Delivery
from antiphon.domain.tools import Risk
from antiphon.run.wiring import Extras, open_antiphon
from antiphon.telemetry.logs import configure_logging
from antiphon.tools.builtin.dice import DiceArguments, DiceRoll
from antiphon.tools.catalog import AnyTool
from antiphon.tools.tool import Tool, ToolCall, ToolResult, declare


class ReceiverPlatform:
    """Delivers into the receiver's log, and can read it."""

    name = "telegram"
    limits = PlatformLimits(text=4000, reconciles=True)

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, delivery: Delivery) -> str:
        try:
            answer = await self._client.post(
                "/send",
                json={
                    "channel": delivery.channel,
                    "reply": delivery.reply,
                    "task": delivery.task,
                    "reply_kind": delivery.kind,
                    "text": delivery.text,
                    "pid": os.getpid(),
                },
            )
        except httpx.HTTPError as error:
            raise DeliveryRetry("the receiver broke off", maybe_sent=True) from error
        return str(answer.json()["id"])

    async def edit(self, delivery: Delivery) -> None:
        raise AssertionError("this platform shows no drafts")

    async def find(self, delivery: Delivery) -> str | None:
        try:
            answer = await self._client.get("/find", params={"channel": delivery.channel, "reply": delivery.reply})
        except httpx.HTTPError as error:
            raise DeliveryRetry("the receiver broke off") from error
        return answer.json()["id"]


class LoggedDice(Tool[DiceArguments]):
    """The dice as a tool with an effect outside: a roll must never happen twice for one message."""

    spec = declare("dice.roll", DiceRoll.spec.description, DiceArguments, Risk.OWN)
    arguments = DiceArguments

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def run(self, call: ToolCall[DiceArguments]) -> ToolResult:
        dice = call.arguments.dice
        await self._client.post("/tool", json={"dice": dice, "channel": call.requester.channel, "pid": os.getpid()})
        return ToolResult(summary=f"{dice}: 3", data={"dice": dice, "rolls": [3], "plus": 0, "total": 3})


class LoggedTools:
    """The source of the one tool."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._tools = (LoggedDice(client),)

    def tools(self) -> Sequence[AnyTool]:
        return self._tools


async def main() -> None:
    settings = load_settings()
    configure_logging(settings.log)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with httpx.AsyncClient(base_url=os.environ["RECEIVER"], timeout=5) as client:
        extras = Extras(platforms={"telegram": ReceiverPlatform(client)}, tools=(LoggedTools(client),))
        async with open_antiphon(settings, stop=stop, extras=extras) as antiphon:
            await antiphon.work(stop)
