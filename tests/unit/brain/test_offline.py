"""What the offline model understands and how it answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from antiphon.brain.offline.understand import Understanding
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.identity import Person
from antiphon.domain.tools import ExecutionStatus
from antiphon.tools.builtin import when
from tests.fakes.agent import ADA, Workbench

UNDERSTANDING = Understanding()


@pytest.fixture
def bench() -> Workbench:
    return Workbench()


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("What time is it in São Paulo?", "clock.now", {"place": "São Paulo"}),
        ("remind me to call mum tomorrow at 9", "reminders.create", {"when": "tomorrow at 9", "text": "call mum"}),
        (
            "tomorrow at 8 remind me to feed the cat",
            "reminders.create",
            {"when": "tomorrow at 8", "text": "feed the cat"},
        ),
        ("I have to leave at 4, remind me", "reminders.create", {"when": "at 4", "text": "leave"}),
        (
            "remind me in an hour and a half about tea",
            "reminders.create",
            {"when": "in an hour and a half", "text": "tea"},
        ),
        (
            "remind me to be there 10 minutes before the show at 7pm",
            "reminders.create",
            {"when": "at 7pm", "text": "be there 10 minutes before the show"},
        ),
        ("set a timer for five minutes", "timers.create", {"duration": "five minutes"}),
        ("set a ten-minute timer", "timers.create", {"duration": "ten minute"}),
        ("set a pasta timer for 8 minutes", "timers.create", {"duration": "8 minutes", "label": "pasta"}),
        ("cancel the reminder about the dentist", "reminders.cancel", {"which": "dentist", "kind": "reminder"}),
        ("cancel reminder 3", "reminders.cancel", {"which": "3", "kind": "reminder"}),
        ("cancel all my timers", "reminders.cancel", {"all": True, "kind": "timer"}),
        ("what reminders and timers do I have", "reminders.list", {}),
        ("stop the alarm", "reminders.cancel", {}),
        ("Remember that Bob's cat is called Io", "memory.remember", {"text": "Bob's cat is called Io"}),
        ("remember for everyone that we meet at 10", "memory.remember", {"text": "we meet at 10", "scope": "server"}),
        ("forget what I said about my desk", "memory.forget", {"query": "my desk"}),
        ("hey, could you please flip a coin for me, thanks", "coin.flip", {}),
        ("roll three six-sided dice", "dice.roll", {"dice": "3d6"}),
        ("how many feet are in a mile?", "units.convert", {"amount": "a mile", "to": "feet"}),
    ],
)
def test_slots(text: str, name: str, arguments: dict[str, object]) -> None:
    [intent] = UNDERSTANDING.read(text)
    assert (intent.name, dict(intent.arguments)) == (name, arguments)


@pytest.mark.parametrize(
    "text", ["waht time is it", "set a tmier for 5 minutes", "flip a cion", "remidn me at 5pm to go"]
)
def test_typing_errors_are_repaired_with_less_confidence(text: str) -> None:
    [intent] = UNDERSTANDING.read(text)
    assert intent.name != "none"
    assert intent.confidence < 1


@pytest.mark.parametrize("text", ["forgte everything about me", "cancle all my reminders", "wipe your memroy"])
def test_nothing_is_deleted_on_a_guessed_word(text: str) -> None:
    assert [i.name for i in UNDERSTANDING.read(text)] in (["none"], ["reminders.list"])


@pytest.mark.parametrize(
    "text",
    [
        "tell me about jokes", "kick the bucket", "", "   ", "?!?", "🙂🙂🙂", "x" * 5000, "roll back the deployment",
        "DROP TABLE messages;", "how many people live in Tokyo", "convert 100 dollars to euros", "\x00\x01",
        "set a timer for -5 minutes", "timer minus 5 minutes", "cancel the timer and set a new one for 5 minutes",
        "reset the timer for 10 minutes",
        "don't remind me of my ex", "why do we forget things", "[remind] (me|you) {when} <now>", "what is my purpose",
    ],
)  # fmt: skip
def test_what_is_not_understood_does_nothing(text: str) -> None:
    assert all(i.name in ("none", "memory.recall", "reminders.cancel") for i in UNDERSTANDING.read(text))


def test_several_requests_in_one_message() -> None:
    assert [i.name for i in UNDERSTANDING.read("roll 2d6 and flip a coin")] == ["dice.roll", "coin.flip"]
    assert [i.name for i in UNDERSTANDING.read("Hi! What time is it? Thanks.")] == ["clock.now"]
    assert [i.name for i in UNDERSTANDING.read("flip a coin and launch the rocket")] == ["none"]


def test_follow_ups_need_something_to_follow() -> None:
    [intent] = UNDERSTANDING.read("and in London?", ["what time is it in Tokyo?"])
    assert (intent.name, dict(intent.arguments)) == ("clock.now", {"place": "London"})
    assert UNDERSTANDING.read("and in London?")[0].name == "none"
    assert UNDERSTANDING.read("and in London?", ["flip a coin"])[0].name == "none"


async def test_a_reminder_is_answered_in_the_persons_own_time(bench: Workbench) -> None:
    answer = await bench.ask("remind me tomorrow at 9 to call mum")
    assert "**tomorrow, Thursday 5 March, at 09:00**" in answer
    assert "call mum" in answer
    [entry] = await bench.schedule.pending(ADA.id)
    assert entry.due_at.isoformat() == "2026-03-05T08:00:00+00:00"


async def test_reminders_from_making_to_cancelling(bench: Workbench) -> None:
    assert "no reminders or timers" in await bench.ask("what reminders do I have?")
    await bench.ask("remind me in 20 minutes to check the oven")
    await bench.ask("remind me in 2 hours to call the oven shop")
    await bench.ask("set a timer for 5 minutes")
    listed = await bench.ask("what reminders do I have?")
    assert "3 things" in listed
    assert listed.index("Timer") < listed.index("check the oven") < listed.index("oven shop")
    assert "Which one do you mean?" in await bench.ask("cancel the reminder about the oven")
    assert "Cancelled: check the oven" in await bench.ask("cancel the reminder to check the oven")
    assert "Cancelled: timer" in await bench.ask("cancel all my timers")
    assert [entry.text for entry in await bench.schedule.pending(ADA.id)] == ["call the oven shop"]
    assert "no timers set" in await bench.ask("how much time is left on my timer?")
    assert "Cancelled: call the oven shop" in await bench.ask("cancel all my reminders")
    assert "nothing to cancel" in await bench.ask("cancel my reminder")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("remind me today at 9am to stretch", "already over"),
        ("remind me in 90 years to stretch", "five years"),
        ("set a timer for 90 days", "31 days"),
        ("what's 1/0", "divided by zero"),
        ("9^9^9^9", "too large"),
        ("what time is it in Narnia", "do not know a place"),
        ("convert 5 miles to kilos", "different things"),
        ("roll 5000 dice", "1 to 100 dice"),
        ("remind me to buy milk", "When shall I remind you of “buy milk”?"),
        ("remind me 3 days before christmas to buy gifts", "When shall I remind you of “3 days before christmas"),
        ("remind me to buy gifts 3 days before christmas", "When shall I remind you of “buy gifts 3 days before"),
        ("remind me an hour before 5pm to leave", "in 20 minutes to stretch**"),
        ("remind me at 25:99 to dance", "in 20 minutes to stretch**"),
        ("remind me yesterday to sleep", "in 20 minutes to stretch**"),
        ("set a timer", "For how long?"),
    ],
)
async def test_what_cannot_be_done_is_said_in_plain_words(bench: Workbench, text: str, words: str) -> None:
    assert words in await bench.ask(text)
    assert bench.schedule.rows == {}


async def test_questions_are_answered_from_memory(bench: Workbench) -> None:
    await bench.ask("remember that my desk is by the window")
    await bench.ask("remember that the wifi password is swordfish")
    assert "**my desk is by the window**" in await bench.ask("where is my desk?")
    assert "swordfish" in await bench.ask("what was the wifi password?")
    assert "don't know anything about “bike”" in await bench.ask("where is my bike?")
    everything = await bench.ask("what do you know about me")
    assert "window" in everything
    assert "swordfish" in everything
    assert "Forgotten: my desk" in await bench.ask("forget what I said about my desk")
    assert "don't know anything about “desk”" in await bench.ask("where is my desk?")


async def test_a_server_remembers_only_for_its_operators(bench: Workbench) -> None:
    said = "remember for everyone that we meet at ten"
    assert "permission" in await bench.ask(said, server=7)
    bench.authority.grants[ADA.id] = {"operator"}
    assert "Noted for everybody here" in await bench.ask(said, server=7)
    assert "no server" in await bench.ask(said)
    assert "meet at ten" in await bench.ask("what do you know about meet", server=7, person=Person(2, "Bob"))
    assert "meet at ten" not in await bench.ask("what do you know about meet", server=8)


async def test_a_time_zone_once_set_is_used(bench: Workbench) -> None:
    assert "Asia/Tokyo" in await bench.ask("I live in Tokyo")
    assert "**00:00**" in await bench.ask("what time is it")
    assert "name a city" in await bench.ask("set my timezone to UTC+3")


async def test_help_lists_what_the_person_may_use(bench: Workbench) -> None:
    answer = await bench.ask("help")
    assert "remind me" in answer
    assert "roll 2d6" in answer


async def test_status_tells_what_is_broken_and_how_to_mend_it(bench: Workbench) -> None:
    assert "Everything works" in await bench.ask("status")
    bench.status.rows.append(PartHealth("redis", PartState.DEGRADED, "no answer", "start Redis"))
    answer = await bench.ask("status")
    assert "not well" in answer
    assert "start Redis" in answer


async def test_an_honest_no_says_how_to_connect_a_model(bench: Workbench) -> None:
    answer = await bench.ask("write me a poem about rivers")
    assert "can't do that offline" in answer
    assert "ANTIPHON_MODEL=openai:gpt-4o-mini" in answer
    assert "OPENAI_API_KEY" in answer
    assert "ANTIPHON_MODEL_URL" in answer


async def test_small_talk_uses_the_persons_name(bench: Workbench) -> None:
    assert "Ada" in await bench.ask("hi")
    assert "Antiphon" in await bench.ask("who are you?")
    nameless = Person(9, "")
    assert await bench.ask("hi", person=nameless)


async def test_repeating_reminders_in_words() -> None:
    bench = Workbench()
    told = await bench.ask("every weekday at 9 remind me to stretch")
    assert "every weekday at 09:00" in told
    (entry,) = await bench.schedule.pending(ADA.id)
    assert entry.recurrence is not None
    assert (entry.text, entry.recurrence.rule) == ("stretch", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")
    assert entry.recurrence.zone == "Europe/Berlin"
    assert "every weekday at 10:00" in await bench.ask("change it to 10")
    assert "every Friday at 10:00" in await bench.ask("make it every friday")
    await bench.ask("remind me every day at 8 to take my pills")
    assert "every day at 08:00" in (listed := await bench.ask("what reminders do I have?"))
    assert "every Friday at 10:00" in listed
    assert "pills" in await bench.ask("stop the daily reminder")
    assert [e.text for e in await bench.schedule.pending(ADA.id)] == ["stretch"]
    assert "stretch" in await bench.ask("cancel the one on fridays")
    assert not await bench.schedule.pending(ADA.id)
    assert "nothing to change" in await bench.ask("change it to 11")


async def test_what_cannot_repeat_is_asked_back_or_refused() -> None:
    bench = Workbench()
    for text in ("remind me every blue moon to sing", "remind me every 32nd of may to sing"):
        await bench.ask(text)
    session = bench.session()
    for arguments in ({"when": "tomorrow at 9", "repeat": "FREQ=SECONDLY"}, {"when": "every 90 seconds"}):
        executed = await session.call("reminders.create", arguments)
        assert executed.status is ExecutionStatus.FAILED
    assert not await bench.schedule.pending(ADA.id)
    executed = await session.call("reminders.create", {"when": "tomorrow at 9", "repeat": "FREQ=DAILY", "text": "run"})
    assert executed.status is ExecutionStatus.OK
    (entry,) = await bench.schedule.pending(ADA.id)
    await session.call("reminders.edit", {"which": "run", "text": "run far"})
    await session.call("reminders.edit", {"which": str(entry.id), "repeat": "FREQ=WEEKLY;BYDAY=SU"})
    (edited,) = await bench.schedule.pending(ADA.id)
    assert edited.recurrence is not None
    assert (edited.text, edited.recurrence.rule) == ("run far", "FREQ=WEEKLY;BYDAY=SU")


def test_word_soup_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many readings of a senseless text must not each try all of its words again."""
    asked = 0
    parse = when.parse_duration

    def counted(text: str) -> timedelta:
        nonlocal asked
        asked += 1
        return parse(text)

    monkeypatch.setattr(when, "parse_duration", counted)
    soup = Understanding()
    for words in (": or : timer or it 5 or oder : día timer it", "? 10 timer ? 10 10 timer ?"):
        assert soup.read((words + " ") * 8) is not None
    assert asked < 1_000
