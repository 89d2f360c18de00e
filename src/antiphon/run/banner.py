"""What a person sees in the terminal at start: where to sign in, what is on, what is missing and how to turn it on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from antiphon import __version__
from antiphon.domain.health import PartHealth, PartState

SIGN_IN_VALID = timedelta(minutes=15)
"""How long a sign-in link works."""
MARKS = {PartState.OK: "on ", PartState.DEGRADED: "!! ", PartState.OFF: "off"}


def banner(address: str, parts: Sequence[PartHealth], sign_in: str | None, *, demo: bool = False) -> str:
    """The start-up text. With `sign_in` one line stands alone: `Sign in: <url>`."""
    lines = [f"Antiphon {__version__} at {address}", ""]
    width = max((len(part.name) for part in parts), default=0)
    for part in parts:
        hint = f" -> {part.remedy}" if part.remedy and part.state is not PartState.OK else ""
        lines.append(f"  {MARKS[part.state]}  {part.name.ljust(width)}  {part.detail}{hint}")
    lines.append("")
    if sign_in:
        lines += [f"Sign in: {sign_in}", "         (works once, for 15 minutes; `antiphon user link` prints another)"]
    else:
        lines.append("Sign in with your session, or print a new link with `antiphon user link`")
    if demo:
        lines.append(f"There you play the people of a simulated Discord server: {address}/demo")
    lines.append("Stop with Ctrl+C" + ("; nothing of this is kept" if demo else ""))
    return "\n".join(lines)
