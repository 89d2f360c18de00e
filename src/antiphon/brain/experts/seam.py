"""Joins one answer out of what several models wrote, when one broke off and another went on. Used by `failover`.

The word that is being written is held back until it is whole, so that a break never leaves half a word behind and the
next model can begin with a word. What the next model repeats, the whole text or its last words, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_WORD = 40
"""Characters after which a word is shown although it may not be whole."""
_FIRST_WITHOUT_SPACES = "\u2e80"
"""Scripts from here on (Chinese, Japanese, Korean) do not separate words by spaces: nothing is held back."""
_TAIL = 400
"""Characters at the end of the shown text that a repetition is looked for in."""


class Seam:
    """The text of one answer. `shown` is what a person has seen."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._joined = ""
        self._held = ""
        self._surrogate = ""
        self._comparing = ""
        self._candidates: list[str] | None = None
        self.length = 0
        """Characters of `shown`."""

    @property
    def shown(self) -> str:
        """What has been given out so far."""
        if self._shown:
            self._joined += "".join(self._shown)
            self._shown.clear()
        return self._joined

    def begin(self) -> None:
        """A model begins, or goes on with what is shown. What was held back of the one before is forgotten."""
        self._held = self._surrogate = self._comparing = ""
        shown = self.shown
        self._candidates = [*_endings(shown), shown] if shown.strip() else None

    def add(self, text: str) -> str:
        """More text; returns what can be shown now."""
        text = self._clean(text)
        if self._candidates is not None:
            self._comparing += text
            settled = self._compare(last=False)
            if settled is None:
                return ""
            text = settled
        pending = self._held + text
        if not self.length:
            pending = pending.lstrip()
        cut = max(pending.rfind(" "), pending.rfind("\n"), pending.rfind("\t")) + 1
        if len(pending) - cut > _LONGEST_WORD or pending[-1:] >= _FIRST_WITHOUT_SPACES:
            cut = len(pending)
        self._held = pending[cut:]
        return self._show(pending[:cut])

    def end(self) -> str:
        """The model has finished: the rest of its text."""
        text = ""
        if self._candidates is not None:
            text = self._compare(last=True) or ""
        text, self._held = self._held + text, ""
        return self._show(text)

    def _show(self, text: str) -> str:
        if text:
            self._shown.append(text)
            self.length += len(text)
        return text

    def _compare(self, *, last: bool) -> str | None:
        """What of the new text is new, or None while it still repeats what is shown."""
        new = self._comparing.lstrip()
        candidates = self._candidates or []
        if not last and (not new or any(len(old) > len(new) and old.startswith(new) for old in candidates)):
            return None
        self._candidates = None
        repeated = max((old for old in candidates if _repeats(old.rstrip(), new)), key=len, default="")
        if last and not repeated and new and any(old.startswith(new) for old in candidates):
            return ""  # all of it is there already
        if repeated:
            new = new[len(repeated.rstrip()) :]
            return new.lstrip() if not new.strip() or self.shown[-1:].isspace() else new
        before = self.shown[-1:]
        if before == "\n":
            return self._comparing.lstrip("\n\r")
        return new if before.isspace() else self._comparing

    def _clean(self, text: str) -> str:
        """Without what no database and no screen takes: zero bytes and halves of characters.

        A character outside of the basic plane may come as two escapes in two pieces: the first half waits.
        """
        if text.isascii():
            self._surrogate = ""
            return text.replace("\x00", "") if "\x00" in text else text
        text = (self._surrogate + text).replace("\x00", "")
        self._surrogate = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text[: len(text) - len(self._surrogate)]
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
        return text


def _endings(shown: str) -> Iterator[str]:
    """The last words of a text, from each beginning of a word on."""
    tail = shown[-_TAIL:]
    starts = [at for at in range(1, len(tail)) if tail[at - 1].isspace() and not tail[at].isspace()]
    return (tail[at:] for at in starts)


def _repeats(old: str, new: str) -> bool:
    """Whether the new text begins with the old one, up to the end of a word. A single short word or a number may come
    twice in a row on purpose."""
    if not old or not new.startswith(old):
        return False
    follows = new[len(old) : len(old) + 1]
    if old[-1].isalnum() and follows.isalnum():
        return False
    return any(part.isspace() for part in old) or sum(map(str.isalpha, old)) > 1
