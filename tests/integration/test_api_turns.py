"""The detail of a turn: for its person and for operators, without the words of others, never with a secret."""

from __future__ import annotations

from antiphon.domain.tools import ExecutionKey, ExecutionStatus
from antiphon.domain.work import Outcome, TaskState, Usage
from tests.integration.api_world import World
from tests.integration.test_api_messages import error_of


async def test_the_detail_of_a_turn(world: World) -> None:
    receipt = await world.say(world.other, "web:x", "hello")
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    key = ExecutionKey(work.lease.task, "memory.recall", "h", 0)
    record = await world.stores.executions.begin(key, {"query": "heron"}, lease=work.lease, approval=None)
    await world.stores.executions.end(record.id, ExecutionStatus.OK, "a bird", 0.25)
    trace = {"context": [{"kind": "memory", "id": 7, "tokens": 3}], "failures": ["it refused ant_abcdefghijklmnop"]}
    usage = Usage(requests=1, input_tokens=9, output_tokens=2, model="small", seconds=0.5)
    await world.stores.tasks.finish(
        work.lease, Outcome(TaskState.DONE, "a bird", ("a bird",), usage=usage, trace=trace)
    )
    address = f"/api/tasks/{receipt['task']}/turns"
    async with world.client(world.other) as client:
        mine = (await client.get(address)).json()
        (turn,) = mine["items"]
        assert (turn["model"], turn["input_tokens"], turn["result"]) == ("small", 9, "done")
        assert turn["trace"]["context"] == trace["context"]
        assert turn["trace"]["failures"] == ["it refused [secret removed]"]
        (call,) = mine["calls"]
        assert (call["tool"], call["arguments"], call["result"]) == ("memory.recall", {"query": "heron"}, "a bird")
    async with world.client(world.owner) as client:
        (seen,) = (await client.get(address)).json()["calls"]
        assert (seen["tool"], seen["arguments"], seen["result"]) == ("memory.recall", None, None)
        own = await world.say(world.owner, "web:y", "mine")
    async with world.client(world.other) as client:
        error_of(await client.get(f"/api/tasks/{own['task']}/turns"), 404)
        error_of(await client.get("/api/tasks/999999/turns"), 404)
