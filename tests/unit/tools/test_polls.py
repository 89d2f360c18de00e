"""Polls and summaries, in the words of people in a channel."""

from __future__ import annotations

import pytest

from antiphon.domain.conversation import Author
from antiphon.domain.polls import bars
from antiphon.tools.builtin.polls import option_meant, option_named
from tests.fakes.agent import ADA, BOB, Workbench


@pytest.fixture
def bench() -> Workbench:
    return Workbench()


async def test_a_poll_from_opening_to_its_result(bench: Workbench) -> None:
    opened = await bench.ask("poll: when do we meet, friday, saturday or sunday?")
    assert "When do we meet?" in opened
    assert "2. **saturday**" in opened
    assert "**saturday**" in await bench.ask("2")
    assert "1 vote (50%)" in await bench.ask("Friday", person=BOB)
    shown = await bench.ask("how is the poll going?")
    assert "1. **friday** █████░░░░░ 1 vote (50%)" in shown
    assert "0 votes" in await bench.ask("I vote for friday")
    assert "Only who opened" in await bench.ask("close the poll", person=BOB)
    closed = await bench.ask("close the poll")
    assert "closed" in closed
    assert "2 votes (100%)" in closed
    assert "no open poll" in await bench.ask("vote 1")
    assert "2 votes (100%)" in await bench.ask("show me the poll results")


async def test_an_operator_closes_the_poll_of_another(bench: Workbench) -> None:
    await bench.ask("Umfrage: Pizza oder Pasta?")
    bench.authority.grants[BOB.id] = {"operator"}
    assert "beendet" in await bench.ask("beende die Umfrage", person=BOB)


async def test_what_cannot_be_voted_for_is_said(bench: Workbench) -> None:
    assert "no open poll" in await bench.ask("vote 2")
    assert "no poll in this channel yet" in await bench.ask("show the poll")
    await bench.ask("poll: tea or coffee")
    assert "none of the options: 1 tea, 2 coffee" in await bench.ask("vote 9")
    assert "none of the options" in await bench.ask("i vote for cocoa")
    assert "already" in await bench.ask("poll: red or blue")
    assert bench.polls.votes == {1: {}}


async def test_a_bare_number_is_only_a_vote_while_a_poll_is_open(bench: Workbench) -> None:
    assert "can't do that" in await bench.ask("2")
    await bench.ask("poll for 10 minutes: tea or coffee")
    assert bench.polls.rows[1].closes_at is not None
    assert "**tea**" in await bench.ask("1.")
    assert "The time" not in await bench.ask("3")
    assert bench.polls.votes[1] == {ADA.id: 0}


@pytest.mark.parametrize(
    ("said", "place"),
    [("2", 1), ("#2", 1), ("Red Car", 0), ("car", 0), ("red", None), ("0", None), ("4", None), ("²", None), ("", None)],
)
def test_which_option_is_meant(said: str, place: int | None) -> None:
    assert option_meant(said, ("Red car", "Blue bike", "Red bike")) == place


def test_only_the_option_alone_is_a_vote() -> None:
    assert option_named("Blue bike!", ("Red car", "Blue bike")) == 1
    assert option_named("I like the blue bike", ("Red car", "Blue bike")) is None
    assert option_named("99999999999999999999", ("a", "b")) is None


def test_bars_without_votes_divide_nothing() -> None:
    assert bars(("a", "b"), (0, 0), "en").count("0 votes (0%)") == 2
    assert "1 Stimme (33%)" in bars(("a", "b"), (1, 2), "de-AT")


async def test_a_summary_keeps_what_the_talk_was_about(bench: Workbench) -> None:
    for who, text in (
        ("Ada", "The launch of the website is planned for Friday."),
        ("Bob", "My cat slept on the keyboard."),
        ("Bob", "Before the launch on Friday somebody has to test the payment page of the website."),
        ("Ada", "I test the payment page on Thursday, then the launch can come."),
    ):
        bench.threads.say(text, name=who)
    bench.threads.say("I am the agent and say a lot about the launch.", author=Author.AGENT)
    answer = await bench.ask("summarize this channel")
    assert "5 messages by Ada and Bob" in answer or "5 messages by Ada, Bob" in answer
    assert "payment page" in answer
    assert "cat" not in answer
    assert "summarize" not in answer


async def test_a_summary_of_nothing_says_so(bench: Workbench) -> None:
    assert "Nothing was said" in await bench.ask("what did i miss?")


async def test_a_summary_sees_this_channel_only(bench: Workbench) -> None:
    bench.threads.say("The secret plan is a surprise party.", channel="web:b")
    bench.threads.say("We buy bread.", channel="web:a")
    answer = await bench.ask("fass das Gespräch zusammen")
    assert "bread" in answer
    assert "surprise" not in answer


async def test_a_flood_of_messages_is_summarised_within_bounds(bench: Workbench) -> None:
    for number in range(400):
        bench.threads.say(f"Message {number} about topic {number % 7}. " + "x" * 2000)
    answer = await bench.ask("sum up the last 300 messages")
    assert len(answer) < 4000
    assert "in short" in answer
