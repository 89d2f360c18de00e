"""Everything about a person goes, wherever it is stored, and nothing of others; what is old goes in batches."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.domain.approvals import ApprovalState
from antiphon.domain.conversation import Attachment, ServerRef
from antiphon.domain.errors import Conflict, NotFound
from antiphon.domain.identity import Role, Sender
from antiphon.domain.memories import MemoryScope, Summary
from antiphon.domain.polls import NewPoll
from antiphon.domain.schedule import EntryKind, NewEntry
from antiphon.domain.work import Usage
from tests.contract.store_work import AT, OWNER, asking, discord, done, web
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

SECRET = "heron"
"""Stands in everything that is about the one to be erased."""
OTHERS = "kestrel"
"""Stands in everything that is not."""
GUILD = ServerRef("discord", "7", "Guild")


async def everywhere(stores: Stores, user: int, person: int, other: int) -> None:
    """Leave words in every table there is, of one who goes and of one who stays."""
    for word, who in ((SECRET, person), (OTHERS, other)):
        file = await stores.attachments.add(io.BytesIO(word.encode()), f"{word}.txt", channel=f"web:{word}", person=who)
        await stores.attachments.set_text(file.id, word)
        attached = (Attachment("", "", 0, id=file.id),)
        await stores.inbox.receive(web(f"{word}-1", who, f"my {word}", channel=f"web:{word}", attachments=attached))
        (work,) = await stores.tasks.claim(OWNER, 10, 30)
        await stores.tasks.pause(work.lease, asking(f"hash-{word}", text=f"about {word}"))
        (approval,) = await stores.approvals.pending(f"web:{word}")
        await stores.approvals.decide(approval.id, ApprovalState.DENIED, who)
        (work,) = await stores.tasks.claim(OWNER, 10, 30)
        await stores.tasks.finish(work.lease, done(f"the {word}", usage=Usage(requests=1), trace={"said": word}))
        answer = (await stores.threads.recent(f"web:{word}", before=None, limit=1))[-1]
        await stores.feedback.rate(answer.id, who, -1, f"not that {word}")
        await stores.summaries.keep(Summary(answer.thread, answer.id, f"all about the {word}", "offline"))
        await stores.memories.remember(
            MemoryScope.PERSON, who, f"likes the {word}", author=who, channel="web:a", origin=word
        )
        await stores.proposals.propose(who, f"has a {word}", channel="web:a", origin=word)
        entry = NewEntry(EntryKind.REMINDER, AT + timedelta(days=99), f"web:{word}", who, word, f"feed the {word}")
        await stores.schedule.add(entry)
        await stores.keys.create(f"key of {word}", ["chat"], who)
    await stores.people.set_preferences(person, name=SECRET)
    await stores.people.set_preferences(other, name=OTHERS)
    for number, word in enumerate((SECRET, OTHERS)):
        sender = Sender(f"{word}-account", word)
        await stores.inbox.receive(discord(f"m{number}", f"a {word}!", sender=sender, server=GUILD))
        (work,) = await stores.tasks.claim(OWNER, 10, 30)
        await stores.tasks.finish(work.lease, done(f"nice {word}"))
        account_person = work.requester.person

        def link(_: object, old: int = account_person, new: int = person if word == SECRET else other) -> None:
            from antiphon.store import models

            models.Account.objects.filter(person_id=old).update(person_id=new)
            models.Message.objects.filter(person_id=old).update(person_id=new)
            models.Task.objects.filter(person_id=old).update(person_id=new)
            models.Person.objects.filter(pk=old).delete()

        await stores.database.run(link)
    await others_wait(stores, other)
    for word, who in ((SECRET, person), (OTHERS, other)):
        asked = (f"{word} or not", f"no {word}")
        poll = await stores.polls.create(NewPoll(f"web:{word}", who, word, f"a {word}?", asked))
        await stores.polls.vote(poll.id, person, 0)
        await stores.polls.vote(poll.id, other, 0)
    await stores.users.sign_in_token(user, timedelta(minutes=5))


async def others_wait(stores: Stores, other: int) -> None:
    """Where both talked, turns of the other one pause, one for good, with the conversation in them."""
    said = await stores.threads.recent("discord:c1", before=None, limit=10)
    parts: list[dict[str, Any]] = [
        {"content": f'<message id="{one.id}" from="{one.author_name}" at="x">{one.text}</message>'}
        if one.author_name
        else {"content": one.text}
        for one in said
    ]
    parts.append({"instructions": f"Be kind.<summary>{SECRET} said so</summary>"})
    for number, state in enumerate(("waiting", "done")):
        await stores.inbox.receive(discord(f"w{number}", "do it", sender=Sender(f"{OTHERS}-account", OTHERS)))
        (work,) = await stores.tasks.claim(OWNER, 10, 30)
        pause = replace(asking("hash-w"), snapshot=json.dumps({"messages": parts}).encode())
        await stores.tasks.pause(work.lease, pause)
        if state == "done":
            (approval,) = [a for a in await stores.approvals.pending("discord:c1") if a.task == work.lease.task]
            await stores.approvals.decide(approval.id, ApprovalState.DENIED, other)
            (work,) = await stores.tasks.claim(OWNER, 10, 30)
            await stores.tasks.finish(work.lease, done("as you like"))


def whole_database(_: object) -> dict[str, str]:
    """Every table as text, the search indexes too."""
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith(("antiphon_", "django_session")):
                cursor.execute(f'SELECT * FROM "{table}"')
                found[table] = repr([[_shown(value) for value in row] for row in cursor.fetchall()])
    return found


def _shown(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


async def test_an_erased_person_is_nowhere_and_others_lose_nothing(stores: Stores) -> None:
    other = (await stores.users.ensure_owner()).person
    user = await stores.users.create("leaving", Role.MEMBER)
    await everywhere(stores, user.id, user.person, other)
    before = await stores.database.read(whole_database)
    assert sum(SECRET in text for text in before.values()) >= 12, "the test must have something to find"
    copies = ("_data", "_idx", "antiphon_pause")  # a paused turn of the past keeps no conversation
    kept = {table: text.count(OTHERS) for table, text in before.items() if not table.endswith(copies)}
    receipt = await stores.personal_data.erase(user.person)
    after = await stores.database.read(whole_database)
    assert {table: text for table, text in after.items() if SECRET in text} == {}
    assert "leaving" not in after["antiphon_user"]
    assert {table: after[table].count(OTHERS) for table in kept} == kept, "nothing of anybody else is touched"
    assert receipt.erased["memories"] == receipt.erased["opinions"] == receipt.erased["keys"] == 1
    assert receipt.erased["messages"] >= 2
    assert len(receipt.keys) == 1
    (waits,) = [one for one in await stores.approvals.pending("discord:c1") if one.requester != user.person]
    await stores.approvals.decide(waits.id, ApprovalState.APPROVED, other)
    (work,) = await stores.tasks.claim(OWNER, 10, 30)
    snapshot = json.loads((await stores.tasks.resume_of(work.lease)).snapshot)
    texts = [str(part.get("content")).partition(">")[2][:11] for part in snapshot["messages"]]
    assert texts == ["", "", f"a {OTHERS}!<", "", ""]
    await stores.tasks.finish(work.lease, done(""))
    poll = await stores.polls.latest(f"web:{OTHERS}")
    assert poll is not None
    assert (poll.question, poll.total) == (f"a {OTHERS}?", 1), "a poll of others loses the one vote"
    said = (await stores.threads.recent("discord:c1", before=None, limit=10))[:4]
    assert [(m.author_name, m.text) for m in said] == [
        ("deleted person", "[deleted]"), ("", "[deleted]"), (OTHERS, f"a {OTHERS}!"), ("", f"nice {OTHERS}"),
    ]  # fmt: skip
    folder = stores.attachments.path("0" * 64).parent.parent
    assert [file.read_bytes() for file in folder.rglob("*") if file.is_file()] == [OTHERS.encode()]
    again = await stores.personal_data.erase(user.person)
    assert again.erased == {}, "a second time there is nothing left"
    receipt_of_new = await stores.inbox.receive(web("new", other, "hello", channel=f"web:{OTHERS}"))
    assert receipt_of_new.created


async def test_the_only_owner_and_nobody_cannot_be_erased(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    with pytest.raises(Conflict):
        await stores.personal_data.erase(owner.person)
    with pytest.raises(NotFound):
        await stores.personal_data.erase(999)
    assert (await stores.users.ensure_owner()).id == owner.id


async def test_an_export_holds_everything_of_the_person_and_nothing_of_others(stores: Stores) -> None:
    other = (await stores.users.ensure_owner()).person
    user = await stores.users.create("leaving", Role.MEMBER)
    await everywhere(stores, user.id, user.person, other)
    data = await stores.personal_data.export(user.person)
    archive = io.BytesIO()
    await stores.personal_data.write(data, archive)
    with zipfile.ZipFile(archive) as opened:
        document = json.loads(opened.read("person.json"))
        (file,) = [name for name in opened.namelist() if name != "person.json"]
        assert opened.read(file) == SECRET.encode()
    assert (document["format"], document["version"]) == ("antiphon-person", 1)
    for part in ("memories", "opinions", "proposals", "reminders", "accounts", "conversations", "messages_elsewhere"):
        assert SECRET in json.dumps(document[part]), part
    assert OTHERS not in json.dumps(document)
    assert "digest" not in json.dumps(document)


async def test_forgetting_leaves_what_was_said(stores: Stores) -> None:
    other = (await stores.users.ensure_owner()).person
    user = await stores.users.create("staying", Role.MEMBER)
    await everywhere(stores, user.id, user.person, other)
    receipt = await stores.personal_data.forget(user.person)
    assert dict(receipt.erased) == {"memories": 1, "opinions": 1, "proposals": 1, "summaries": 1}
    assert await stores.memories.recall(MemoryScope.PERSON, user.person, SECRET, 5) == []
    assert len(await stores.memories.recall(MemoryScope.PERSON, other, OTHERS, 5)) == 1
    assert len(await stores.threads.recent(f"web:{SECRET}", before=None, limit=5)) >= 2


async def test_what_is_old_goes_in_batches_and_what_is_not_stays(stores: Stores, store_clock: FakeClock) -> None:
    person = (await stores.users.ensure_owner()).person
    for number in range(5):
        await stores.inbox.receive(web(f"old-{number}", person, f"old {number}"))
        (work,) = await stores.tasks.claim(OWNER, 10, 30)
        await stores.tasks.finish(work.lease, done(f"answer {number}"))
    while batch := await stores.outbox.claim("sender", 50, 30, ("web",)):
        for delivery in batch:
            await stores.outbox.sent("sender", delivery.reply, "n")
    store_clock.move(days=40)
    await stores.schedule.fire_due(10)  # closes the idle thread
    await stores.inbox.receive(web("new", person, "new"))
    now = store_clock.now()
    nothing = await stores.retention.sweep({"messages": now - timedelta(days=60)}, 2)
    assert (dict(nothing.deleted), nothing.more) == ({}, False)
    older = {"messages": now - timedelta(days=30), "transcripts": now, "events": now}
    first = await stores.retention.sweep(older, 2)
    assert (first.deleted["messages"], first.more) == (4, True)
    while (await stores.retention.sweep(older, 2)).more:
        pass
    said = await stores.threads.recent("web:c1", before=None, limit=20)
    assert [m.text for m in said] == ["new"], "a task that waits is never too old"
    from antiphon.store.models import Thread

    assert await stores.database.read(lambda _: Thread.objects.count()) == 1
    assert (await stores.retention.sweep({"messages": now + timedelta(days=1)}, 9)).deleted == {}
