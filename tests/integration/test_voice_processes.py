"""Spoken sessions in several processes: real ones on PostgreSQL and Redis, with a client that does not know which is
which, and a process that is killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon.voice.transports.transport import FRAME_BYTES, SILENCE
from tests.fixtures_databases import PostgresqlServer
from tests.fixtures_redis import RedisServer
from tests.fixtures_voice import Speak
from tests.integration.program import Program, key_of

pytestmark = pytest.mark.needs("postgresql", "redis")

LEASE = 6.0
ASKED = "what is two plus two"
SECONDS = 60.0
"""What anything may take on a machine that is busy."""


class Deployment:
    """Two processes on one database and one bus. `voice` carries sessions and nothing else, `api` the rest too."""

    def __init__(self, folder: Path, shared: dict[str, str]) -> None:
        self._folder = folder
        self._shared = shared
        self.bearer: dict[str, str] = {}
        self.voice = self._program("voice")
        self.api = self._program("api")

    def _program(self, role: str) -> Program:
        folder = self._folder / role  # a machine of its own
        folder.mkdir()
        return Program(folder, role, **self._shared)

    @property
    def all(self) -> list[Program]:
        return [self.voice, self.api]

    def start(self) -> None:
        """Whichever do not run; the database is up to date."""
        for program in self.all:
            if not program.running:
                program.start()
        self.bearer = self.bearer or self.credential()

    def credential(self) -> dict[str, str]:
        """Headers with a fresh key of the owner. Not on a running loop."""
        return {"Authorization": f"Bearer {key_of(self._folder, **self._shared)}"}

    @asynccontextmanager
    async def at(self, program: Program, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=program.address, headers=headers or self.bearer, timeout=SECONDS
        ) as client:
            yield client

    async def begin(self, program: Program, room: str, **headers: str) -> str:
        async with self.at(program, **headers) as client:
            answer = await client.post("/session", json={"room": room, "identity": "Ada"})
            assert answer.status_code == 201, answer.text
            return answer.json()["session_id"]

    async def ticket(self, program: Program, room: str, **headers: str) -> str:
        async with self.at(program, **headers) as client:
            return (await client.get("/token", params={"room": room, "identity": "Ada"})).json()["token"]

    async def session(self, key: str) -> dict[str, Any]:
        async with self.at(self.api) as client:
            return (await client.get(f"/api/voice/sessions/{key}")).json()

    async def reason(self, key: str, *, within: float = SECONDS) -> str | None:
        """Why a session ended, once it has."""
        return await until(lambda: self._reason(key), within)

    async def _reason(self, key: str) -> str | None:
        return (await self.session(key))["reason"]

    def socket(self, program: Program, path: str, **headers: str) -> Any:
        return connect(f"{program.address.replace('http', 'ws')}{path}", additional_headers=headers)

    async def talking(self, program: Program) -> int:
        """What the metric of a process says."""
        async with self.at(program) as client:
            text = (await client.get("/metrics")).text
        counted = [line for line in text.splitlines() if line.startswith("antiphon_voice_sessions{")]
        return sum(round(float(line.rpartition(" ")[2])) for line in counted)


async def until(look: Callable[[], Awaitable[Any]], within: float = SECONDS) -> Any:
    """What is looked for, once it is there."""
    deadline = time.monotonic() + within
    while not (found := await look()):
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: PostgresqlServer,
    _postgresql_template: str,
    redis_server: RedisServer,
) -> Iterator[Deployment]:
    """One for all tests: each has rooms of its own."""
    name = f"test_{uuid4().hex}"
    shared = {
        "DATABASE_URL": postgresql_server.create(name, _postgresql_template),
        "REDIS_URL": redis_server.url,
        "ANTIPHON_VOICE__LEASE_SECONDS": str(LEASE),
        "ANTIPHON_VOICE__RECORD": "true",
    }
    made = Deployment(tmp_path_factory.mktemp("deployment"), shared)
    try:
        yield made
    finally:
        for program in made.all:
            program.close()
        postgresql_server.drop(name)


@pytest.fixture
def deployment(made: Deployment) -> Deployment:
    """All of its processes are up, also after a test that ended some."""
    made.start()
    return made


async def code_of(socket: Any) -> int:
    """The code a socket is closed with."""
    try:
        async with asyncio.timeout(SECONDS):
            async for _ in socket:
                pass
    except ConnectionClosed:
        pass
    return socket.close_code


async def converse(sound: Any, transcript: Any, said: bytes) -> list[dict[str, Any]]:
    """Say something into an open microphone, and listen until it is answered. Returns what was said on both sides."""
    assert json.loads(await sound.recv())["type"] == "hello"

    async def listen() -> None:
        async for _ in sound:
            pass

    async def speak() -> None:
        for at in range(0, len(said), FRAME_BYTES):
            await sound.send(said[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
            await asyncio.sleep(0.02)
        while True:
            await sound.send(SILENCE)
            await asyncio.sleep(0.02)

    doing = [asyncio.create_task(listen()), asyncio.create_task(speak())]
    final: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(SECONDS):
            while not final or final[-1]["role"] != "agent":
                event = json.loads(await transcript.recv())
                if event["type"] == "transcript" and event["final"] and event["text"]:
                    final.append(event)
    finally:
        for task in doing:
            task.cancel()
        await asyncio.wait(doing)
    return final


async def test_a_client_that_does_not_know_which_process_is_which(deployment: Deployment, speech_of: Speak) -> None:
    """Begun here, a ticket from there, sound here or there: as behind a proxy."""
    voice, api = deployment.all
    key = await deployment.begin(voice, "kitchen-1")
    ticket = await deployment.ticket(api, "kitchen-1")
    assert await deployment.talking(voice) == 1
    async with (
        deployment.socket(api, f"/ws/transcript/{key}", **deployment.bearer) as transcript,
        deployment.socket(api, f"/ws/voice/{key}?ticket={ticket}") as sound,
    ):
        assert (await deployment.talking(voice), await deployment.talking(api)) == (0, 1)
        async with deployment.socket(voice, f"/ws/voice/{key}?ticket={ticket}") as again:
            assert await code_of(again) == 4409, "a ticket is good once, wherever it comes"
        said = await converse(sound, transcript, speech_of(ASKED))
        assert [(one["segment"], one["role"]) for one in said] == [(1, "user"), (2, "agent")]
    # The connection comes back to another process: what was said is continued, not begun anew.
    async with (
        deployment.socket(api, f"/ws/transcript/{key}?after=2", **deployment.bearer) as transcript,
        deployment.socket(voice, f"/ws/voice/{key}?ticket={await deployment.ticket(api, 'kitchen-1')}") as sound,
    ):
        said = await converse(sound, transcript, speech_of(ASKED))
        assert [(one["segment"], one["role"]) for one in said] == [(3, "user"), (4, "agent")]
    detail = await until(lambda: _with_turns(deployment, key, 2))
    assert [one["segment"] for one in detail["segments"]] == [1, 2, 3, 4]
    assert detail["reason"] is None
    async with deployment.at(api) as client:
        kept = (await client.get("/api/channels/web:voice:kitchen-1/messages")).json()["items"]
        assert [one["author"] for one in kept] == ["agent", "person"] * 2, "nothing was taken for a repetition"
        assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
        assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
    assert (await deployment.session(key))["reason"] == "stopped"
    assert await deployment.talking(voice) == 0
    recordings = [program.folder / "data" / "recordings" / f"{key}.wav" for program in (voice, api)]
    assert all(file.exists() for file in recordings), "each recorded what it heard"
    async with deployment.at(api) as client:
        assert (await client.get(f"/api/voice/sessions/{key}/recording")).content.startswith(b"RIFF")
        assert (await client.delete(f"/api/voice/sessions/{key}")).status_code == 204
    await until(lambda: _none_of(recordings))


async def _with_turns(deployment: Deployment, key: str, number: int) -> dict[str, Any] | None:
    detail = await deployment.session(key)
    return detail if len(detail["turns"]) == number else None


async def _none_of(files: list[Path]) -> bool:
    return not any(file.exists() for file in files)


async def test_what_one_process_carries_another_one_ends(deployment: Deployment) -> None:
    voice, api = deployment.all
    # Its owner begins again elsewhere.
    key = await deployment.begin(voice, "kitchen-2")
    async with deployment.socket(api, f"/ws/transcript/{key}", **deployment.bearer) as transcript:
        assert json.loads(await transcript.recv()) == {"type": "state", "id": 0, "state": "listening"}
        other = await deployment.begin(api, "kitchen-2")
        while (event := json.loads(await transcript.recv()))["type"] != "ended":
            pass
        assert event["reason"] == "replaced"
    assert (await deployment.session(key))["reason"] == "replaced"
    assert (await deployment.session(other))["reason"] is None
    async with deployment.at(api) as client:
        listed = (await client.get("/api/voice/sessions")).json()["items"]
        going_on = {one["id"]: one["ended_at"] is None for one in listed}
        assert (going_on[other], going_on[key]) == (True, False)
    # At once in one room, at both of them: one is left.
    keys = await asyncio.gather(*(deployment.begin(program, "attic-2") for program in deployment.all))
    reasons = await until(lambda: _but_one(deployment, keys))
    assert sorted(map(str, reasons)) == ["None", "replaced"]
    # The credential that its sound came with is revoked, in another process.
    spare = await asyncio.to_thread(deployment.credential)
    moved = await deployment.begin(api, "cellar-2")
    async with deployment.socket(voice, f"/ws/voice/{moved}", **spare) as sound:
        assert json.loads(await sound.recv())["type"] == "hello"
        ticket = await deployment.ticket(api, "cellar-2", **spare)
        async with deployment.at(api) as client:
            keys_ = (await client.get("/api/keys")).json()["items"]
            newest = max(keys_, key=lambda one: int(one["id"]))["id"]
            assert (await client.delete(f"/api/keys/{newest}")).is_success
        assert await code_of(sound) in (1001, 4401)
    assert await deployment.reason(moved) == "revoked"
    async with deployment.socket(voice, f"/ws/voice/{other}?ticket={ticket}") as late:
        assert await code_of(late) == 4401, "the ticket is worth no more than what it was asked for with"
    async with deployment.at(voice) as client:
        assert (await client.delete(f"/api/voice/sessions/{other}")).status_code == 204
        assert (await client.get(f"/transcripts/{other}")).status_code == 404
        for at_once in keys:
            assert (await client.delete(f"/session/{at_once}")).json() == {"stopped": True}
    assert [await deployment.talking(program) for program in deployment.all] == [0, 0]
    # What an ended session is asked for is said, and a process of voice serves nothing else.
    async with deployment.socket(voice, f"/ws/voice/{key}", **deployment.bearer) as sound:
        assert await code_of(sound) == 4404
    async with deployment.socket(voice, "/ws/channels/web:x", **deployment.bearer) as events:
        assert await code_of(events) == 4404
    async with deployment.at(voice) as client:
        assert (await client.get("/api/me")).status_code == 404
        assert (await client.get("/api/voice/options")).status_code == 200


async def _but_one(deployment: Deployment, keys: list[str]) -> list[str | None] | None:
    reasons = [(await deployment.session(key))["reason"] for key in keys]
    return reasons if reasons.count(None) == 1 else None


async def _silent(deployment: Deployment, program: Program) -> bool:
    return await deployment.talking(program) == 0


async def test_a_process_that_stood_still_lets_go_of_what_is_not_its_own_any_more(deployment: Deployment) -> None:
    voice, api = deployment.all
    key = await deployment.begin(voice, "kitchen-3")
    async with deployment.socket(voice, f"/ws/voice/{key}", **deployment.bearer) as sound:
        assert json.loads(await sound.recv())["type"] == "hello"
        voice.process.send_signal(signal.SIGSTOP)
        try:
            # It does not answer: the row is ended all the same.
            async with deployment.at(api) as client:
                assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
            # By whoever asked, or by the lease, whichever came first.
            assert (await deployment.session(key))["reason"] in ("stopped", "crashed")
        finally:
            voice.process.send_signal(signal.SIGCONT)
        assert await code_of(sound) == 1001
    assert await until(lambda: _silent(deployment, voice))


async def test_the_sessions_of_a_process_that_is_killed_are_over_and_those_of_the_others_go_on(
    deployment: Deployment,
) -> None:
    voice, api = deployment.all
    dead, left = [await deployment.begin(voice, room) for room in ("kitchen-4", "cellar-4")]
    living = await deployment.begin(api, "attic-4")
    async with (
        deployment.socket(api, f"/ws/voice/{living}", **deployment.bearer) as sound,
        deployment.socket(api, f"/ws/transcript/{left}", **deployment.bearer) as transcript,
    ):
        assert json.loads(await sound.recv())["type"] == "hello"
        assert json.loads(await transcript.recv())["type"] == "state"
        voice.kill()
        # Who is in a hurry begins again, and need not wait for the lease.
        again = await deployment.begin(api, "kitchen-4")
        assert (await deployment.session(dead))["reason"] in ("replaced", "crashed")
        assert await deployment.reason(left) == "crashed"
        assert json.loads(await transcript.recv()) == {"type": "ended", "id": 0, "reason": "crashed"}
        assert await code_of(transcript) == 1000
        # A start ends nothing that lives, nor does what the new process does from then on.
        await asyncio.to_thread(deployment.start)
        await asyncio.sleep(1.5 * LEASE)
        await sound.send(json.dumps({"type": "ping"}))
        while not isinstance(answer := await sound.recv(), str) or json.loads(answer)["type"] != "pong":
            pass
        assert [(await deployment.session(key))["reason"] for key in (living, again)] == [None, None]
    # Asked to stop, a process ends its own and leaves nothing for the lease.
    stopped = await deployment.begin(voice, "porch-4")
    assert await asyncio.to_thread(voice.terminate) == 0
    assert (await deployment.session(stopped))["reason"] == "shutdown"
