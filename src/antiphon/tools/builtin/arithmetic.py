"""Sums in words or signs, calculated exactly and within bounds. Used by `math.calculate` and the offline model.

`to_expression` turns "15% of 80" or "the square root of 144" into a Python expression of a closed vocabulary;
`calculate` evaluates such an expression with fractions, so 0.1 + 0.2 is 0.3.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial

from antiphon.tools.builtin.numbers import digits

LONGEST = 300
LARGEST_DIGITS = 400
"""Numbers with more digits than this are refused before they are computed."""


class NotASum(ValueError):
    """The text is no arithmetic."""


class OutOfBounds(ValueError):
    """The sum is arithmetic, but not one to be computed here. The message is for people."""


_N = r"(\(.+?\)|-?\d+(?:\.\d+)?%?)"
_PERCENT = "(?:%|percent|per cent|pct)"
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\b(?:the )?(?:sum|total) of (.+?) and (.+)", r"(\1) + (\2)"),
        (r"\b(?:the )?product of (.+?) and (.+)", r"(\1) * (\2)"),
        (r"\b(?:the )?difference (?:between|of) (.+?) and (.+)", r"(\1) - (\2)"),
        (r"\b(?:the )?quotient of (.+?) and (.+)", r"(\1) / (\2)"),
        (rf"^add {_N} (?:and|to|with|plus) {_N}(?: together)?$", r"\2 + \1"),
        (rf"^(?:subtract|take|deduct) {_N} (?:away )?from {_N}$", r"\2 - \1"),
        (rf"^multiply {_N} (?:by|and|with|times) {_N}$", r"\1 * \2"),
        (rf"^divide {_N} (?:by|into) {_N}$", r"\1 / \2"),
        (rf"^{_N} go(?:es)? into {_N}$", r"\2 / \1"),
        (rf"^(?:double|twice) {_N}$", r"2 * \1"),
        (rf"^(?:triple|three times|thrice) {_N}$", r"3 * \1"),
        (rf"^(?:halve|split) {_N}(?: in half)?$", r"\1 / 2"),
        (rf"\b(?:split|divide) (?:an? )?{_N}(?: bill| check| tab)? (?:by |into )?{_N} ways", r"\1 / \2"),
        (rf"\b(?:split|divide) {_N} (?:evenly )?(?:between|among|by|into) {_N}(?: \w+)?", r"\1 / \2"),
        (rf"\b{_N} ?{_PERCENT} (?:tip )?(?:of|on|from) (?:an? )?(?:\w+ of )?{_N}(?: \w+)?", r"(\1) / 100 * \2"),
        (r"\b(\d+)/(\d+) of (?=[\d(])", r"(\1/\2) * "),
        (r"(?<=\d) dozen\b", " * 12"),
        (rf"\b{_N} ?{_PERCENT} off (?:of )?{_N}", r"\2 * (1 - (\1) / 100)"),
        (rf"\b{_N} (?:plus|\+|and add|increased by|with) {_N} ?{_PERCENT}(?: tax| vat)?", r"\1 * (1 + (\2) / 100)"),
        (rf"\badd {_N} ?{_PERCENT} to {_N}", r"\2 * (1 + (\1) / 100)"),
        (rf"\b{_N} (?:minus|-|less|decreased by|reduced by) {_N} ?{_PERCENT}", r"\1 * (1 - (\2) / 100)"),
        (rf"\b{_N} ?(?:percent|per cent)\b", r"(\1) / 100"),
        (rf"\b(?:what )?percent(?:age)? of {_N} is {_N}", r"\2 / \1 * 100"),
        (rf"\b{_N} as a percentage of {_N}", r"\1 / \2 * 100"),
        (r"\b(?:a |1 )?half of\b", "0.5 *"),
        (r"\b(?:a |1 )?third of\b", "(1 / 3) *"),
        (r"\b(?:2|two) thirds of\b", "(2 / 3) *"),
        (r"\b(?:a |1 )?(?:quarter|fourth) of\b", "0.25 *"),
        (r"\b(?:3|three) quarters of\b", "0.75 *"),
        (r"\b(?:a |1 )?(fifth|sixth|eighth|tenth) of\b", r"\1 *"),
        (r"\b(?:the )?(?:cube root|cubic root) (?:of )?", "cbrt "),
        (r"\b(?:the )?(?:square root|sqrt|root) (?:of |from )?", "sqrt "),
        (r"√", "sqrt "),
        (r"\b(?:the )?(?:factorial of|factorial) ", "factorial "),
        (rf"{_N} factorial\b", r"factorial \1"),
        (rf"{_N}\s?!(?!=)", r"factorial \1"),
        (r"\b(?:the )?(?:natural log(?:arithm)?|ln) (?:of )?", "ln "),
        (r"\b(?:the )?(?:log(?:arithm)?|log10) (?:of )?", "log "),
        (r"\b(?:the )?(?:absolute value of|abs of) ", "abs "),
        (r"\b(?:the )?(?:sine|sin) (?:of )?", "sin "),
        (r"\b(?:the )?(?:cosine|cos) (?:of )?", "cos "),
        (r"\b(?:the )?(?:tangent|tan) (?:of )?", "tan "),
        (r"\bto the second(?: power)?\b", "** 2"),
        (r"\bto the third(?: power)?\b", "** 3"),
        (rf"^(?:the )?square of {_N}", r"\1 ** 2"),
        (rf"^(?:the )?cube of {_N}", r"\1 ** 3"),
        (rf"^raise {_N} \*\*", r"\1 **"),
        (rf"^(?:the )?remainder (?:of|when|from) {_N} (?:is )?divided by {_N}", r"\1 % \2"),
        (rf"^{_N} more than {_N}$", r"\2 + \1"),
        (rf"^{_N} less than {_N}$", r"\2 - \1"),
        (rf"^(?:increase|raise) {_N} by {_N} ?{_PERCENT}", r"\1 * (1 + (\2) / 100)"),
        (rf"^(?:decrease|reduce|lower) {_N} by {_N} ?{_PERCENT}", r"\1 * (1 - (\2) / 100)"),
        (rf"^square {_N}$", r"\1 ** 2"),
        (rf"^cube {_N}$", r"\1 ** 3"),
        (rf"{_N} squared\b", r"\1 ** 2"),
        (rf"{_N} cubed\b", r"\1 ** 3"),
        (r"\b(?:raised )?to the power (?:of )?", "** "),
        (r"\b(?:raised )?to the (\d+)(?:st|nd|rd|th)(?: power)?", r"** \1"),
        (r"\bto the (?=\d)", "** "),
        (r"\bpower of ", ""),
        (r"(?<=[\d)])\s*(?:multiplied by|multiplied with|times|x|\u00d7|\u00b7)\s*(?=[-\d(a-z])", " * "),
        (r"(?<=[\d)])\s*(?:divided by|over|÷|:)\s*(?=[-\d(a-z])", " / "),
        (r"(?<=[\d)])\s*(?:plus|and|added to|in addition to)\s*(?=[-\d(a-z])", " + "),
        (r"(?<=[\d)])\s*(?:minus|less|take away|\u2212|\u2013)\s*(?=[-\d(a-z])", " - "),
        (r"(?<=[\d)])\s*(?:modulo|modulus|mod)\s*(?=[-\d(])", " % "),
        (r"\^", "**"),
        (r"\b(?:minus|negative) (?=\d)", "-"),
        (r"\bpi\b|π", "pi"),
    )
)  # fmt: skip
_LIST = re.compile(
    r"^(?:add (?:up |together )?|(?:the )?(?P<what>average|mean|sum|total)(?: of)? )"
    r"(?P<items>-?[\d.]+(?:(?:,| and|, and|) -?[\d.]+)+)(?: together)?$"
)
_FRACTIONS = {"fifth": "0.2", "sixth": "(1 / 6)", "eighth": "0.125", "tenth": "0.1"}
_FUNCTIONS = ("sqrt", "cbrt", "factorial", "ln", "log", "abs", "sin", "cos", "tan")
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d{1,3})?%?|\.\d+|\*\*|//|[-+*/%(),]|[a-z]+\d*)", re.IGNORECASE)
_NAMES = frozenset((*_FUNCTIONS, "sum", "mean", "pi", "e", "round", "min", "max"))


def to_expression(text: str) -> str | None:
    """The sum in the text as an expression, or None when it is not a sum or only a number."""
    work = digits(text.casefold().strip(" ?.=!" if not re.search(r"\d\s?!$", text) else " ?.="))
    if not work or len(work) > LONGEST or not re.search(r"\d|pi\b|π", work):
        return None
    work = re.sub(r"[$€£]|\b(?:dollars?|euros?|bucks|usd|eur)\b", "", work)
    work = re.sub(r"^(?:an?|the) (?=\d)", "", work).replace("“", "").replace("”", "")
    work = _LIST.sub(_comma_list, re.sub(r"(?<=\d),(?=\d{3}\b)", "", work))
    for pattern, new in _REWRITES:
        work = pattern.sub(new, work)
    for word, value in _FRACTIONS.items():
        work = re.sub(rf"\b{word} \*", f"{value} *", work)
    # "sqrt 16" -> "sqrt(16)"
    work = re.sub(rf"\b({'|'.join(_FUNCTIONS)}) +(-?\d+(?:\.\d+)?%?|pi)", r"\1(\2)", work)
    work = re.sub(r"(\d+(?:\.\d+)?)%(?!\s*[\d(])", r"(\1/100)", work)
    position, names, operators = 0, 0, 0
    while position < len(work.rstrip()):
        match = _TOKEN.match(work, position)
        if match is None:
            return None
        token = match[1]
        if token[0].isalpha():
            if token not in _NAMES:
                return None
            names += token not in ("pi", "e")
        operators += token in ("+", "-", "*", "/", "//", "%", "**")
        position = match.end()
    if (not names and not operators) or re.fullmatch(r"\s*-\s*\d+(\.\d+)?\s*", work):
        return None
    if re.fullmatch(r"\s*\d{1,4}\s*[-/]\s*\d{1,2}\s*[-/]\s*\d{1,4}\s*", work) or not _parses(work):
        return None
    return re.sub(r"\s+", " ", work).strip()


def _comma_list(match: re.Match[str]) -> str:
    function = "mean" if match["what"] in ("average", "mean") else "sum"
    return f"{function}({','.join(re.findall('-?[0-9.]*[0-9]', match['items']))})"


def calculate(text: str) -> Fraction | float:
    """The value of a sum. Raises `NotASum`, or `OutOfBounds` with words for the person."""
    if len(text) > LONGEST:
        raise OutOfBounds("That sum is too long for me.")
    expression = to_expression(text) or text.strip()
    if expression == text.strip() and not re.fullmatch(r"-?\d+(\.\d+)?", expression) and not to_expression(text):
        raise NotASum(text)
    try:
        parsed = ast.parse(expression.strip(), mode="eval")
        value = _evaluate(parsed, lambda constant: ast.get_source_segment(expression.strip(), constant) or "0")
    except ZeroDivisionError:
        raise OutOfBounds("Nothing can be divided by zero.") from None
    except (OverflowError, MemoryError, RecursionError):
        raise OutOfBounds("That number is too large for me.") from None
    except (SyntaxError, TypeError, ValueError) as error:
        if isinstance(error, NotASum | OutOfBounds):
            raise
        raise NotASum(text) from error
    if isinstance(value, complex) or not isinstance(value, Fraction | float | int):
        raise NotASum(text)
    return value if isinstance(value, float) else _bounded(Fraction(value))


def spoken(value: Fraction | float) -> tuple[str, bool]:
    """A value as people write it, and whether that is the exact value: at most 12 significant decimals."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return f"{value.numerator:,}" if abs(value) < 10**21 else str(value.numerator), True
        with localcontext() as context:
            context.prec = 40
            number = Decimal(value.numerator) / Decimal(value.denominator)
        exact = set(_prime_factors(value.denominator)) <= {2, 5} and Fraction(round(number, 12)) == value
        shown = number if exact else round(number, 12 if abs(number) < 1 else 10)
        text = f"{shown:f}"
        return _grouped(text.rstrip("0").rstrip(".") if "." in text else text), exact
    if value != value or value in (math.inf, -math.inf):
        raise OutOfBounds("That has no value I can write down.")
    return _grouped(f"{value:.12g}"), False


