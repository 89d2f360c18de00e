"""Tasks, threads, approvals, reminders, memories, keys, feedback and the person: reading and changing one's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from antiphon.domain.approvals import ApproverKind, ApproverRule, PauseRequest
from antiphon.domain.memories import MemoryScope
from antiphon.domain.schedule import EntryKind, NewEntry
from antiphon.domain.work import Outcome, Pause, TaskFailure, TaskState, Usage
from tests.integration.api_world import Someone, World, both_engines
from tests.integration.test_api_messages import error_of


async def ask_approval(world: World, who: Someone, rule: ApproverRule, expires: timedelta = timedelta(hours=1)) -> str:
    """A task of `who` that waits for one approval; the approval's id."""
    await world.say(who, f"web:of-{who.user.name}", "do it")
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    request = PauseRequest(
        "c1", "memory.forget_all", {"who": "me"}, "hash", "Forget all?", rule, datetime.now(UTC) + expires
    )
    (approval,) = await world.stores.tasks.pause(work.lease, Pause(b"{}", (request,), "", ()))
    return str(approval.id)


async def test_a_task_tells_what_became_of_its_message(world: World) -> None:
    receipt = await world.say(world.owner, "api:desk", "hello")
    async with world.client(world.owner) as client:
        path = f"/api/tasks/{receipt['task']}"
        queued = (await client.get(path)).json()
        assert (
            queued.items()
            >= {
                "id": receipt["task"],
                "state": "queued",
                "channel": "api:desk",
                "thread": receipt["thread"],
                "message": receipt["message"],
                "attempt": 0,
                "reply": None,
                "error": None,
                "asked": "hello",
                "requester": "Owner",
                "dead_reply": None,
            }.items()
        )
        assert (queued["tools"], queued["usage"]) == ([], {})
        (work,) = await world.stores.tasks.claim("tester", 1, 30)
        outcome = Outcome(TaskState.DONE, "hi", ("hi",), usage=Usage(requests=1, output_tokens=2, model="offline"))
        await world.stores.tasks.finish(work.lease, outcome)
        done = (await client.get(path)).json()
    assert (done["state"], done["reply"], done["attempt"]) == ("done", "hi", 1)
    assert done["usage"]["output_tokens"] == 2


async def test_a_dead_task_says_why_and_can_be_retried(world: World) -> None:
    receipt = await world.say(world.owner, "api:desk", "hello")
    path = f"/api/tasks/{receipt['task']}"
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    failure = TaskFailure("model_failed", "The model did not answer.")
    await world.stores.tasks.finish(work.lease, Outcome(TaskState.DEAD, "sorry", ("sorry",), failure=failure))
    async with world.client(world.owner) as client:
        dead = (await client.get(path)).json()
        assert (dead["state"], dead["error"]) == (
            "dead",
            {"code": "model_failed", "message": "The model did not answer."},
        )
        again = await client.post(f"{path}/retry")
        assert (again.status_code, again.json()["state"]) == (200, "queued")
        assert error_of(await client.post(f"{path}/retry"), 409)["code"] == "conflict"


async def test_a_task_is_stopped_and_stopping_it_again_changes_nothing(world: World) -> None:
    receipt = await world.say(world.owner, "api:desk", "hello")
    async with world.client(world.owner) as client:
        for body in ({}, {"json": {}}):
            answer = await client.post(f"/api/tasks/{receipt['task']}/cancel", **body)
            assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


@both_engines
async def test_tasks_are_filtered_by_state_and_channel(world: World) -> None:
    await world.say(world.owner, "api:one", "a")
    await world.answer("b")
    await world.say(world.owner, "api:two", "c")
    async with world.client(world.owner) as client:

        async def channels(**query: str) -> list[str]:
            return [item["channel"] for item in (await client.get("/api/tasks", params=query)).json()["items"]]

        assert await channels() == ["api:two", "api:one"]
        assert await channels(state="done") == ["api:one"]
        assert await channels(channel="api:two") == ["api:two"]
        assert await channels(channel="api:two", state="done") == []
        assert await channels(channel="api:never") == []
        assert "state" in error_of(await client.get("/api/tasks", params={"state": "gone"}), 422)["fields"]
        error_of(await client.get("/api/tasks", params={"channel": "x"}), 422)


