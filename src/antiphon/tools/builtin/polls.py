"""Polls by text: opened, voted in, shown and closed, in any channel. Closing by time is the schedule's work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from antiphon.domain.errors import Conflict, InvalidInput, ToolError
from antiphon.domain.polls import MOST_OPTIONS, NewPoll, Poll, PollState, PollStore, bars
from antiphon.domain.tools import Risk
from antiphon.tools.builtin.overlap import best_matches
from antiphon.tools.builtin.when import NotATime, Recurring, parse_duration, parse_when
from antiphon.tools.policy import ToolPolicy
from antiphon.tools.tool import A, Arguments, NoArguments, Tool, ToolCall, ToolResult, declare

LONGEST = timedelta(days=31)
_CLOSE_OTHERS = "operator"
Option = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class PollArguments(Arguments):
    """What is asked."""

    question: str = Field("", max_length=300, description="The question; may be empty when the options say it all.")
    options: tuple[Option, ...] = Field(min_length=2, max_length=MOST_OPTIONS, description="What can be voted for.")
    closes: str = Field("", max_length=80, description='When it closes by itself: "1 hour", "tomorrow at 9"; or empty.')
    language: str = Field("", max_length=12, description='Language of the announced result, such as "de".')


class VoteArguments(Arguments):
    """For what."""

    option: str = Field(min_length=1, max_length=120, description="The number of the option, or its words.")


class PollsCreate(Tool[PollArguments]):
    """`polls.create`."""

    spec = declare(
        "polls.create",
        "Open a poll in this channel: a question with 2 to 20 options. Everybody votes once by number or words.",
        PollArguments,
        Risk.SHARED,
        idempotent=True,
    )
    arguments = PollArguments

    def __init__(self, polls: PollStore) -> None:
        self._polls = polls

    def title(self, arguments: PollArguments) -> str:
        """What is going to happen."""
        return f"Open a poll: {arguments.question or ', '.join(arguments.options)}"

    async def run(self, call: ToolCall[PollArguments]) -> ToolResult:
        """Store it with the moment it closes, if any."""
        asked = call.arguments
        options = tuple(" ".join(option.split()) for option in asked.options)
        if len({option.casefold() for option in options}) < len(options):
            raise ToolError("Each option may be there only once.")
        new = NewPoll(
            channel=call.requester.channel,
            person=call.requester.person,
            origin=call.origin,
            question=" ".join(asked.question.split()),
            options=options,
            language=asked.language or call.language,
            closes_at=_closing(asked.closes, call) if asked.closes else None,
        )
        try:
            poll = await self._polls.create(new)
        except Conflict:
            raise ToolError(
                "There is an open poll in this channel already. Close it first: “close the poll”."
            ) from None
        return ToolResult(f"Poll opened: {poll.question or ', '.join(poll.options)}", _described(poll, call))


class PollsVote(Tool[VoteArguments]):
    """`polls.vote`."""

    spec = declare(
        "polls.vote",
        "Give or change the requester's one vote in the open poll of this channel.",
        VoteArguments,
        Risk.OWN,
        idempotent=True,
    )
    arguments = VoteArguments

    def __init__(self, polls: PollStore) -> None:
        self._polls = polls

    async def run(self, call: ToolCall[VoteArguments]) -> ToolResult:
        """Count it when it is clear which option is meant; otherwise say what there is."""
        poll = await _open_poll(self._polls, call)
        place = option_meant(call.arguments.option, poll.options)
        if place is None:
            listed = ", ".join(f"{number} {option}" for number, option in enumerate(poll.options, 1))
            raise ToolError(f"“{call.arguments.option}” is none of the options: {listed}.")
        try:
            poll = await self._polls.vote(poll.id, call.requester.person, place)
        except (Conflict, InvalidInput):
            raise ToolError("This poll has just been closed, so the vote does not count.") from None
        return ToolResult(f"Voted for {poll.options[place]}", _described(poll, call) | {"voted": poll.options[place]})


class PollsShow(Tool[NoArguments]):
    """`polls.show`."""

    spec = declare(
        "polls.show", "The poll of this channel with its votes so far, or its result.", NoArguments, Risk.READ
    )
    arguments = NoArguments

    def __init__(self, polls: PollStore) -> None:
        self._polls = polls

    async def run(self, call: ToolCall[NoArguments]) -> ToolResult:
        """The open poll, else the last one."""
        poll = await self._polls.latest(call.requester.channel)
        if poll is None:
            raise ToolError("There has been no poll in this channel yet. Say for example: “poll: pizza or pasta?”.")
        return ToolResult(f"{poll.total} votes", _described(poll, call))


class PollsClose(Tool[NoArguments]):
    """`polls.close`."""

    spec = declare(
        "polls.close",
        "Close the open poll of this channel and give its result; for who opened it, and for operators.",
        NoArguments,
        Risk.SHARED,
        idempotent=True,
    )
    arguments = NoArguments

    def __init__(self, polls: PollStore, policy: ToolPolicy) -> None:
        self._polls = polls
        self._policy = policy

    async def run(self, call: ToolCall[NoArguments]) -> ToolResult:
        """Close it."""
        poll = await _open_poll(self._polls, call)
        if poll.person != call.requester.person and not await self._policy.permits(call.requester, _CLOSE_OTHERS):
            raise ToolError("Only who opened the poll, or an operator, can close it. It is still open.")
        poll = await self._polls.close(poll.id)
        return ToolResult("Poll closed", _described(poll, call))


def option_meant(said: str, options: tuple[str, ...]) -> int | None:
    """The place of the option meant by its number or its words, or None when that is not clear."""
    exact = option_named(said, options)
    if exact is not None or said.strip(" #.!").isdecimal():
        return exact
    found = best_matches(said, range(len(options)), lambda place: options[place], at_least=0.5)
    return found[0] if len(found) == 1 else None


def option_named(said: str, options: tuple[str, ...]) -> int | None:
    """The place of the option when the words are nothing but it: its number or its exact words; else None."""
    bare = said.strip(" #.!()").casefold()
    names = [option.casefold() for option in options]
    if bare in names:
        return names.index(bare)
    return int(bare) - 1 if bare.isdecimal() and len(bare) < 4 and 1 <= int(bare) <= len(options) else None


async def _open_poll(polls: PollStore, call: ToolCall[A]) -> Poll:
    poll = await polls.latest(call.requester.channel)
    over = poll is not None and poll.closes_at is not None and poll.closes_at <= call.now
    if poll is None or poll.state is not PollState.OPEN or over:
        raise ToolError("There is no open poll in this channel. Say for example: “poll: pizza or pasta?”.")
    return poll


def _closing(words: str, call: ToolCall[PollArguments]) -> datetime:
    try:
        at = call.now + parse_duration(words)
    except NotATime:
        try:
            at = parse_when(words, call.now, call.zone, call.language)
        except (NotATime, Recurring):
            raise ToolError(f"I do not understand when “{words}” is. Try “1 hour” or “tomorrow at 9”.") from None
    if not timedelta(seconds=10) <= at - call.now <= LONGEST:
        raise ToolError("A poll can stay open for ten seconds up to 31 days.")
    return at


def _described(poll: Poll, call: ToolCall[A]) -> dict[str, object]:
    closes = poll.closes_at.astimezone(call.zone).isoformat(timespec="seconds") if poll.closes_at else ""
    return {
        "id": poll.id,
        "question": poll.question,
        "options": list(poll.options),
        "votes": list(poll.votes),
        "total": poll.total,
        "state": poll.state.value,
        "closes": closes,
        "bars": bars(poll.options, poll.votes, poll.language),
    }
