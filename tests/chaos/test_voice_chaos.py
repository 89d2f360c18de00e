"""The whole program is killed with SIGKILL while it speaks, and while a spoken tool call is under way.

Real speech goes in by the audio socket. After the restart the session is over as `crashed` and its transcript is there,
the turn is answered once in its conversation, and no tool ran twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.voice.transports.transport import FRAME_BYTES, SILENCE
from tests.fixtures_redis import free_port
from tests.fixtures_voice import Speak
from tests.integration.program import Program, key_of

ROOT = Path(__file__).parents[2]
LEASE = 2.0
"""Seconds after which the task of a process that died goes to another."""


class Server(Program):
    """The program, with a tool that calls the receiver."""

    module = "tests.chaos.voice_server"


class Scene:
    """The server and the receiver of its tool."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "receiver.log"
        self.receiver = f"http://127.0.0.1:{free_port()}"
        self._receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.receiver", self.receiver.rpartition(":")[2], str(self._log)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
        self.server = Server(
            folder,
            PYTHONPATH=os.pathsep.join((str(ROOT / "src"), str(ROOT))),
            RECEIVER=self.receiver,
            ANTIPHON_THREADS__LEASE_SECONDS=str(LEASE),
        ).start()
        self._key = key_of(folder)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.address, headers=self.bearer, timeout=20)

    def rolled(self) -> list[str]:
        """What the tool did in the outside world."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line["dice"] for line in lines if line["kind"] == "tool"]

    async def killed(self) -> None:
        """Wait until somebody has killed the server, and start it again."""
        status = await asyncio.to_thread(self.server.process.wait, 30)
        assert status == -signal.SIGKILL, self.server.log
        await asyncio.to_thread(self.server.start)

    def close(self) -> None:
        self.server.close()
        self._receiver.kill()
        self._receiver.wait(10)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    try:
        yield made
    finally:
        made.close()


@asynccontextmanager
async def talking(scene: Scene, room: str) -> AsyncIterator[tuple[str, ClientConnection]]:
    """A session and its audio socket."""
    address = scene.server.address.replace("http", "ws")
    async with scene.client() as client:
        key = (await client.post("/session", json={"room": room, "identity": "Ada"})).json()["session_id"]
    async with connect(f"{address}/ws/voice/{key}", additional_headers=scene.bearer) as socket:
        yield key, socket


async def say(socket: ClientConnection, sound: bytes, until: Callable[[], bool]) -> None:
    """Speak in real time, and be silent until something is so or the server has gone."""
    whole = sound + bytes(-len(sound) % FRAME_BYTES)
    try:
        async with asyncio.timeout(40):
            for at in range(0, len(whole), FRAME_BYTES):
                await socket.send(whole[at : at + FRAME_BYTES])
                await asyncio.sleep(0.02)
            while not until():
                await socket.send(SILENCE)
                await asyncio.sleep(0.02)
    except ConnectionClosed:
        pass


async def listen(socket: ClientConnection, heard: bytearray) -> None:
    """Take what the agent says until the server has gone."""
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            heard += message if isinstance(message, bytes) else b""


async def judge(scene: Scene, key: str, room: str, words: str) -> str:
    """The session is over and kept, its room is free, and its one turn is answered once. The answer."""
    channel = f"/api/channels/web:voice:{room}/messages"
    async with scene.client() as client, asyncio.timeout(60):
        session = (await client.get(f"/api/voice/sessions/{key}")).json()
        assert (session["reason"], session["ended_at"] is None) == ("crashed", False)
        assert [one["text"] for one in session["segments"] if one["role"] == "user"] == [words]
        assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
        begun = await client.post("/session", json={"room": room, "identity": "Ada"})
        assert (await client.delete(f"/session/{begun.json()['session_id']}")).json() == {"stopped": True}
        while len((await client.get(channel)).json()["items"]) < 2:  # noqa: ASYNC110 - the worker's event is not seen
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5 * LEASE)  # a second answer would come now
        said, answer = (await client.get(channel)).json()["items"][::-1]
        assert (said["author"], said["text"], answer["author"]) == ("person", words, "agent")
        tasks = (await client.get("/api/tasks")).json()["items"]
        assert [task["state"] for task in tasks if task["message"] == said["id"]] == ["done"]
        return answer["text"]


@pytest.mark.timeout(240)
async def test_what_is_killed_while_it_is_spoken_is_kept_and_answered_once(scene: Scene, speech_of: Speak) -> None:
    heard = bytearray()
    async with talking(scene, "kitchen") as (key, socket):
        listening = asyncio.create_task(listen(socket, heard))
        await say(socket, speech_of("what can you do"), lambda: len(heard) > 32_000)  # a second of many
        scene.server.process.kill()
        await listening
    await scene.killed()
    assert "what I can do" in await judge(scene, key, "kitchen", "what can you do")

    # Between the effect of a tool and its record: nobody can know how it went, and that is said.
    async with httpx.AsyncClient(base_url=scene.receiver, timeout=5) as receiver:
        (await receiver.post("/order", json={"kill": "after"})).raise_for_status()
    async with talking(scene, "attic") as (key, socket):
        await say(socket, speech_of("roll the dice"), lambda: scene.server.process.poll() is not None)
    await scene.killed()
    assert "cannot tell whether" in await judge(scene, key, "attic", "roll the dice")
    assert len(scene.rolled()) == 1