async def test_a_thread_is_closed_by_hand_and_the_next_message_opens_another(world: World) -> None:
    receipt = await world.say(world.owner, "api:desk", "hello")
    await world.answer("hi")
    async with world.client(world.owner) as client:
        path = f"/api/threads/{receipt['thread']}"
        assert (await client.get(path)).json()["state"] == "active"
        for _ in range(2):
            closed = (await client.post(f"{path}/close")).json()
            assert closed["state"] == "closed"
            assert closed["closed_at"] is not None
        again = await world.say(world.owner, "api:desk", "hello again")
        assert again["thread"] != receipt["thread"]
        listed = [item["id"] for item in (await client.get("/api/channels/api:desk/threads")).json()["items"]]
        assert listed == [again["thread"], receipt["thread"]]
        assert [item["id"] for item in (await client.get("/api/threads")).json()["items"]] == listed
        error_of(await client.get("/api/channels/api:never/threads"), 404)


@both_engines
async def test_channels_are_listed_by_their_last_message_page_by_page(world: World) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await world.say(world.owner, f"api:{name}", f"this is {name}")
    await world.say(world.owner, "api:b", "b again")
    keys: list[str] = []
    async with world.client(world.owner) as client:
        page = (await client.get("/api/channels", params={"limit": 2})).json()
        assert page["items"][0] == {
            "key": "api:b",
            "title": "this is b",
            "last_at": page["items"][0]["last_at"],
            "preview": "b again",
        }
        while True:
            keys += [item["key"] for item in page["items"]]
            if page["next"] is None:
                break
            page = (await client.get("/api/channels", params={"limit": 2, "cursor": page["next"]})).json()
    assert keys == ["api:b", "api:e", "api:d", "api:c", "api:a"]


@both_engines
async def test_a_channel_is_renamed(world: World) -> None:
    await world.say(world.owner, "web:x", "hello")
    async with world.client(world.owner) as client:
        answer = await client.patch("/api/channels/web:x", json={"title": "Birds 🐦"})
        assert (answer.status_code, answer.json()["title"]) == (200, "Birds 🐦")
        assert (await client.get("/api/channels/web:x")).json()["title"] == "Birds 🐦"
        for title in (None, 7, "x" * 201, "a\x00"):
            assert "title" in error_of(await client.patch("/api/channels/web:x", json={"title": title}), 422)["fields"]
        error_of(await client.patch("/api/channels/web:never", json={"title": "x"}), 404)
        error_of(await client.get("/api/channels/web:never"), 404)


@both_engines
async def test_my_own_approval_is_allowed_by_me_once(world: World) -> None:
    approval = await ask_approval(world, world.owner, ApproverRule())
    async with world.client(world.owner) as client:
        (item,) = (await client.get("/api/approvals", params={"state": "pending"})).json()["items"]
        assert (item["id"], item["arguments"], item["approver"]["kind"]) == (approval, {"who": "me"}, "requester")
        for _ in range(2):  # the same word twice is one decision
            answer = await client.post(f"/api/approvals/{approval}/approve")
            assert answer.status_code == 200, answer.text
            assert answer.json()["state"] == "approved"
            assert answer.json()["decided_by"] == str(world.owner.person)
        assert error_of(await client.post(f"/api/approvals/{approval}/deny"), 409)["code"] == "conflict"
        assert (await client.get(f"/api/tasks/{item['task']}")).json()["state"] == "queued"
        assert (await client.get("/api/approvals", params={"state": "pending"})).json()["items"] == []
        error_of(await client.get("/api/approvals", params={"state": "maybe"}), 422)


async def test_a_member_cannot_answer_what_needs_an_operator_but_an_owner_can(world: World) -> None:
    rule = ApproverRule(ApproverKind.PERMISSION, "operator")
    approval = await ask_approval(world, world.other, rule)
    async with world.client(world.other) as client:  # it was asked for them, so they see it
        assert (await client.get(f"/api/approvals/{approval}")).json()["state"] == "pending"
        error_of(await client.post(f"/api/approvals/{approval}/approve"), 403)
    async with world.client(world.owner) as client:
        assert [item["id"] for item in (await client.get("/api/approvals")).json()["items"]] == [approval]
        assert (await client.post(f"/api/approvals/{approval}/deny")).json()["state"] == "denied"


