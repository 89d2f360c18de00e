"""Spoken sessions over the real server: the session API, tickets, both sockets, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.domain.events import voice_topic
from antiphon.domain.voice import EndReason
from antiphon.voice.tickets import LocalTickets
from antiphon.voice.transports.transport import FRAME_BYTES, SILENCE
from tests.fixtures_voice import Speak
from tests.integration.api_world import Someone, World
from tests.integration.slow_reader import SlowReader
from tests.leftovers import Held

ROOM = {"room": "kitchen", "identity": "Ada"}


@asynccontextmanager
async def begun(world: World, who: Someone, **more: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A session of somebody, ended afterwards."""
    async with world.client(who) as client:
        answer = await client.post("/session", json={**ROOM, **more})
        assert answer.status_code == 201, answer.text
        key = answer.json()["session_id"]
        yield client, key
        await client.delete(f"/session/{key}")


async def ticket(client: httpx.AsyncClient, room: str = "kitchen") -> str:
    answer = await client.get("/token", params={"room": room, "identity": "Ada", "name": "Ada L."})
    assert answer.status_code == 200, answer.text
    assert answer.json()["transport"] == "embedded"
    return answer.json()["token"]


async def code_of(address: str, path: str, *sent: str | bytes, **kwargs: Any) -> tuple[int, list[Any]]:
    """The code a socket is closed with, and what came before."""
    came: list[Any] = []
    async with connect(f"ws://{address}{path}", **kwargs) as socket:
        try:
            for one in sent:
                await socket.send(one)
            async with asyncio.timeout(8):
                async for message in socket:
                    came.append(json.loads(message) if isinstance(message, str) else message)
        except ConnectionClosed:
            pass
    assert socket.close_code is not None
    return socket.close_code, came


async def speak(socket: ClientConnection, sound: bytes, silence: float) -> None:
    """Into a microphone, in real time."""
    whole = sound + bytes(-len(sound) % FRAME_BYTES) + SILENCE * round(silence * 50)
    for at in range(0, len(whole), FRAME_BYTES):
        await socket.send(whole[at : at + FRAME_BYTES])
        await asyncio.sleep(0.02)


