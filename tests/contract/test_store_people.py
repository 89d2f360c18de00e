"""People, what they asked to remember, their keys, logins and opinions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from antiphon.domain.identity import Role
from antiphon.domain.logins import SCOPES
from antiphon.domain.memories import MemoryScope
from tests.contract.store_work import discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def test_preferences_are_kept(stores: Stores) -> None:
    person = (await stores.users.ensure_owner()).person
    changed = await stores.people.set_preferences(person, timezone="Asia/Tokyo", language="pt-BR", name=" Ada ")
    assert (changed.timezone, changed.language, changed.name) == ("Asia/Tokyo", "pt-BR", "Ada")
    assert await stores.people.person(person) == changed
    assert await stores.people.set_preferences(person) == changed
    with pytest.raises(NotFound):
        await stores.people.person(999_999)


@pytest.mark.parametrize(
    "change",
    [
        {"timezone": "Mars/Base"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "Europe"},
        {"timezone": ""},
        {"language": "x"},
        {"language": "en; drop table"},
        {"name": " "},
        {"name": "a\x00b"},
        {"name": "x" * 201},
    ],
)
async def test_impossible_preferences_are_refused(stores: Stores, change: dict[str, str]) -> None:
    person = (await stores.users.ensure_owner()).person
    before = await stores.people.person(person)
    with pytest.raises(InvalidInput) as refused:
        await stores.people.set_preferences(person, **change)
    assert set(refused.value.fields) == set(change)
    assert await stores.people.person(person) == before


async def test_roles_are_those_of_the_console_user(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    member = await stores.users.create("bob", Role.MEMBER)
    assert await stores.people.role(owner.person) == "owner"
    assert await stores.people.role(member.person) == "member"
    assert await stores.people.role(999_999) == ""


async def test_memories_are_kept_per_subject(stores: Stores) -> None:
    ada = (await stores.users.ensure_owner()).person
    bob = (await stores.users.create("bob", Role.MEMBER)).person

    async def remember(subject: int, text: str, origin: str, scope: MemoryScope = MemoryScope.PERSON) -> int:
        memory = await stores.memories.remember(scope, subject, text, author=subject, channel="web:c1", origin=origin)
        return memory.id

    desk = await remember(ada, "My desk is by the window", "o1")
    assert await remember(ada, "anything", "o1") == desk, "a replay does not remember twice"
    cat = await remember(ada, "The cat is called Minou", "o2")
    await remember(bob, "Bob likes windows", "o1")
    await remember(ada, "Rules of the server", "o1", MemoryScope.SERVER)

    async def recall(query: str, limit: int = 10) -> list[int]:
        return [memory.id for memory in await stores.memories.recall(MemoryScope.PERSON, ada, query, limit)]

    assert await recall("") == [cat, desk]
    assert await recall("", 1) == [cat]
    assert await recall("where is my desk?") == [desk], "small words find nothing"
    assert await recall("windows") == [desk]
    assert await recall("submarine") == []
    assert await stores.memories.forget(MemoryScope.PERSON, bob, [desk]) == []
    (gone,) = await stores.memories.forget(MemoryScope.PERSON, ada, [desk, 999_999])
    assert gone.text == "My desk is by the window"
    assert await recall("") == [cat]
    assert [memory.id for memory in await stores.memories.forget(MemoryScope.PERSON, ada, None)] == [cat]
    assert await recall("") == []
    assert len(await stores.memories.recall(MemoryScope.SERVER, ada, "", 10)) == 1
    with pytest.raises(InvalidInput):
        await remember(ada, "  ", "o9")


async def test_a_key_is_stored_as_a_hash_and_refused_once_revoked(stores: Stores, store_clock: FakeClock) -> None:
    person = (await stores.users.ensure_owner()).person
    key, secret = await stores.keys.create("laptop", ["chat", "metrics"], person)
    assert secret.startswith("ant_")
    assert secret.startswith(key.hint)
    from antiphon.store.models import Key

    stored = await stores.database.read(lambda _: Key.objects.values().get(pk=key.id))
    assert secret not in str(stored)
    principal = await stores.keys.verify(secret)
    assert principal is not None
    assert (principal.person, principal.scopes, principal.key) == (person, {"chat", "metrics"}, key.id)
    (listed,) = await stores.keys.list(person)
    assert listed.last_used_at == store_clock.now()
    await stores.keys.revoke(key.id, person)
    assert await stores.keys.verify(secret) is None
    revoked = await stores.keys.revoke(key.id, None)
    assert revoked.revoked_at == store_clock.now()


async def test_the_keys_of_a_disabled_login_stop_working(stores: Stores) -> None:
    user = await stores.users.create("bob", Role.MEMBER)
    _, secret = await stores.keys.create("laptop", ["chat"], user.person)
    assert await stores.keys.verify(secret) is not None
    from antiphon.store.models import User

    await stores.database.run(lambda _: User.objects.filter(pk=user.id).update(is_active=False))
    assert await stores.keys.verify(secret) is None


@pytest.mark.parametrize("secret", ["", "ant_", "ant_wrong", "nothing", "ant_" + "x" * 10_000, "ant_\x00\ud800"])
async def test_a_wrong_secret_is_nobody(stores: Stores, secret: str) -> None:
    await stores.keys.create("laptop", ["chat"], (await stores.users.ensure_owner()).person)
    assert await stores.keys.verify(secret) is None


async def test_keys_belong_to_their_person(stores: Stores) -> None:
    ada = (await stores.users.ensure_owner()).person
    bob = (await stores.users.create("bob", Role.MEMBER)).person
    key, secret = await stores.keys.create("laptop", ["chat"], ada)
    assert await stores.keys.list(bob) == []
    assert [one.id for one in await stores.keys.list(None)] == [key.id]
    with pytest.raises(NotFound):
        await stores.keys.revoke(key.id, bob)
    assert await stores.keys.verify(secret) is not None
    with pytest.raises(NotFound):
        await stores.keys.create("x", ["chat"], 999_999)


@pytest.mark.parametrize(("name", "scopes"), [("", ["chat"]), ("x" * 101, ["chat"]), ("x", []), ("x", ["root"])])
async def test_a_key_needs_a_name_and_known_scopes(stores: Stores, name: str, scopes: list[str]) -> None:
    person = (await stores.users.ensure_owner()).person
    with pytest.raises(InvalidInput):
        await stores.keys.create(name, scopes, person)


async def test_there_is_one_owner(stores: Stores) -> None:
    first = await stores.users.ensure_owner()
    everybody = await asyncio.gather(*(stores.users.ensure_owner() for _ in range(5)))
    assert {user.id for user in everybody} == {first.id}
    assert await stores.users.find("owner") == first
    with pytest.raises(Conflict):
        await stores.users.create("owner", Role.MEMBER)
    with pytest.raises(NotFound):
        await stores.users.find("nobody")
    with pytest.raises(InvalidInput):
        await stores.users.create(" ", Role.MEMBER)


async def test_a_sign_in_link_works_once_and_in_time(stores: Stores, store_clock: FakeClock) -> None:
    owner = await stores.users.ensure_owner()
    token = await stores.users.sign_in_token(owner.id, timedelta(minutes=15))
    results = await asyncio.gather(*(stores.users.redeem(token) for _ in range(5)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, BaseException)] == [owner]
    assert all(isinstance(result, Unauthenticated) for result in results if isinstance(result, BaseException))
    late = await stores.users.sign_in_token(owner.id, timedelta(minutes=15))
    store_clock.move(minutes=15)
    for wrong in (late, "", "unknown", "\ud800"):
        with pytest.raises(Unauthenticated):
            await stores.users.redeem(wrong)
    with pytest.raises(NotFound):
        await stores.users.sign_in_token(999_999, timedelta(minutes=15))


async def test_a_user_may_do_what_the_role_says_until_disabled(stores: Stores) -> None:
    from antiphon.store.models import User

    owner = await stores.users.ensure_owner()
    member = await stores.users.create("bob", Role.MEMBER)
    token = await stores.users.sign_in_token(member.id, timedelta(minutes=15))
    powers = [await stores.users.principal(user) for user in (owner.id, member.id, 999_999)]
    assert powers[0] is not None
    assert (powers[0].scopes, powers[0].role, powers[0].person) == (SCOPES, Role.OWNER, owner.person)
    assert powers[1] is not None
    assert powers[1].scopes == {"chat"}
    assert powers[2] is None
    await stores.database.run(lambda _: User.objects.filter(pk=member.id).update(is_active=False))
    assert await stores.users.principal(member.id) is None
    assert await stores.people.role(member.person) == ""
    with pytest.raises(Unauthenticated):
        await stores.users.redeem(token)


async def test_an_opinion_replaces_the_earlier_one(stores: Stores) -> None:
    from antiphon.store.models import Feedback

    person = (await stores.users.ensure_owner()).person
    await stores.tasks.finish(await started(stores), done())
    question, answer = await stores.threads.recent("discord:c1", before=None, limit=9)
    await stores.feedback.rate(answer.id, person, 1, "")
    await stores.feedback.rate(answer.id, person, -1, "wrong")
    rows = await stores.database.read(lambda _: list(Feedback.objects.values_list("value", "text")))
    assert rows == [(-1, "wrong")]
    for message in (question.id, 999_999):
        with pytest.raises(NotFound):
            await stores.feedback.rate(message, person, 1, "")
    with pytest.raises(InvalidInput):
        await stores.feedback.rate(answer.id, person, 2, "")


async def test_a_channel_can_be_renamed(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", channel_title="general"))
    assert (await stores.threads.channel("discord:c1")).title == "general"
    assert (await stores.threads.rename("discord:c1", "Plans")).title == "Plans"
    await stores.inbox.receive(discord("m2", channel_title="general"))
    assert (await stores.threads.channel("discord:c1")).title == "Plans", "the platform's own name did not change"
    with pytest.raises(NotFound):
        await stores.threads.rename("discord:none", "x")
    with pytest.raises(InvalidInput):
        await stores.threads.rename("discord:c1", " ")
