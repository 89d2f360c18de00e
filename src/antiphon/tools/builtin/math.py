"""Sums. The arithmetic itself is in `arithmetic.py`, which the offline model asks too."""

from __future__ import annotations

from pydantic import Field

from antiphon.domain.errors import ToolError
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.arithmetic import LONGEST, NotASum, OutOfBounds, calculate, spoken, to_expression
from antiphon.tools.tool import Arguments, Tool, ToolCall, ToolResult, declare


class MathArguments(Arguments):
    """The sum."""

    expression: str = Field(
        min_length=1, max_length=LONGEST, description='Such as "15% of 80", "2^10" or "sqrt(2) * 3".'
    )


class MathCalculate(Tool[MathArguments]):
    """`math.calculate`."""

    spec = declare(
        "math.calculate",
        "Calculate exactly: + - * / % ^, percentages, roots, factorials, logarithms, angles in degrees, averages.",
        MathArguments,
        Risk.READ,
    )
    arguments = MathArguments

    async def run(self, call: ToolCall[MathArguments]) -> ToolResult:
        """The value, exact where it can be."""
        text = call.arguments.expression
        try:
            value, exact = spoken(calculate(text))
        except OutOfBounds as error:
            raise ToolError(str(error)) from error
        except NotASum:
            raise ToolError(f"I cannot read “{text}” as a sum.") from None
        data: dict[str, object] = {
            "asked": text,
            "expression": to_expression(text) or text,
            "value": value,
            "exact": exact,
        }
        return ToolResult(f"{text} = {value}" if exact else f"{text} ≈ {value}", data)