async def test_an_owner_does_not_see_what_only_the_requester_may_answer(world: World) -> None:
    approval = await ask_approval(world, world.other, ApproverRule())
    async with world.client(world.owner) as client:
        assert (await client.get("/api/approvals")).json()["items"] == []
        for path in (f"/api/approvals/{approval}/approve", f"/api/approvals/{approval}/deny"):
            error_of(await client.post(path), 404)


async def test_an_expired_approval_cannot_be_answered(world: World) -> None:
    approval = await ask_approval(world, world.owner, ApproverRule(), timedelta(seconds=-1))
    async with world.client(world.owner) as client:
        error_of(await client.post(f"/api/approvals/{approval}/approve"), 409)


async def test_a_reminder_is_shown_and_cancelled_once(world: World) -> None:
    await world.say(world.owner, "web:x", "remind me")
    due = datetime.now(UTC) + timedelta(hours=2)
    entry = await world.stores.schedule.add(
        NewEntry(EntryKind.REMINDER, due, "web:x", world.owner.person, "o1", "stretch")
    )
    async with world.client(world.owner) as client:
        (item,) = (await client.get("/api/reminders")).json()["items"]
        assert (item["id"], item["kind"], item["text"], item["channel"]) == (
            str(entry.id),
            "reminder",
            "stretch",
            "web:x",
        )
        assert item["due_at"] == due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cancelled = await client.delete(f"/api/reminders/{entry.id}")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        error_of(await client.delete(f"/api/reminders/{entry.id}"), 404)
        assert (await client.get("/api/reminders")).json()["items"] == []


async def test_a_memory_is_shown_and_forgotten(world: World) -> None:
    me = world.owner.person
    memory = await world.stores.memories.remember(
        MemoryScope.PERSON, me, "the desk is by the window", author=me, channel="web:x", origin="o1"
    )
    async with world.client(world.owner) as client:
        (item,) = (await client.get("/api/memories")).json()["items"]
        assert (item["id"], item["text"], item["channel"]) == (str(memory.id), "the desk is by the window", "web:x")
        assert (await client.delete(f"/api/memories/{memory.id}")).status_code == 200
        error_of(await client.delete(f"/api/memories/{memory.id}"), 404)


@both_engines
async def test_a_forgotten_memory_comes_back_as_it_was_and_only_to_its_person(world: World) -> None:
    me = world.owner.person
    memory = await world.stores.memories.remember(
        MemoryScope.PERSON, me, "the desk is by the window", author=me, channel="web:x", origin="o1"
    )
    async with world.client(world.owner) as client, world.client(world.other) as other:
        before = (await client.get("/api/memories")).json()
        undo = {"undo": (await client.delete(f"/api/memories/{memory.id}")).json()["undo"]}
        assert (await client.get("/api/memories")).json()["items"] == []
        error_of(await other.post("/api/memories/restore", json=undo), 404)
        for forged in ("", "x", undo["undo"][:-1], undo["undo"].replace(":", "", 1), "\u2603:a:b"):
            assert "undo" in error_of(await client.post("/api/memories/restore", json={"undo": forged}), 422)["fields"]
        for _ in range(2):
            restored = await client.post("/api/memories/restore", json=undo)
            assert (restored.status_code, restored.json()) == (200, before["items"][0])
        assert (await client.get("/api/memories")).json() == before
        assert (await other.get("/api/memories")).json()["items"] == []
        (found,) = await world.stores.memories.recall(MemoryScope.PERSON, me, "where is the desk", 5)
        assert found == memory
        later = await world.stores.memories.remember(
            MemoryScope.PERSON, me, "the cat is called Minou", author=me, channel="web:x", origin="o2"
        )
        assert later.id > memory.id


async def test_what_was_forgotten_long_ago_stays_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    me = world.owner.person
    memory = await world.stores.memories.remember(
        MemoryScope.PERSON, me, "the desk is by the window", author=me, channel="web:x", origin="o1"
    )
    monkeypatch.setattr("antiphon.api.views.personal.UNDO", timedelta(seconds=-1))
    async with world.client(world.owner) as client:
        undo = {"undo": (await client.delete(f"/api/memories/{memory.id}")).json()["undo"]}
        error_of(await client.post("/api/memories/restore", json=undo), 422)
        assert (await client.get("/api/memories")).json()["items"] == []


