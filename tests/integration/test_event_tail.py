"""`antiphon events tail` over a real server and a real Redis, and whether what it prints is as docs/bus.md says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from antiphon.bus.redis import RedisBus
from antiphon.domain.errors import Unauthenticated
from antiphon.domain.events import TASK_CANCEL, problems_of, turn_topic
from antiphon.run import event_tail
from antiphon.run.clock import SystemClock
from antiphon.run.event_tail import TailOptions, from_api, from_redis, tail
from tests.fixtures_redis import RedisServer
from tests.integration.api_world import World
from tests.integration.program import command

TURN = {"task": "1", "turn": "1.1", "attempt": 1}


async def until(lines: list[str], count: int) -> list[dict[str, object]]:
    """The first lines, parsed, once there are enough."""
    async with asyncio.timeout(15):
        while len(lines) < count:  # noqa: ASYNC110 - the list is filled by another task
            await asyncio.sleep(0.01)
    return [json.loads(line) for line in lines]


async def test_the_tail_of_a_running_server_shows_what_the_key_may_see(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_tail, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(event_tail, "RETRY_SECONDS", 0.05)
    await world.say(world.owner, "web:mine", "hello")
    await world.say(world.other, "web:theirs", "hello")
    lines: list[str] = []
    async with world.served() as address:
        options = TailOptions(as_json=True)
        source = from_api(f"http://{address}", world.owner.key, options)
        tailing = asyncio.create_task(tail(source, options, lines.append))
        async with asyncio.timeout(10):
            while world.api.state.hub.listening < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await world.publish("web:theirs", "text.delta", text="not for the owner")
        await world.publish("web:mine", "text.delta", text="first \N{GREEK SMALL LETTER ALPHA}\nline")
        await world.say(world.owner, "web:later", "a conversation that begins while the tail runs")
        async with asyncio.timeout(10):
            while world.api.state.hub.listening < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await world.publish("web:later", "text.delta", text="second")
        first, second = await until(lines, 2)
        tailing.cancel()
        await asyncio.wait([tailing])
    assert (first["topic"], second["topic"]) == ("turn.web:mine", "turn.web:later")
    assert first["payload"] == {**TURN, "text": "first \N{GREEK SMALL LETTER ALPHA}\nline"}
    assert problems_of(str(first["topic"]), str(first["name"]), dict(first["payload"])) == []  # type: ignore[call-overload]


async def test_a_wrong_key_ends_the_tail_with_a_word(world: World) -> None:
    async with world.served() as address:
        source = from_api(f"http://{address}", "ant_wrong", TailOptions())
        with pytest.raises(Unauthenticated):
            await asyncio.wait_for(tail(source, TailOptions(), print), 10)


@pytest.mark.needs("redis")
async def test_the_tail_of_redis_shows_what_every_process_publishes(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns, the end after a count, text that would steer a terminal, and a server that goes and comes back."""
    monkeypatch.setattr(event_tail, "RETRY_SECONDS", 0.05)
    bus = RedisBus(redis_server.url, SystemClock())
    await bus.start()
    lines: list[str] = []
    options = TailOptions(topics=["turn.web:tail-*", "task.cancel"], count=3)
    tailing = asyncio.create_task(tail(from_redis(redis_server.url), options, lines.append))

    async def publish_until_seen(topic: str, name: str, payload: dict[str, object], count: int) -> None:
        """Nobody says when a subscription stands, so say it until it is heard."""
        async with asyncio.timeout(20):
            while len(lines) < count:
                await bus.publish("turn.web:other", "text.delta", {**TURN, "text": "of no interest"})
                await bus.publish(topic, name, payload)
                await asyncio.sleep(0.05)

    mine = turn_topic("web:tail-a")
    await publish_until_seen(mine, "text.delta", {**TURN, "text": "red \x1b[31m alert\n"}, 1)
    redis_server.stop()
    await asyncio.sleep(0.2)
    redis_server.start()
    lines[:] = lines[:1]
    await publish_until_seen(TASK_CANCEL, "cancel", {"task": "7"}, 3)
    async with asyncio.timeout(5):
        await tailing
    await bus.close()
    assert "turn.web:other" not in "".join(lines)
    assert "\x1b" not in lines[0]
    assert "alert" in lines[0]
    assert TASK_CANCEL in lines[-1]


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    refused = command(tmp_path, "events", "tail")
    assert refused.returncode == 1
    assert "--key-file" in refused.stderr
    missing = command(tmp_path, "events", "tail", "--key-file", str(tmp_path / "none"))
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr
