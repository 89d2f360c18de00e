"""The agent in a room of a LiveKit server, with a person on the real SDK beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from antiphon.domain.errors import Unavailable
from antiphon.voice.transports.livekit import EARLY_TOPIC, LiveKitTransport
from antiphon.voice.transports.livekit_tokens import LiveKitAccess
from antiphon.voice.transports.transport import RATE, Transport
from tests.livekit_server.client import Someone, in_room, singing, until
from tests.livekit_server.process import LiveKit, LiveKitProcess


def access(livekit: LiveKit) -> LiveKitAccess:
    return LiveKitAccess(livekit.url, livekit.key, livekit.secret)


class Agent:
    """A transport whose frames are read all the time, as the engine does."""

    def __init__(self, transport: LiveKitTransport) -> None:
        self.transport: Transport = transport
        self.heard: list[np.ndarray] = []
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (frame := await self.transport.receive()) is not None:
            self.heard.append(np.frombuffer(frame, np.int16).astype(float))

    def seconds(self) -> float:
        """How much it heard."""
        return sum(map(len, self.heard)) / RATE

    def pitch(self) -> float:
        """The strongest frequency of the last half second."""
        heard = np.concatenate(self.heard[-25:] or [np.zeros(1)])[-RATE // 2 :]
        if len(heard) < RATE // 2 or np.sqrt((heard**2).mean()) < 500:
            return 0.0
        return float(np.abs(np.fft.rfft(heard)).argmax()) * RATE / len(heard)

    async def say(self, hertz: float, seconds: float) -> None:
        for number in range(int(seconds * 50)):
            samples = np.sin(2 * np.pi * hertz * (np.arange(320) + number * 320) / RATE) * 12_000
            await self.transport.write(samples.astype("<i2").tobytes())

    async def close(self) -> None:
        await self.transport.aclose()
        await asyncio.wait_for(self._reading, 2)


@contextlib.asynccontextmanager
async def agent_in(livekit: LiveKit, room: str, **more: object) -> AsyncIterator[Agent]:
    transport = LiveKitTransport(access(livekit), room=room, person="ada", session="s1", **more)  # type: ignore[arg-type]
    await transport.open()
    agent = Agent(transport)
    try:
        yield agent
    finally:
        await agent.close()


@contextlib.asynccontextmanager
async def person_in(livekit: LiveKit, room: str, identity: str = "ada") -> AsyncIterator[Someone]:
    """With the token that a page gets, not one of the tests."""
    someone = Someone(rtc.Room())
    await someone.room.connect(livekit.url, access(livekit).person_token(room, identity))
    try:
        yield someone
    finally:
        await someone.close()


def some_room() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


async def test_agent_and_person_hear_each_other_and_the_agent_hears_nobody_else(livekit: LiveKit) -> None:
    room = some_room()
    async with (
        agent_in(livekit, room) as agent,
        person_in(livekit, room) as ada,
        person_in(livekit, room, "ben") as ben,
        singing(ben, 1200),
    ):
        await until(lambda: "ben" in ada.room.remote_participants, "ben to be there")
        async with singing(ada, 440):
            await until(lambda: agent.pitch() == pytest.approx(440, abs=5), "the tone of ada")
        await asyncio.gather(
            agent.say(600, 1.5), until(lambda: ada.pitch("agent-s1") == pytest.approx(600, abs=5), "me")
        )
        (me,) = [one for one in ada.room.remote_participants.values() if one.identity == "agent-s1"]
        assert me.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        assert me.name == "Antiphon"


async def test_what_was_heard_is_counted_and_an_interruption_stops_it(livekit: LiveKit) -> None:
    room = some_room()
    async with agent_in(livekit, room) as agent, person_in(livekit, room) as ada:
        await until(lambda: "agent-s1" in ada.room.remote_participants, "the agent")
        transport = agent.transport
        began = time.monotonic()
        await agent.say(600, 1.0)
        assert 0.8 < time.monotonic() - began < 1.2, "writing is as slow as hearing"
        assert 0.75 * RATE < transport.played < RATE
        await asyncio.sleep(0.3)
        assert transport.played == RATE
        saying = asyncio.ensure_future(agent.say(600, 3.0))
        await until(lambda: transport.played > 1.5 * RATE, "half a second of it")
        saying.cancel()
        transport.clear()
        at_the_cut = transport.played
        assert 1.5 * RATE < at_the_cut < 1.8 * RATE
        ada.audio.clear()
        await asyncio.sleep(0.6)
        late = np.concatenate(ada.audio.get("agent-s1", [np.zeros(1)]))
        loud = np.flatnonzero(np.abs(late) > 1000)
        assert (loud.max() / 48_000 if len(loud) else 0.0) < 0.5
        assert transport.played == at_the_cut


async def test_what_a_page_says_that_it_played_is_believed(livekit: LiveKit) -> None:
    room = some_room()
    async with agent_in(livekit, room) as agent, person_in(livekit, room) as ada:
        await greet(ada)

        async def say(**message: object) -> None:
            await ada.room.local_participant.publish_data(json.dumps(message), topic="antiphon")

        await agent.say(600, 0.5)
        await until(lambda: told(ada) == [{"type": "sound", "run": 1}], "the beginning of the sound")
        await asyncio.sleep(0.3)
        assert agent.transport.played == 0, "nobody said that they heard it"
        await say(type="played", run=1, samples=3000)
        heard = 3000 + round(RATE / 600 / 20)  # of a sine, the first sample is not the first loud one
        await until(lambda: abs(agent.transport.played - heard) < 5, "the report")
        agent.transport.clear()
        await until(lambda: told(ada)[1:] == [{"type": "clear"}], "to be silenced")
        await agent.say(600, 0.1)
        await until(lambda: told(ada)[2:] == [{"type": "sound", "run": 2}], "the next beginning")


async def greet(someone: Someone) -> None:
    """As a page does: again and again until there is an answer."""

    async def hello() -> None:
        while True:
            await someone.room.local_participant.publish_data(
                '{"type": "hello"}', topic="antiphon", destination_identities=["agent-s1"]
            )
            await asyncio.sleep(0.25)

    greeting = asyncio.ensure_future(hello())
    answer = {"type": "hello", "rate": RATE, "frame_ms": 20}
    await until(lambda: answer in told(someone, greetings=True), "the agent to answer")
    greeting.cancel()


def told(someone: Someone, *, greetings: bool = False) -> list[Any]:
    """What the agent told somebody, in order."""
    messages = [json.loads(data) for topic, data, _ in someone.data if topic == "antiphon"]
    return [message for message in messages if greetings or message["type"] != "hello"]


async def test_what_was_said_before_the_room_carried_it_is_heard_and_then_the_track_takes_over(
    livekit: LiveKit,
) -> None:
    room = some_room()
    async with (
        agent_in(livekit, room) as agent,
        person_in(livekit, room) as ada,
        person_in(livekit, room, "ben") as ben,
    ):
        await until(lambda: len(ada.room.remote_participants) == 2, "everybody")
        await until(lambda: len(ben.room.remote_participants) == 2, "everybody")
        await greet(ada)
        await ben.room.local_participant.publish_data(tone(1200, 0.2), topic=EARLY_TOPIC)
        for garbage in (tone(900, 0.1)[1:], tone(900, 0.6), b""):
            with contextlib.suppress(Exception):  # the SDK itself may refuse it
                await ada.room.local_participant.publish_data(garbage, topic=EARLY_TOPIC)
        for _ in range(4):
            await ada.room.local_participant.publish_data(tone(500, 0.3), topic=EARLY_TOPIC)
        await until(lambda: agent.seconds() >= 1.2, "what was said")
        assert agent.seconds() == pytest.approx(1.2)
        assert agent.pitch() == pytest.approx(500, abs=5)
        async with singing(ada, 440):
            await until(lambda: {"type": "hearing"} in told(ada), "the track to take over")
            await until(lambda: agent.pitch() == pytest.approx(440, abs=5), "the tone of ada")
            await ada.room.local_participant.publish_data(tone(900, 0.3), topic=EARLY_TOPIC)
            await asyncio.sleep(0.3)
            assert agent.pitch() == pytest.approx(440, abs=5), "what comes later as data is not heard"


def tone(hertz: float, seconds: float) -> bytes:
    return (np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE) * 12_000).astype("<i2").tobytes()


async def test_messages_go_between_agent_and_page_and_from_nobody_else(livekit: LiveKit) -> None:
    room = some_room()
    got: list[object] = []
    async with (
        agent_in(livekit, room, control=got.append) as agent,
        person_in(livekit, room) as ada,
        person_in(livekit, room, "ben") as ben,
    ):
        await until(lambda: len(ada.room.remote_participants) == 2, "everybody")
        await until(lambda: len(ben.room.remote_participants) == 2, "everybody")
        await greet(ada)
        await agent.transport.send_event({"type": "clear"})
        await until(lambda: told(ada) == [{"type": "clear"}], "the event")
        assert not ben.data
        send = ben.room.local_participant.publish_data
        await send('{"type": "mute", "muted": true}', topic="antiphon")
        send = ada.room.local_participant.publish_data
        for garbage in ("[1]", "{", "[" * 3000, '{"type": "x"}' + " " * 5000):
            await send(garbage, topic="antiphon")
        await send('{"type": "mute"}', topic="other")
        await send('{"type": "mute", "muted": false}', topic="antiphon")
        await until(lambda: bool(got), "the message")
        await asyncio.sleep(0.1)
        assert got == [{"type": "mute", "muted": False}]


async def test_a_persons_token_opens_one_room_to_a_microphone_and_nothing_more(livekit: LiveKit) -> None:
    room = some_room()
    async with person_in(livekit, room) as ada, in_room(livekit, room, "ben") as ben:
        await until(lambda: "ada" in ben.room.remote_participants, "ada")
        source = rtc.AudioSource(48_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("music", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
        with pytest.raises(Exception):  # noqa: B017, PT011 - what the SDK raises differs with the server
            await asyncio.wait_for(ada.room.local_participant.publish_track(track, options), 1)
        await source.aclose()
        assert not [t for p in ben.room.remote_participants.values() for t in p.track_publications]


async def test_a_server_that_is_not_there_or_refuses_the_key_is_said(livekit: LiveKit) -> None:
    for wrong in (
        LiveKitAccess("ws://127.0.0.1:9", livekit.key, livekit.secret),
        LiveKitAccess(livekit.url, livekit.key, "another secret, as long as it must be"),
    ):
        transport = LiveKitTransport(wrong, room=some_room(), person="ada", session="s1")
        with pytest.raises(Unavailable):
            await transport.open()
        assert transport.closed.is_set()
        assert await transport.receive() is None


async def test_the_agent_that_is_shown_out_ends(livekit: LiveKit) -> None:
    from livekit import api

    room = some_room()
    async with agent_in(livekit, room) as agent:
        async with api.LiveKitAPI(livekit.url, livekit.key, livekit.secret) as service:
            await service.room.delete_room(api.DeleteRoomRequest(room=room))
        await asyncio.wait_for(agent.transport.closed.wait(), 5)


async def test_who_does_not_come_or_stays_away_is_waited_for_only_so_long(livekit: LiveKit) -> None:
    room = some_room()
    async with agent_in(livekit, room, patience=3.0) as agent:
        async with person_in(livekit, room):
            await asyncio.sleep(3.3)
            assert not agent.transport.closed.is_set()
        async with person_in(livekit, room):
            await asyncio.sleep(3.3)
            assert not agent.transport.closed.is_set()
        await asyncio.wait_for(agent.transport.closed.wait(), 6)
    async with agent_in(livekit, some_room(), patience=0.3) as agent:
        await asyncio.wait_for(agent.transport.closed.wait(), 2)


async def test_nobody_stays_in_the_room_of_a_session_that_is_over(livekit: LiveKit) -> None:
    room = some_room()
    async with person_in(livekit, room) as ada:
        async with agent_in(livekit, room):
            await until(lambda: "agent-s1" in ada.room.remote_participants, "the agent")
        await until(lambda: bool(ada.left), "ada to be shown out")
        assert ada.left == [rtc.DisconnectReason.PARTICIPANT_REMOVED]


async def test_the_agent_comes_back_after_the_server_was_away(mortal_livekit: LiveKitProcess) -> None:
    livekit, room = mortal_livekit.livekit, some_room()
    async with agent_in(livekit, room) as agent:
        await asyncio.to_thread(mortal_livekit.stop)
        await asyncio.to_thread(mortal_livekit.start)
        async with person_in(livekit, room) as ada, singing(ada, 440):
            await until(lambda: agent.pitch() == pytest.approx(440, abs=5), "the tone of ada")
            assert not agent.transport.closed.is_set()
