"""What a person taught it changes its answers, visibly, and can be taken back: the whole program with no model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from antiphon.config import Settings
from antiphon.run.wiring import Antiphon, open_antiphon
from tests.integration.api_world import ORIGIN

QUESTION = "What is the code of the cellar door?"


@pytest_asyncio.fixture
async def program(sqlite_settings: Settings) -> AsyncIterator[tuple[Antiphon, httpx.AsyncClient]]:
    """Everything in this process: the API, and a worker that answers offline."""
    stop = asyncio.Event()
    async with open_antiphon(sqlite_settings, stop=stop) as antiphon:
        working = asyncio.create_task(antiphon.work(stop))
        owner = await antiphon.stores.users.ensure_owner()
        _, secret = await antiphon.stores.keys.create("test", ["chat", "admin"], owner.person)
        transport = httpx.ASGITransport(app=antiphon.build_asgi(pages=False))  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, trust_env=False) as client:
            yield antiphon, client
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def ask(client: httpx.AsyncClient, text: str, **body: Any) -> dict[str, Any]:
    """Say something; the agent's message."""
    receipt = (await client.post("/api/channels/web:a/messages", json={"text": text, **body})).json()
    for _ in range(3000):
        task = (await client.get(f"/api/tasks/{receipt['task']}")).json()
        if task["state"] in ("done", "dead"):
            break
        await asyncio.sleep(0.02)
    assert task["state"] == "done"
    messages = (await client.get("/api/channels/web:a/messages?limit=4")).json()["items"]
    return next(m for m in messages if m["author"] == "agent" and m["task"] == receipt["task"])


async def trace_of(antiphon: Antiphon, task: str) -> dict[str, Any]:
    """The trace of a task's last turn, as it is stored."""
    from antiphon.store.models import Turn

    row = await antiphon.stores.database.read(lambda _: Turn.objects.filter(task_id=int(task)).latest("pk"))
    return row.trace


async def test_a_rated_answer_changes_a_later_one_and_undo_restores_it(
    program: tuple[Antiphon, httpx.AsyncClient],
) -> None:
    antiphon, client = program
    before = await ask(client, QUESTION)
    rated = await client.post(f"/api/messages/{before['id']}/feedback", json={"value": -1, "text": "The code is 4711."})
    assert rated.status_code == 204
    (opinion,) = (await client.get("/api/feedback")).json()["items"]
    assert (opinion["question"], opinion["text"], opinion["message"]) == (QUESTION, "The code is 4711.", before["id"])
    after = await ask(client, "what's the code of the CELLAR door")
    assert "4711" in after["text"]
    assert "4711" not in before["text"]
    pieces = (await trace_of(antiphon, after["task"]))["context"]
    assert [piece["id"] for piece in pieces if piece["kind"] == "correction"] == [int(opinion["id"])]
    assert "4711" not in (await ask(client, "What is the code of the garage?"))["text"]
    assert (await client.delete(f"/api/feedback/{opinion['id']}")).status_code == 204
    restored = (await ask(client, QUESTION))["text"]
    assert "4711" not in restored
    assert restored.startswith("I can't do that offline")
    assert before["text"].startswith("I can't do that offline")
    assert (await client.get("/api/feedback")).json()["items"] == []


async def test_a_file_that_came_along_is_read(program: tuple[Antiphon, httpx.AsyncClient]) -> None:
    antiphon, client = program
    text = b"The heron project begins on the third of May. It is led by Ada. The budget is open."
    file = (await client.post("/api/channels/web:a/attachments?name=plan.txt", content=text)).json()
    answer = await ask(client, "", attachments=[file["id"]])
    assert "third of May" in answer["text"]
    pieces = (await trace_of(antiphon, answer["task"]))["context"]
    assert [(p["kind"], p["id"]) for p in pieces if p["kind"] == "file"] == [("file", int(file["id"]))]
