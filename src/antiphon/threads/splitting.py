"""Cutting a long answer into parts a platform takes, without breaking words, paragraphs or code blocks."""

from __future__ import annotations

FENCE = "```"
SMALLEST = 50
"""The least limit that makes sense: a part must hold an opening and a closing fence and some text."""


def split_text(text: str, limit: int) -> tuple[str, ...]:
    """The parts of `text`, each at most `limit` characters; `()` for blank text.

    Cuts at the last blank line, else line end, else space before the limit, else at the limit. A code block that is cut
    is closed at the end of a part and opened again, with its language, at the start of the next.
    """
    if limit < SMALLEST:
        raise ValueError(f"a limit of {limit} characters leaves no room beside the marks of a code block")
    if not text.strip():
        return ()
    parts: list[str] = []
    rest = text
    while len(rest) > limit:
        room = limit - len(FENCE) - 1  # a closing fence must still fit
        cut = _cut_at(rest, room)
        part, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n")
        if (opened := _open_fence(part)) is not None:
            part = f"{part}\n{FENCE}"
            rest = f"{opened}\n{rest}"
        parts.append(part)
    if rest.strip():
        parts.append(rest)
    return tuple(parts)


def _cut_at(text: str, room: int) -> int:
    for mark in ("\n\n", "\n", " "):
        position = text.rfind(mark, room // 3, room)
        if position > 0:
            return position + len(mark)
    return room


def _open_fence(part: str) -> str | None:
    """The opening line of a code block that is not closed in `part`, shortened so that it cannot fill the next part."""
    opened: str | None = None
    for line in part.splitlines():
        if line.lstrip().startswith(FENCE):
            opened = None if opened is not None else line.strip()[:20]
    return opened