def _grouped(text: str) -> str:
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if re.fullmatch(r"-?\d+", whole) and whole != "-0" else text


def _prime_factors(number: int) -> list[int]:
    found: list[int] = []
    for prime in (2, 5):
        while number % prime == 0:
            number //= prime
            found.append(prime)
    return found if number == 1 else [*found, 3]


def _parses(expression: str) -> bool:
    try:
        compile(expression.strip(), "sum", "eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator).bit_length() > LARGEST_DIGITS * 3.33:
        raise OutOfBounds(f"That number has more than {LARGEST_DIGITS} digits; that is too large for me.")
    return value


def _number(value: object) -> Fraction | float:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise NotASum(str(value))
    return value if isinstance(value, float) else _bounded(Fraction(value))


def _power(base: object, exponent: object) -> Fraction | float:
    low, high = _number(base), _number(exponent)
    if isinstance(low, Fraction) and isinstance(high, Fraction) and high.denominator == 1:
        size = max(abs(low.numerator), low.denominator)
        if size > 1 and abs(high) * size.bit_length() > LARGEST_DIGITS * 3.4:
            raise OutOfBounds("That power is too large for me.")
        return low ** int(high)
    if low < 0:
        raise OutOfBounds("Roots of negative numbers are beyond me.")
    return float(low) ** float(high)


def _root(value: object, degree: int) -> Fraction | float:
    number = _number(value)
    if number < 0 and degree % 2 == 0:
        raise OutOfBounds("Negative numbers have no real square root.")
    if isinstance(number, Fraction):
        parts = [_whole_root(part, degree) for part in (abs(number.numerator), number.denominator)]
        if parts[0] is not None and parts[1] is not None:
            return Fraction(parts[0], parts[1]) * (-1 if number < 0 else 1)
    return math.copysign(abs(float(number)) ** (1 / degree), float(number))


def _whole_root(value: int, degree: int) -> int | None:
    root = math.isqrt(value) if degree == 2 else round(value ** (1 / degree))
    return root if root**degree == value else None


def _factorial(value: object) -> Fraction:
    number = _number(value)
    if not isinstance(number, Fraction) or number.denominator != 1 or number < 0:
        raise OutOfBounds("A factorial needs a whole number that is not negative.")
    if number > 200:
        raise OutOfBounds("I compute factorials up to 200.")
    return Fraction(math.factorial(int(number)))


def _logarithm(function: Callable[[float], float]) -> Callable[[object], float]:
    def logarithm(value: object) -> float:
        number = _number(value)
        if number <= 0:
            raise OutOfBounds("Only positive numbers have a logarithm.")
        return function(float(number))

    return logarithm


def _degrees(function: Callable[[float], float]) -> Callable[[object], float]:
    """Angles are in degrees, as people say them."""
    return lambda value: round(function(math.radians(float(_number(value)))), 12)


def _sum(*values: object) -> Fraction | float:
    return sum((_number(value) for value in values), Fraction(0))


def _mean(*values: object) -> Fraction | float:
    return _sum(*values) / max(len(values), 1)


def _round(value: object, places: object = 0) -> Fraction | float:
    return Fraction(round(_number(value), int(_number(places))))


def _absolute(value: object) -> Fraction | float:
    return abs(_number(value))


def _functions() -> dict[str, Callable[..., object]]:
    return {
        "sqrt": partial(_root, degree=2),
        "cbrt": partial(_root, degree=3),
        "factorial": _factorial,
        "ln": _logarithm(math.log),
        "log": _logarithm(math.log10),
        "abs": _absolute,
        "sin": _degrees(math.sin),
        "cos": _degrees(math.cos),
        "tan": _degrees(math.tan),
        "sum": _sum,
        "mean": _mean,
        "round": _round,
        "min": lambda *values: min(map(_number, values)),
        "max": lambda *values: max(map(_number, values)),
    }


_CONSTANTS = {"pi": math.pi, "e": math.e}


def _operators() -> dict[type[ast.AST], Callable[[object, object], Fraction | float]]:
    return {
        ast.Add: lambda a, b: _number(a) + _number(b),
        ast.Sub: lambda a, b: _number(a) - _number(b),
        ast.Mult: lambda a, b: _number(a) * _number(b),
        ast.Div: lambda a, b: _number(a) / _number(b),
        ast.FloorDiv: lambda a, b: Fraction(_number(a) // _number(b)),
        ast.Mod: lambda a, b: _number(a) % _number(b),
        ast.Pow: _power,
    }


_OPERATORS = _operators()
_FUNCTION_TABLE = _functions()


def _evaluate(node: ast.AST, literal: Callable[[ast.Constant], str]) -> object:
    """The value of a parsed sum: numbers, the operators and functions above, and nothing else."""
    match node:
        case ast.Expression(body=body):
            return _evaluate(body, literal)
        case ast.Constant(value=int() | float()):
            return Fraction(literal(node))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_evaluate(operand, literal))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(_evaluate(operand, literal))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _number(_OPERATORS[type(operator)](_evaluate(left, literal), _evaluate(right, literal)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTION_TABLE:
            return _FUNCTION_TABLE[name](*(_evaluate(arg, literal) for arg in args))
        case _:
            raise NotASum("not arithmetic")
