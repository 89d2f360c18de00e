"""Number words to digits ("twenty five" -> "25"), before anything is matched or calculated. Slow grammars need it."""

from __future__ import annotations

import re

_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_WORDS = {**_ONES, **_TENS, **_SCALES}
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_RUN = re.compile(
    rf"\b(?:(?:an?|\d+)\s+(?={'|'.join(_SCALES)}))?(?:{_WORD})(?:(?:[\s-]+(?:and\s+)?)(?:{_WORD}))*\b", re.I
)
_POINT = re.compile(r"\b(\d+) point ((?:\d ?)+)(?!\d)")
_ORDINAL = re.compile(rf"\b(the|twenty|thirty)[\s-]({'|'.join(_ORDINALS)})\b", re.I)


def digits(text: str) -> str:
    """The text with number words as digits. "one" that stands for a thing ("this one") stays a word."""
    text = _ORDINAL.sub(_ordinal, text)
    text = _RUN.sub(_run, text)
    return _POINT.sub(lambda m: f"{m[1]}.{m[2].replace(' ', '')}", text)


def _ordinal(match: re.Match[str]) -> str:
    lead = match[1].casefold()
    number = _ORDINALS[match[2].casefold()]
    if lead == "the":
        # "the second" and "the first" are ordinary words far more often than days of a month.
        return match[0] if number < 3 else f"the {number}th"
    return f"{_TENS[lead] + number}th"


def _run(match: re.Match[str]) -> str:
    words = re.findall(r"[a-z]+|\d+", match[0].casefold())
    if words == ["one"] and re.search(
        r"\b(this|that|which|the|no|any|every|each|another|good)\s+$", match.string[: match.start()], re.I
    ):
        return match[0]
    groups: list[int] = []
    total, current, last = 0, 0, ""
    for word in words:
        if word == "and":
            continue
        if word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
        else:
            value = 1 if word in ("a", "an") else int(word) if word.isdigit() else _WORDS[word]
            # "twenty five" and "hundred five" add up; "one two" and "ten thirty" are numbers of their own.
            joins = not last or last in _SCALES or (last in _TENS and 0 < value < 10)
            if not joins:
                groups.append(total + current)
                total, current = 0, 0
            current += value
        last = word
    groups.append(total + current)
    return " ".join(map(str, groups))
