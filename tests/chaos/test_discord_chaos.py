"""500 messages on Discord while the gateway is cut 20 times and the bot is killed with SIGKILL 10 times.

Half of the kills strike between a send and its acknowledgement: the simulated Discord has posted the message and kills
the bot instead of answering. It remembers no nonces, so what arrived is known from the channel alone. Two of them
strike after a slash command was acknowledged. In the end Discord's own record shows each message, and each command that
was acknowledged, answered exactly once, in the order of each channel.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from antiphon.config import Settings
from antiphon.sim.discord import DiscordSim
from tests.chaos.forking import Forker
from tests.integration.discord_world import roomy

MESSAGES, CUTS, KILLS = 500, 20, 10
STEPS = CUTS + KILLS
SEED = 20_27
POST = re.compile(r"POST /channels/\d+/messages$")
ACKNOWLEDGE = re.compile(r"POST /interactions/\d+/.+/callback$")


class Bot:
    """The process that is killed, and started again."""

    def __init__(self, sim: DiscordSim, settings: Settings, folder: Path) -> None:
        self._log = folder / "bot.log"
        environment = {
            **os.environ,
            "ANTIPHON_DATA_DIR": str(settings.data_dir),
            "DISCORD_TOKEN": sim.token,
            "ANTIPHON_DISCORD__CA_FILE": str(sim.ca_file),
            "ANTIPHON_DISCORD__LOOPBACK": str(sim.port),
            "ANTIPHON_LOG__LEVEL": "info",
            # The kills are ours, not a message's fault.
            "ANTIPHON_THREADS__MAX_ATTEMPTS": "50",
        }
        self.armed = False
        self.strikes = POST
        self.kills: Counter[str] = Counter()
        self._forker = Forker("tests.chaos.discord_bot", environment, self._log)
        self.process = self._forker.fork()
        sim.journal.listen(self._asked)

    def _asked(self, entry: dict[str, Any]) -> None:
        """The server has done what it was asked, and has not answered yet."""
        if self.armed and entry["kind"] == "rest" and entry["status"] < 300 and self.strikes.fullmatch(entry["route"]):
            self.armed = False
            self.kill("between send and acknowledgement")

    def kill(self, when: str) -> None:
        self.process.kill()
        self.kills[when] += 1
        self.process = self._forker.fork()

    def check(self) -> None:
        assert self.process.poll() is None, self._log.read_text()[-4000:]

    def close(self) -> None:
        self.process.kill()
        self._forker.close()


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[DiscordSim]:
    limits = roomy()
    limits.nonce_kept = 0.0
    limits.global_per_second = 1000
    async with DiscordSim(limits=limits) as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_message_is_answered_exactly_once_in_order(
    sim: DiscordSim, sqlite_settings: Settings, tmp_path: Path
) -> None:
    chance, control = random.Random(SEED), sim.control
    channels = [control.create_channel(f"chaos-{number}") for number in range(10)]
    mention = f"<@{control.bot.user.id}>"
    people = [control.user(name) for name in ("ada", "ben", "mona")]
    where: dict[int, Any] = {}
    asked: list[Any] = []
    bot = Bot(sim, sqlite_settings, tmp_path)
    try:
        await control.wait_for(lambda: control.connected, 60)
        kinds = ["cut"] * CUTS + ["between"] * (KILLS // 2) + ["now"] * (KILLS - KILLS // 2)
        chance.shuffle(kinds)
        slashes = {number for number, kind in enumerate(kinds) if kind == "between"}
        slashes = set(sorted(slashes)[1::2])
        for step, kind in enumerate(kinds):
            bot.strikes, bot.armed = ACKNOWLEDGE if step in slashes else POST, kind == "between"
            for number in range(step * MESSAGES // STEPS, (step + 1) * MESSAGES // STEPS):
                where[number] = chance.choice(channels)
                chance.choice(people).send(where[number], f"{mention} number {number}")
                await asyncio.sleep(0.005)
            if kind == "now":
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                bot.kill("at any moment")
            elif kind == "cut":
                await control.wait_for(lambda: control.connected, 60)
                control.disconnect(chance.choice([0, 1001, 4000, 4009]))
            else:
                while bot.armed and step in slashes:  # Discord keeps no command for a bot that is not there
                    if control.connected and control.bot.commands and not (asked and _pending(control, asked[-1])):
                        asked.append(control.user("ada").slash("ask", "random", {"question": f"n {1001 + len(asked)}"}))
                    await asyncio.sleep(0.1)
                await _until(lambda: not bot.armed, 60)
        await _until(lambda: sum(len(control.replies(channel)) for channel in channels) >= MESSAGES, 40, bot)
        taken = {1001 + number for number, one in enumerate(asked) if one.original is not None}
        await _until(lambda: len(control.replies("random")) >= 2 * len(taken), 20, bot)
        await asyncio.sleep(2.5)  # a doubled answer would come now
    finally:
        bot.close()
    judge(control, channels, where)
    answers = [message.content for message in control.replies("random") if message.content.startswith("Answer")]
    assert sorted(answers) == [f"Answer {number}" for number in sorted(taken)]
    assert len(taken) >= len(slashes) == 2
    assert bot.kills == {"between send and acknowledgement": KILLS // 2, "at any moment": KILLS - KILLS // 2}
    assert not [entry for entry in control.log("rest") if entry["status"] == 429]


def judge(control: Any, channels: list[Any], where: dict[int, Any]) -> None:
    """Read the channels as a person would."""
    answers = Counter(message.content for channel in channels for message in control.replies(channel))
    assert answers == Counter(f"Answer {number}" for number in where)
    for channel in channels:
        order = [int(message.content.split()[1]) for message in control.replies(channel)]
        assert order == [number for number in where if where[number] is channel]


def _pending(control: Any, interaction: Any) -> bool:
    """Whether the bot may still acknowledge it."""
    return interaction.acknowledged is None and not control.failed(interaction)


async def _until(found: Any, seconds: float, bot: Bot | None = None) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        if bot is not None:
            bot.check()
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)