async def test_an_answer_is_rated_and_rated_again(world: World) -> None:
    from antiphon.store.models import Feedback

    await world.say(world.owner, "api:desk", "hello")
    await world.answer("hi")
    async with world.client(world.owner) as client:
        answer, said = (await client.get("/api/channels/api:desk/messages")).json()["items"]
        path = f"/api/messages/{answer['id']}/feedback"
        for body in ({"value": 1}, {"value": -1, "text": "too short"}):
            assert (await client.post(path, json=body)).status_code == 204
        for value in (0, 2, True, "1", None, 1.0):
            assert "value" in error_of(await client.post(path, json={"value": value}), 422)["fields"]
        error_of(await client.post(f"/api/messages/{said['id']}/feedback", json={"value": 1}), 404)
    rows = await world.stores.database.read(lambda _tx: list(Feedback.objects.values_list("value", "text")))
    assert rows == [(-1, "too short")]


async def test_i_change_my_name_zone_and_language(world: World) -> None:
    async with world.client(world.other) as client:
        before = (await client.get("/api/me")).json()
        assert before == {
            "id": str(world.other.person),
            "name": "other",
            "timezone": "UTC",
            "language": "en",
            "role": "member",
            "scopes": ["chat"],
        }
        change = {"name": "Wren", "timezone": "Asia/Tokyo", "language": "pt-BR"}
        assert (await client.patch("/api/me", json=change)).json() == {**before, **change}
        assert (await client.patch("/api/me", json={})).json() == {**before, **change}
        bad = {"name": "  ", "timezone": "Mars/Olympus", "language": "e"}
        assert set(error_of(await client.patch("/api/me", json=bad), 422)["fields"]) == set(bad)
        for zone in ("../../etc/passwd", "/etc/passwd", "", "UTC\x00"):
            error_of(await client.patch("/api/me", json={"timezone": zone}), 422)
        assert (await client.get("/api/me")).json() == {**before, **change}


async def test_a_key_is_made_used_listed_and_revoked_at_once(world: World) -> None:
    async with world.client(world.owner) as client:
        made = await client.post("/api/keys", json={"name": "my tool", "scopes": ["chat"]})
        assert made.status_code == 201
        key = made.json()
        assert key["key"].startswith("ant_")
        assert key["scopes"] == ["chat"]
        listed = (await client.get("/api/keys")).json()["items"]
        assert [item["name"] for item in listed] == ["my tool", "key of other", "key of owner"]
        assert all("key" not in item for item in listed)
        async with world.client(headers={"Authorization": f"Bearer {key['key']}"}) as tool:
            assert (await tool.get("/api/me")).status_code == 200
            for _ in range(2):
                revoked = await client.delete(f"/api/keys/{key['id']}")
                assert (revoked.status_code, revoked.json()["revoked_at"] is not None) == (200, True)
            error_of(await tool.get("/api/me"), 401)


async def test_a_key_revoked_in_another_process_is_out_as_soon_as_the_bus_says_so(world: World) -> None:
    """Keys are remembered for a while, so a request shortly before must not keep a revoked key alive."""
    async with world.client(world.other) as client:
        assert (await client.get("/api/me")).status_code == 200
        await world.stores.keys.revoke(world.other.key_id, None)
        await world.bus.publish("key.revoked", "key.revoked", {"key": str(world.other.key_id)})
        for _ in range(50):
            if (await client.get("/api/me")).status_code == 401:
                break
            await asyncio.sleep(0.01)
        error_of(await client.get("/api/me"), 401)


async def test_nobody_makes_a_key_that_can_do_more_than_they_can(world: World) -> None:
    _, secret = await world.stores.keys.create("admin", ["admin"], world.owner.person)
    async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        error_of(await client.post("/api/keys", json={"name": "more", "scopes": ["admin", "chat"]}), 403)
        assert (await client.post("/api/keys", json={"name": "same", "scopes": ["admin"]})).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["chat"]}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "scopes": "chat"}, "scopes"),
        ({"name": "x", "scopes": [["chat"]]}, "scopes"),
        ({"name": "", "scopes": ["chat"]}, "name"),
        ({"name": " ", "scopes": ["chat"]}, "name"),
        ({"name": "x\ny", "scopes": ["chat"]}, "name"),
    ],
)
async def test_a_key_that_cannot_be_made_names_the_field(world: World, body: dict[str, object], field: str) -> None:
    async with world.client(world.owner) as client:
        assert list(error_of(await client.post("/api/keys", json=body), 422)["fields"]) == [field]
