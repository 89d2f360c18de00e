"""Search by words, opinions that count and can be taken back, proposals, personas, summaries: on both databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.conversation import ServerRef
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.identity import Role
from antiphon.domain.memories import MemoryScope, ProposalState, Summary
from tests.contract.store_work import discord, done, started

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def answered(stores: Stores, question: str = "hello", answer: str = "an answer") -> tuple[int, int]:
    """A question of somebody and its answer; the message of the answer and the person."""
    receipt = await stores.inbox.receive(discord("q1", question))
    (work,) = await stores.tasks.claim("worker", 1, 30)
    assert work.lease.task == receipt.task
    await stores.tasks.finish(work.lease, done(answer))
    said = await stores.threads.recent(work.channel, before=None, limit=1)
    return said[-1].id, work.requester.person


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Wo steht mein Schreibtisch?", "de"),
        ("schreibtische", "de"),
        ("¿Dónde está la reunión?", "es"),
        ("REUNION", "es"),
        ("what are my cats called?", "en"),
        ("cat", "en"),
        ("会议", "zh"),
        ("submarine", None),
        ('"quoted" OR * NEAR( -x : ^', None),
        ("'; DROP TABLE antiphon_memory; --", None),
        ("cat & | ! <-> :*", "en"),
    ],
)
async def test_memories_are_found_by_their_words(stores: Stores, query: str, found: str | None) -> None:
    person = (await stores.users.ensure_owner()).person
    texts = {
        "en": "My cat is called Io",
        "de": "Mein Schreibtisch steht am Fenster",
        "es": "La reunión es en el salón",
        "zh": "下一次会议在星期五",
    }
    ids = {}
    for language, text in texts.items():
        memory = await stores.memories.remember(
            MemoryScope.PERSON, person, text, author=person, channel="web:a", origin=language
        )
        ids[language] = memory.id
    got = await stores.memories.recall(MemoryScope.PERSON, person, query, 10)
    assert [memory.id for memory in got] == ([ids[found]] if found else [])


async def test_the_oldest_of_many_memories_is_found_and_a_forgotten_one_is_not(stores: Stores) -> None:
    person = (await stores.users.ensure_owner()).person

    def fill(_: object) -> None:
        from antiphon.store.models import Memory
        from antiphon.store.models.fields import from_epoch

        for number in range(1500):
            Memory.objects.create(
                scope="person", subject=person, author_id=person, channel="web:a", origin=str(number),
                text="The harbour master lives in Bremen" if number == 0 else f"Filler {number} of words",
                created_at=from_epoch(number),
            )  # fmt: skip

    await stores.database.run(fill)
    (memory,) = await stores.memories.recall(MemoryScope.PERSON, person, "who is the harbour master?", 10)
    assert memory.text.startswith("The harbour")
    await stores.memories.forget(MemoryScope.PERSON, person, [memory.id])
    assert await stores.memories.recall(MemoryScope.PERSON, person, "harbour", 10) == []


async def test_an_opinion_is_a_lesson_for_its_person_until_taken_back(stores: Stores) -> None:
    message, person = await answered(stores, "what is the door code?", "I do not know")
    await stores.feedback.rate(message, person, -1, "it is 4711")
    (lesson,) = await stores.feedback.lessons(person, "the code of the door please", 5)
    assert (lesson.value, lesson.question, lesson.answer, lesson.correction) == (
        -1, "what is the door code?", "I do not know", "it is 4711",
    )  # fmt: skip
    other = (await stores.users.create("bob", Role.MEMBER)).person
    assert await stores.feedback.lessons(other, "door code", 5) == []
    assert await stores.feedback.lessons(person, "something else", 5) == []
    await stores.feedback.rate(message, person, -1, "it is 4712")
    (lesson,) = await stores.feedback.lessons(person, "door code", 5)
    assert lesson.correction == "it is 4712"
    with pytest.raises(NotFound):
        await stores.feedback.retract(lesson.id, other)
    await stores.feedback.retract(lesson.id, person)
    assert await stores.feedback.lessons(person, "door code", 5) == []
    with pytest.raises(NotFound):
        await stores.feedback.retract(lesson.id, person)


async def test_nothing_is_remembered_before_the_person_agrees(stores: Stores) -> None:
    person = (await stores.users.ensure_owner()).person
    asked = await stores.proposals.propose(person, "Likes tea", channel="web:a", origin="execution:1")
    assert await stores.proposals.propose(person, "Likes tea", channel="web:a", origin="execution:1") == asked
    again = await stores.proposals.propose(person, "Likes tea", channel="web:a", origin="execution:2")
    assert again.id == asked.id, "the same open question is not asked twice"
    assert await stores.memories.recall(MemoryScope.PERSON, person, "", 5) == []
    stranger = (await stores.users.create("bob", Role.MEMBER)).person
    with pytest.raises(NotFound):
        await stores.proposals.decide(asked.id, stranger, accept=True)
    decisions = [stores.proposals.decide(asked.id, person, accept=True) for _ in range(4)]
    accepted = (await asyncio.gather(*decisions))[0]
    (memory,) = await stores.memories.recall(MemoryScope.PERSON, person, "tea", 5)
    assert (accepted.state, accepted.memory, memory.author) == (ProposalState.ACCEPTED, memory.id, person)
    with pytest.raises(Conflict):
        await stores.proposals.decide(asked.id, person, accept=False)
    denied = await stores.proposals.propose(person, "Likes coffee", channel="web:a", origin="execution:3")
    assert (await stores.proposals.decide(denied.id, person, accept=False)).state is ProposalState.DENIED
    assert len(await stores.memories.recall(MemoryScope.PERSON, person, "", 5)) == 1
    with pytest.raises(InvalidInput):
        await stores.proposals.propose(person, " ", channel="web:a", origin="execution:4")


async def test_a_model_that_asks_without_end_is_stopped(stores: Stores) -> None:
    person = (await stores.users.ensure_owner()).person
    for number in range(50):
        await stores.proposals.propose(person, f"Fact {number}", channel="web:a", origin=str(number))
    with pytest.raises(Conflict):
        await stores.proposals.propose(person, "Fact 50", channel="web:a", origin="50")


async def test_personas_of_a_channel_and_its_server(stores: Stores) -> None:
    key = "discord:c1"
    await stores.inbox.receive(discord("m1", server=ServerRef("discord", "7", "Guild")))
    assert (await stores.places.settings_of("web:none")).server is None
    assert (await stores.places.set_for_channel(key, " A pirate ")).channel_persona == "A pirate"
    found = await stores.places.settings_of(key)
    assert found.server is not None
    assert (await stores.places.set_for_server(found.server, "Polite")).persona == "Polite"
    assert (await stores.places.settings_of(key)).server_persona == "Polite"
    assert (await stores.places.set_for_server(found.server, "")).persona == ""
    assert (await stores.places.set_for_channel(key, "")).channel_persona == ""
    with pytest.raises(NotFound):
        await stores.places.set_for_server(999, "x")
    with pytest.raises(NotFound):
        await stores.places.set_for_channel("web:none", "x")
    with pytest.raises(InvalidInput):
        await stores.places.set_for_channel(key, "x" * 9000)


async def test_a_summary_only_moves_forward(stores: Stores) -> None:
    await started(stores)
    (message,) = await stores.threads.recent("discord:c1", before=None, limit=1)
    thread = message.thread
    assert await stores.summaries.summary(thread) is None
    await stores.summaries.keep(Summary(thread, 10, "later", "offline"))
    await stores.summaries.keep(Summary(thread, 5, "earlier", "offline"))
    assert await stores.summaries.summary(thread) == Summary(thread, 10, "later", "offline")
    await stores.summaries.keep(Summary(thread + 99, 1, "no such thread", "offline"))
    assert await stores.summaries.summary(thread + 99) is None
    read = await stores.summaries.unsummarised(thread, after=0, before=message.id + 1, limit=5)
    assert [m.id for m in read] == [message.id]
    assert await stores.summaries.unsummarised(thread, after=message.id, before=message.id + 9, limit=5) == []
