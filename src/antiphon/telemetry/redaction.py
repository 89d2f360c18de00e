"""Takes secrets out of text at the edges: every log line (`telemetry.logs`), and what a tool call records and returns
(`tools.execute`). The tool itself gets its arguments as they are.

Secrets are redacted where they go out and nowhere else: a value that is changed on its way in would one day be written
back to the place it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import cast

MARK = "[secret removed]"
SHORTEST = 8
"""Configured values shorter than this are not searched for: they would eat ordinary words."""

_PATTERNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        r"\bant_[A-Za-z0-9_-]{8,}",
        r"\bsk-[A-Za-z0-9_-]{16,}",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{12,}=*",
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+",
        r"\b[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",  # a bot's token of Discord
        r"(?<=/welcome/)[A-Za-z0-9_-]{8,}",  # the token of a sign-in link
        r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user and password of an address
        r"(?<=/bot)\d+:[A-Za-z0-9_-]{20,}",  # Telegram puts its token into the path
    )
)


class Redactor:
    """Replaces known kinds of secrets, and the `secrets` that are configured here, by a mark."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({value for value in secrets if len(value) >= SHORTEST}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, values))) if values else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._values is not None:
            text = self._values.sub(MARK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(MARK, text)
        return text

    def value(self, value: object) -> object:
        """The same for every string inside a JSON-like value, keys included; anything else is returned as it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {self.text(str(key)): self.value(item) for key, item in items}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in cast("Iterable[object]", value)]
        return value

    def mapping(self, value: Mapping[str, object]) -> dict[str, object]:
        """`value` for a mapping with string keys."""
        return {self.text(key): self.value(item) for key, item in value.items()}
