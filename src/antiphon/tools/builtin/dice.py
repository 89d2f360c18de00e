"""Dice and coins, from the system's random source."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.numbers import digits
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare

MOST_DICE = 100
MOST_SIDES = 1000
_NOTATION = re.compile(r"(\d*)\s?d\s?(\d+|%)(?:\s?([+-])\s?(\d+))?")
_SIDED = re.compile(
    r"(?:(\d+|an?|the|some|one|a pair of|a couple of|pair of)\s)?(?:(\d+)[\s-]?(?:sided|faced|side)\s)?(?:six-sided\s)?"
    r"(?:regular |normal |standard |ordinary |fair )?(?:dice|die|dices)"
    r"(?:\swith\s(\d+)\s(?:sides|faces))?(?:\s(?:times|once))?"
)


@dataclass(frozen=True, slots=True)
class Dice:
    """Like 2d6+1."""

    count: int
    sides: int
    plus: int = 0

    def __str__(self) -> str:
        return f"{self.count}d{self.sides}" + (f"{self.plus:+d}" if self.plus else "")


def parse_dice(text: str) -> Dice | None:
    """ "2d6+1", "a d20", "two dice", "3 eight-sided dice": what is to be rolled, or None."""
    wanted = digits(text.casefold().strip(" .!?"))
    wanted = re.sub(r"\bplus\b", "+", re.sub(r"\bminus\b", "-", wanted))
    wanted = re.sub(
        r",? (?:and add|adding|add|with a|with|and a) ?\+? ?(\d+)(?: to it| bonus| modifier)?$", r"+\1", wanted
    )
    wanted = re.sub(r"^(?:a )?(?:pair|couple) of (?=d\d)", "2", wanted)
    wanted = re.sub(r"\bpercentile (?:dice|die)\b", "d100", wanted)
    times = re.fullmatch(r"(.+?) (?:(\d+) times|(once)|(twice)|(thrice))", wanted)
    rolls = 1
    if times:
        wanted, rolls = times[1], 1 if times[3] else 2 if times[4] else 3 if times[5] else int(times[2])
    wanted = re.sub(r"^(?:an?|the|me|some|my|your) (?=\d*\s?d\s?\d)", "", wanted)
    wanted = re.sub(r"^(\d+) d(?=\d)", r"\1d", wanted)
    if match := _NOTATION.fullmatch(re.sub(r"(?<=d\d)s$|(?<=d\d\d)s$", "", wanted)):
        plus = int(match[4] or 0) * (-1 if match[3] == "-" else 1)
        sides = 100 if match[2] == "%" else int(match[2])
        return Dice(int(match[1] or 1) * rolls, sides, plus)
    if match := _SIDED.fullmatch(wanted):
        number = match[1] or "1"
        count = 2 if "pair" in number or "couple" in number else int(number) if number.isdigit() else 1
        if number == "some":
            count = 2
        return Dice(count * rolls, int(match[2] or match[3] or 6))
    return None


class DiceArguments(Arguments):
    """What to roll."""

    dice: str = Field("1d6", max_length=60, description='Dice notation such as "2d6", "d20" or "3d8+2".')


class DiceRoll(Tool[DiceArguments]):
    """`dice.roll`."""

    spec = declare(
        "dice.roll",
        f"Roll dice, fairly: up to {MOST_DICE} dice of 2 to {MOST_SIDES} sides, with a number added if wanted.",
        DiceArguments,
        Risk.READ,
    )
    arguments = DiceArguments

    async def run(self, call: ToolCall[DiceArguments]) -> ToolResult:
        """Each die and the total."""
        dice = parse_dice(call.arguments.dice)
        if dice is None:
            raise ToolError("Write dice like 2d6, d20 or 3d8+2.")
        if not 1 <= dice.count <= MOST_DICE or not 2 <= dice.sides <= MOST_SIDES or abs(dice.plus) > 10_000:
            raise ToolError(f"I can roll 1 to {MOST_DICE} dice with 2 to {MOST_SIDES} sides each.")
        rolls = [secrets.randbelow(dice.sides) + 1 for _ in range(dice.count)]
        total = sum(rolls) + dice.plus
        data: dict[str, object] = {"dice": str(dice), "rolls": rolls, "plus": dice.plus, "total": total}
        return ToolResult(f"{dice}: {total}", data)


class CoinArguments(Arguments):
    """How many coins."""

    count: int = Field(1, ge=1, le=MOST_DICE, description="How many coins to flip.")


class CoinFlip(Tool[CoinArguments]):
    """`coin.flip`."""

    spec = declare("coin.flip", "Flip a fair coin, or several.", CoinArguments, Risk.READ)
    arguments = CoinArguments

    async def run(self, call: ToolCall[CoinArguments]) -> ToolResult:
        """Heads or tails, for each."""
        sides = [secrets.choice(("heads", "tails")) for _ in range(call.arguments.count)]
        data: dict[str, object] = {"sides": sides, "heads": sides.count("heads"), "tails": sides.count("tails")}
        return ToolResult(", ".join(sides).capitalize(), data)
