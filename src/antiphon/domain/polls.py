"""Polls: a question with numbered options in a channel; everybody has one vote and may change it while it is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

MOST_OPTIONS = 20
_BAR = 10
_CLOSED = {"en": "The poll is closed", "de": "Die Umfrage ist beendet", "es": "La encuesta está cerrada"}
_VOTES = {"en": ("vote", "votes"), "de": ("Stimme", "Stimmen"), "es": ("voto", "votos")}


class PollState(StrEnum):
    """A channel has at most one open poll, so that a bare number is a vote for it."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class NewPoll:
    """A poll to be opened. `origin` makes creation idempotent; `language` is the one its result is announced in."""

    channel: str
    person: int
    origin: str
    question: str
    options: tuple[str, ...]
    language: str = "en"
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """A stored poll. `votes` counts each option, in their order; who voted for what is not told."""

    id: int
    channel: str
    person: int
    question: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    state: PollState
    language: str
    created_at: datetime
    closes_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def total(self) -> int:
        """All votes."""
        return sum(self.votes)


def bars(options: tuple[str, ...], votes: tuple[int, ...], language: str) -> str:
    """The standing, one line of text for each option: number, words, bar, votes and share."""
    total = sum(votes)
    singular, plural = _VOTES.get(language[:2], _VOTES["en"])
    lines: list[str] = []
    for number, (option, count) in enumerate(zip(options, votes, strict=True), 1):
        share = count / total if total else 0.0
        full = round(share * _BAR)
        bar = "█" * full + "░" * (_BAR - full)
        lines.append(f"{number}. **{option}** {bar} {count} {singular if count == 1 else plural} ({share:.0%})")
    return "\n".join(lines)


def closing_words(poll: Poll) -> str:
    """What the channel reads when a poll closes by itself."""
    lead = _CLOSED.get(poll.language[:2], _CLOSED["en"])
    head = f"**{lead}: {poll.question}**" if poll.question else f"**{lead}.**"
    return f"{head}\n{bars(poll.options, poll.votes, poll.language)}"


class PollStore(Protocol):
    """Polls in channels."""

    async def create(self, poll: NewPoll) -> Poll:
        """Open a poll; the same `origin` returns the existing one.

        `Conflict` when the channel has an open one, `NotFound` without the channel, `InvalidInput` on its options.
        """
        ...

    async def latest(self, channel: str) -> Poll | None:
        """The open poll of a channel, else the one that was closed last, else None."""
        ...

    async def vote(self, poll: int, person: int, option: int) -> Poll:
        """Give or change a person's one vote; options count from 0.

        `Conflict` when the poll is closed, `InvalidInput` without the option, `NotFound` without the poll.
        """
        ...

    async def close(self, poll: int) -> Poll:
        """Close a poll; a closed one stays as it is. `NotFound`."""
        ...