async def test_somebody_talks_and_is_answered(world: World, speech_of: Speak) -> None:
    async with world.served() as address, begun(world, world.other) as (client, key):
        path = f"ws://{address}/ws/voice/{key}?ticket={await ticket(client)}"
        words = f"ws://{address}/ws/transcript/{key}"
        async with connect(path) as sound, connect(words, additional_headers=world.other.bearer) as transcript:
            assert json.loads(await sound.recv()) == {"type": "hello", "rate": 16000, "frame_ms": 20}
            await sound.send(json.dumps({"type": "hello", "rate": 16000, "frame_ms": 20}))
            heard = bytearray()

            async def listen() -> None:
                async for message in sound:
                    if isinstance(message, bytes):
                        heard.extend(message)
                        await sound.send(json.dumps({"type": "played", "samples": len(heard) // 2}))

            listening = asyncio.create_task(listen())
            await speak(sound, speech_of("what time"), 2.0)
            events = []
            async with asyncio.timeout(10):
                while not any(e["type"] == "transcript" and e["final"] and e["role"] == "agent" for e in events):
                    events.append(json.loads(await transcript.recv()))
            assert {"speech", "state", "transcript"} <= {event["type"] for event in events}
            assert any(event["type"] == "transcript" and not event["final"] for event in events)
            assert events[-1]["text"].strip() == "It is sunny in Paris."
            assert all(isinstance(event["id"], int) for event in events)
            assert float(np.abs(np.frombuffer(bytes(heard), np.int16)).mean()) > 0.5
            kept = (await client.get(f"/transcripts/{key}")).json()["segments"]
            assert [(one["segment"], one["role"], one["final"]) for one in kept] == [
                (1, "user", True),
                (2, "agent", True),
            ]
            assert (await client.get("/api/channels/web:voice:kitchen/messages")).json()["items"][0][
                "author"
            ] == "agent"
            assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
            listening.cancel()
            while (event := json.loads(await transcript.recv()))["type"] != "ended":
                pass
            assert event["reason"] == "stopped"
            await asyncio.wait_for(transcript.wait_closed(), 8)
            assert transcript.close_code == 1000
        assert world.api.state.transcripts.listening == 0
        assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
        detail = (await client.get(f"/api/voice/sessions/{key}")).json()
        assert (detail["reason"], detail["transport"], len(detail["turns"])) == ("stopped", "embedded", 1)
        (listed,) = (await client.get("/api/voice/sessions")).json()["items"]
        assert listed["title"] == detail["title"] == kept[0]["text"]  # named by what the person said first
        assert world.services.voice.talking == 0


async def test_the_transcript_resumes_after_the_last_segment_and_ends_with_the_session(world: World) -> None:
    from datetime import UTC, datetime

    from antiphon.domain.conversation import Author
    from antiphon.domain.voice import Segment

    async with world.served() as address, begun(world, world.other) as (client, key):
        for number in (1, 2, 3):
            segment = Segment(number, Author.PERSON, "Ada", f"word {number}", datetime.now(UTC))
            await world.stores.voice.add_segment(key, segment)
        headers = world.other.bearer
        async with connect(f"ws://{address}/ws/transcript/{key}?after=2", additional_headers=headers) as socket:
            first, second = json.loads(await socket.recv()), json.loads(await socket.recv())
            assert (first["type"], first["segment"], first["id"]) == ("transcript", 3, 3)
            assert (second["type"], second["state"]) == ("state", "listening")
            await socket.send('{"type": "ping"}')
            assert json.loads(await socket.recv()) == {"type": "pong"}
        await client.delete(f"/session/{key}")
        code, came = await code_of(address, f"/ws/transcript/{key}?after=1", additional_headers=headers)
        assert code == 1000
        assert [(one["type"], one.get("segment"), one.get("reason")) for one in came] == [
            ("transcript", 2, None), ("transcript", 3, None), ("ended", None, "stopped")
        ]  # fmt: skip


async def test_who_comes_back_is_given_what_was_not_yet_said_when_they_went(world: World) -> None:
    """A segment that is still spoken may be stored after the one behind it."""
    from datetime import UTC, datetime

    from antiphon.domain.conversation import Author
    from antiphon.domain.voice import Segment

    async with world.served() as address, begun(world, world.other) as (client, key):

        async def store(*numbers: int) -> None:
            for number in numbers:
                segment = Segment(number, Author.PERSON, "Ada", f"word {number}", datetime.now(UTC))
                await world.stores.voice.add_segment(key, segment)

        async def given(after: int, count: int) -> list[tuple[int, int]]:
            path = f"ws://{address}/ws/transcript/{key}?after={after}"
            async with connect(path, additional_headers=world.other.bearer) as socket:
                events = [json.loads(await socket.recv()) for _ in range(count + 1)]
            assert events[-1]["id"] == events[-2]["id"], "the state stands where the transcript does"
            return [(event["segment"], event["id"]) for event in events[:-1]]

        await store(1, 3)
        assert await given(0, 2) == [(1, 1), (3, 1)]
        await store(2)
        assert await given(1, 2) == [(2, 2), (3, 3)]
        await store(5)  # 4 had no words
        await client.delete(f"/session/{key}")
        _, came = await code_of(address, f"/ws/transcript/{key}?after=3", additional_headers=world.other.bearer)
        assert [(one["type"], one["id"]) for one in came] == [("transcript", 5), ("ended", 5)]


async def test_the_sockets_say_why_they_refuse(world: World) -> None:
    async with world.served() as address, begun(world, world.other) as (client, key):
        assert (await code_of(address, f"/ws/voice/{key}"))[0] == 4401
        assert (await code_of(address, f"/ws/voice/{key}?ticket=vt_wrong"))[0] == 4401
        for path in ("/ws/voice/nowhere", "/ws/transcript/nowhere"):
            assert (await code_of(address, path, additional_headers=world.other.bearer))[0] == 4404
        for path in (f"/ws/voice/{key}", f"/ws/transcript/{key}"):
            assert (await code_of(address, path, additional_headers=world.owner.bearer))[0] == 4404
        assert (await code_of(address, f"/ws/voice/{key}?ticket={await ticket(client, 'attic')}"))[0] == 4404
        once = await ticket(client)
        async with connect(f"ws://{address}/ws/voice/{key}?ticket={once}"):
            assert (await code_of(address, f"/ws/voice/{key}?ticket={once}"))[0] == 4409
        tickets = world.services.voice.tickets
        assert isinstance(tickets, LocalTickets)
        tickets._seconds = -1
        assert (await code_of(address, f"/ws/voice/{key}?ticket={await ticket(client)}"))[0] == 4401


@pytest.mark.parametrize(
    ("sent", "code", "error"),
    [
        ([b"\0" * 70_000], 4413, None),
        (["x" * 5000], 4413, None),
        ([json.dumps({"type": "hello", "rate": 48000})], 4400, "wrong_rate"),
        (["no json"] * 60, 4400, "bad_message"),
        ([b"\0" * 641] * 60, 4400, "bad_frame"),
        ([b"\0" * 64_000] * 60, 4400, "too_fast"),
    ],
    ids=["large frame", "large text", "wrong rate", "garbage", "odd frames", "flood"],
)
async def test_what_makes_no_sense_is_told_and_then_refused(
    world: World, sent: list[str | bytes], code: int, error: str | None
) -> None:
    async with world.served() as address, begun(world, world.other) as (client, key):
        got, came = await code_of(address, f"/ws/voice/{key}?ticket={await ticket(client)}", *sent)
        assert got == code
        if error:
            assert any(one["type"] == "error" and one["code"] == error for one in came)
        assert world.services.voice.find(key, world.other.person) is not None, "the session waits for its person"


async def test_a_frame_of_ten_megabytes_closes_the_socket_alone(world: World) -> None:
    async with world.served() as address, begun(world, world.other) as (client, key):
        got, _ = await code_of(address, f"/ws/voice/{key}?ticket={await ticket(client)}", bytes(10_000_000))
        assert got in (1009, 4413)
        async with connect(f"ws://{address}/ws/voice/{key}?ticket={await ticket(client)}") as socket:
            assert json.loads(await socket.recv())["type"] == "hello"


async def test_fifty_sessions_begun_and_dropped_at_once_leave_nothing(world: World) -> None:
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with world.client(world.other) as client:

        async def one(number: int) -> None:
            body = {"room": f"room {number}", "identity": "Ada"}
            key = (await client.post("/session", json=body)).json()["session_id"]
            answer = await client.delete(f"/session/{key}")
            assert answer.json() == {"stopped": True}

        async with asyncio.timeout(60):
            await asyncio.gather(*(one(number) for number in range(50)))
        listed = (await client.get("/api/voice/sessions", params={"limit": 100})).json()["items"]
    assert [item["reason"] for item in listed] == ["stopped"] * 50
    assert world.services.voice.talking == 0
    left = {task.get_name() for task in asyncio.all_tasks()} - before
    assert not {name for name in left if name.startswith("voice")}


async def test_fifty_people_whose_connections_break_at_once_leave_nothing(world: World, speech_of: Speak) -> None:
    voice = world.services.voice
    sound = speech_of("yes")[: 40 * FRAME_BYTES]

    async def drop(client: httpx.AsyncClient, address: str, number: int) -> weakref.ref[Any]:
        """Begin, send something, and be gone: the connection without a word, then the session."""
        body = {"room": f"room {number}", "identity": "Ada"}
        key = (await client.post("/session", json=body)).json()["session_id"]
        session = weakref.ref(voice.find(key, world.other.person))
        async with connect(f"ws://{address}/ws/voice/{key}?ticket={await ticket(client, f'room {number}')}") as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            await socket.send(sound)
            socket.transport.abort()
        assert (await client.delete(f"/session/{key}")).json() == {"stopped": True}
        return session

    async def everybody(count: int) -> list[weakref.ref[Any]]:
        async with (
            world.served() as address,
            httpx.AsyncClient(
                base_url=f"http://{address}", headers=world.other.bearer, timeout=60, trust_env=False
            ) as client,
        ):
            dropped = await asyncio.gather(*(drop(client, address, number) for number in range(count)))
            assert voice.talking == 0
        return dropped

    await everybody(2)  # loads what is loaded once
    before = Held.now("antiphon.voice", "livekit")
    dropped = await everybody(50)
    left = Held.now("antiphon.voice", "livekit").beyond(before)
    assert left == {"objects": {f"{LocalTickets.__module__}._Kept": 50}}, (
        "used tickets are told apart until they run out"
    )
    assert [one() for one in dropped if one() is not None] == []
    async with world.client(world.other) as client:
        listed = (await client.get("/api/voice/sessions", params={"limit": 100})).json()["items"]
    assert [item["reason"] for item in listed] == ["stopped"] * 52


LISTENERS = 300


async def test_a_listener_who_does_not_read_is_dropped_and_three_hundred_others_get_every_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow one must not cost the others anything: neither a word nor the order."""
    monkeypatch.setattr(world.api.state.transcripts, "_limit", 10)
    words, count = "x" * 4000, 80  # more than what lies between the server and a client that does not read

    came = 0

    async def listen(address: str, key: str) -> list[int]:
        nonlocal came
        numbers: list[int] = []
        async with connect(
            f"ws://{address}/ws/transcript/{key}", additional_headers=world.other.bearer, compression=None
        ) as socket:
            listening.release()
            while len(numbers) < count:
                event = json.loads(await socket.recv())
                if event["type"] == "transcript":
                    numbers.append(event["segment"])
                    came += 1
        return numbers

    listening = asyncio.Semaphore(0)
    async with (
        world.served(send_buffer=16_384) as address,
        begun(world, world.other) as (_, key),
        asyncio.timeout(60),
    ):
        slow = SlowReader.of_socket(address, f"/ws/transcript/{key}", world.other.key)
        try:
            heard = [asyncio.create_task(listen(address, key)) for _ in range(LISTENERS)]
            for _ in heard:
                await listening.acquire()
            assert world.api.state.transcripts.listening == LISTENERS + 1
            for number in range(1, count + 1):
                event = {"id": number, "segment": number, "role": "user", "text": words, "final": True}
                await world.bus.publish(voice_topic(key), "transcript", event)
                while came < number * LISTENERS:  # noqa: ASYNC110 - they keep up: who does not is the one that sleeps
                    await asyncio.sleep(0)
            for numbers in await asyncio.gather(*heard):
                assert numbers == list(range(1, count + 1))
            data = await asyncio.to_thread(slow.read_all)
            assert data.endswith(b"\x88\x02\x11\x38")  # a close frame with code 4408
            assert f'"segment":{count},'.encode() not in data
        finally:
            slow.close()


async def test_the_session_api_has_its_rules(world: World) -> None:
    async with world.client(world.other) as client, world.client(world.owner) as owner:
        for query in ({}, {"room": "kitchen"}, {"identity": "Ada"}, {"room": " ", "identity": "a"}):
            answer = await client.get("/token", params=query)
            assert (answer.status_code, "fields" in answer.json()["error"]) == (422, True)
        for body in (
            {},
            {"room": "kitchen"},
            {"identity": "a"},
            {**ROOM, "language": "not a tag"},
            {**ROOM, "voice": 3},
        ):
            assert (await client.post("/session", json=body)).status_code == 422, body
        assert (await client.post("/session", json=ROOM)).status_code == 201
        key = (await client.get("/api/voice/sessions")).json()["items"][0]["id"]
        # The room is hers now, whatever somebody calls themself.
        assert (await owner.get("/token", params={"room": "kitchen", "identity": "Ada"})).status_code == 404
        assert (await owner.post("/session", json=ROOM)).status_code == 404
        for method, path in (("DELETE", f"/session/{key}"), ("GET", f"/transcripts/{key}"),
                             ("DELETE", f"/api/voice/sessions/{key}")):  # fmt: skip
            assert (await owner.request(method, path)).status_code == 404
            assert (await client.request(method, path.replace(key, "0" * 24))).status_code == 404
        assert (await client.delete(f"/api/voice/sessions/{key}")).status_code == 204
        assert (await client.get(f"/transcripts/{key}")).status_code == 404
        options = (await client.get("/api/voice/options")).json()
        engines = {"stt": "fake", "tts": "fake", "turns": "vad", "turns_note": "", "transport": "embedded"}
        assert options["engines"] == engines


async def test_who_is_locked_out_speaks_no_more(world: World) -> None:
    created, secret = await world.stores.keys.create("spare", ("chat",), world.other.person)
    async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        key = (await client.post("/session", json=ROOM)).json()["session_id"]
    session = world.services.voice.find(key, world.other.person)
    assert session is not None
    await world.stores.keys.revoke(created.id, None)
    await world.api.state.auth.key_revoked(created.id)
    async with asyncio.timeout(5):
        await session.over.wait()
    assert (await world.stores.voice.get(key, world.other.person)).reason is EndReason.REVOKED


async def test_a_ticket_is_worth_what_its_asker_may_and_ends_with_their_credential(world: World) -> None:
    """Sessions live by the credential that began them; a socket by the one that its ticket was asked for with."""
    created, secret = await world.stores.keys.create("spare", ("chat",), world.other.person)
    keys = world.stores.keys
    async with (
        world.served() as address,
        begun(world, world.other) as (client, key),
        world.client(headers={"Authorization": f"Bearer {secret}"}) as spare,
    ):
        used, kept, own = await ticket(spare), await ticket(spare), await ticket(client)
        async with connect(f"ws://{address}/ws/voice/{key}?ticket={used}") as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            await keys.revoke(created.id, None)
            await world.api.state.auth.key_revoked(created.id)
            async with asyncio.timeout(5):
                await socket.wait_closed()
            assert socket.close_code == 4401
        assert (await code_of(address, f"/ws/voice/{key}?ticket={kept}"))[0] == 4401
        assert world.services.voice.find(key, world.other.person) is not None, "the session itself goes on"
        async with connect(f"ws://{address}/ws/voice/{key}?ticket={own}") as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
    tickets = world.services.voice.tickets
    assert isinstance(tickets, LocalTickets)
    assert [one.ticket is None for one in tickets._kept.values()] == [True] * 3, "nothing is kept of what was used"


async def test_a_recording_that_lies_elsewhere_is_said_to(world: World) -> None:
    async with begun(world, world.other) as (client, key):
        path = f"/api/voice/sessions/{key}/recording"
        assert (await client.get(path)).json()["error"]["message"] == "There is no recording of this session."
        await world.stores.voice.end(key, EndReason.STOPPED, recording=True)  # in a process with a folder of its own
        answer = await client.get(path)
        assert (answer.status_code, "lies where the session was carried" in answer.text) == (404, True)


async def test_a_signed_in_page_needs_no_ticket_and_its_sign_out_ends_it(world: World) -> None:
    async with world.served() as address, world.signed_in(world.other) as client:
        key = (await client.post("/session", json=ROOM)).json()["session_id"]
        cookie = {"Cookie": f"antiphon_session={client.cookies['antiphon_session']}"}
        async with connect(f"ws://{address}/ws/voice/{key}", additional_headers=cookie) as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            await client.delete("/api/session")
            async with asyncio.timeout(5):
                await socket.wait_closed()
        assert socket.close_code in (1001, 4401)
    assert world.services.voice.talking == 0
