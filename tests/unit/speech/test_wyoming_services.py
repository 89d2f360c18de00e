"""The Wyoming server and the engines that are its clients, over engines made of nothing; and those who misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import EngineState, SpeechToText, TextToSpeech
from antiphon.speech.calls import Calls
from antiphon.speech.chain import Link
from antiphon.speech.engine import Surroundings
from antiphon.speech.listening import ListeningChain
from antiphon.speech.speaking import SpeakingChain
from antiphon.speech.stt import wyoming as wyoming_stt
from antiphon.speech.tts import wyoming as wyoming_tts
from antiphon.speech.wyoming import WyomingServer
from tests.fakes.speech import FakeListener, FakeSpeaker, seconds
from tests.unit.speech.test_grpc_services import (
    LOUD,
    SECOND,
    SILENCE,
    serves_others_when_it_refuses_anna,
    serves_others_when_it_refuses_german,
    until,
)

AROUND = Surroundings(models=Path("models"))


@dataclass
class Running:
    port: int
    calls: Calls


@asynccontextmanager
async def running(engine: SpeechToText | TextToSpeech, **settings: Any) -> AsyncIterator[Running]:
    services = SpeechServiceSettings(**settings)
    listens = isinstance(engine, FakeListener | ListeningChain)
    calls = Calls("stt" if listens else "tts", services.calls)
    server = WyomingServer(
        services,
        calls,
        port=0,
        port_key="port",
        stt=engine if isinstance(engine, FakeListener | ListeningChain) else None,
        tts=engine if isinstance(engine, FakeSpeaker | SpeakingChain) else None,
        languages=["en"],
    )
    port = await server.start()
    try:
        yield Running(port, calls)
    finally:
        await server.stop()
        await asyncio.sleep(0.01)  # connections of clients are closed by then


@pytest.fixture(autouse=True)
def _by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' audio is no speech."""
    from antiphon.speech import utterances

    monkeypatch.setattr(utterances, "_detector", utterances.Loudness)


async def ask(client: AsyncTcpClient, *events: Any, until_: str) -> list[Event]:
    """Send events and gather what comes back."""
    for event in events:
        await client.write_event(event.event())
    found: list[Event] = []
    async with asyncio.timeout(5):
        while not found or found[-1].type not in (until_, "error"):
            event = await client.read_event()
            assert event is not None
            found.append(event)
    return found


def audio(pcm: bytes, rate: int = 16_000, channels: int = 1) -> list[Any]:
    form = {"rate": rate, "width": 2, "channels": channels}
    chunks = [AudioChunk(audio=pcm[at : at + 2048], **form) for at in range(0, len(pcm), 2048)]
    return [AudioStart(**form), *chunks, AudioStop()]


async def test_a_real_client_is_understood() -> None:
    engine = FakeListener(says=["one", "two"])
    async with running(engine) as service, AsyncTcpClient("127.0.0.1", service.port) as client:
        (info,) = await ask(client, Describe(), until_="info")
        program = Info.from_event(info).asr[0]
        assert (program.models[0].name, program.models[0].languages) == ("fake", ["en"])
        assert (await ask(client, Ping(text="x"), until_="pong"))[0].data["text"] == "x"
        found = await ask(client, Transcribe(language="en"), *audio(LOUD + SILENCE + LOUD), until_="transcript-stop")
        assert [(event.type, event.data.get("text")) for event in found] == [
            ("transcript-start", None),
            ("transcript-chunk", "one"),
            ("transcript-chunk", " two"),
            ("transcript", "one two"),
            ("transcript-stop", None),
        ]
        assert engine.languages == ["en"]
        # The same connection serves the next one, which says nothing.
        engine.says = [""]
        found = await ask(client, *audio(SILENCE), until_="transcript-stop")
        assert [event.data["text"] for event in found if event.type == "transcript"] == [""]
        await until(lambda: service.calls.open == 0)
    assert all(recognition.closed for recognition in engine.streams)


async def test_a_real_client_is_spoken_to() -> None:
    engine = FakeSpeaker()
    async with running(engine) as service, AsyncTcpClient("127.0.0.1", service.port) as client:
        (info,) = await ask(client, Describe(), until_="info")
        assert [voice.name for voice in Info.from_event(info).tts[0].voices] == ["fake-voice"]
        voice = SynthesizeVoice(name="fake-voice")
        found = await ask(client, Synthesize(text="one two", voice=voice), until_="audio-stop")
        assert found[0].data == {"rate": 16_000, "width": 2, "channels": 1, "timestamp": None} or (
            found[0].data["rate"] == 16_000
        )
        assert sum(len(event.payload or b"") for event in found) == 6_400
        assert engine.voices_used == ["fake-voice"]


async def test_a_text_that_is_still_being_written_is_spoken_sentence_by_sentence() -> None:
    engine = FakeSpeaker()
    async with running(engine) as service, AsyncTcpClient("127.0.0.1", service.port) as client:
        for event in (SynthesizeStart(), SynthesizeChunk(text="One two. Th"), SynthesizeChunk(text="ree fo")):
            await client.write_event(event.event())
        await until(lambda: engine.spoken == ["One", "two."])
        found = await ask(
            client,
            Synthesize(text="One two. Three four"),  # the whole once more, as Home Assistant sends it
            SynthesizeChunk(text="ur"),
            SynthesizeStop(),
            until_="synthesize-stopped",
        )
        assert engine.spoken == ["One", "two.", "Three", "four"]
        assert [event.type for event in found].count("audio-start") == 1
        assert [event.type for event in found][-2:] == ["audio-stop", "synthesize-stopped"]


@pytest.mark.parametrize(
    "sent",
    [
        b"not json\n",
        b"[]\n",
        b'{"type": 7}\n',
        b'{"data": {}}\n',
        b'{"type": "describe", "data_length": -1}\n',
        b'{"type": "describe", "data_length": "9"}\n',
        b'{"type": "describe", "data_length": 3}\n{x}',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "describe", "data_length": 99999999999}\n',
        b"[" * 60_000 + b"\n",
        b"\xff\xfe\n",
        b'{"type": "ping", "data": {"text": "\\ud800"}}\n',
        b'{"type": "ping", "data_length": 20}\n{"text": "a\\udc00bcde"}',
        b"x" * 200_000,
    ],
)
async def test_garbage_and_giants_end_their_own_connection(sent: bytes) -> None:
    async with running(FakeListener()) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(sent)
        answer = b""
        with suppress(ConnectionError):  # a connection that is closed with something unread loses what was answered
            async with asyncio.timeout(5):
                answer = await reader.read()
        if len(sent) < 100_000:
            assert json.loads(answer.splitlines()[0])["type"] == "error"
        writer.close()
        async with AsyncTcpClient("127.0.0.1", service.port) as client:
            await ask(client, Describe(), until_="info")


@pytest.mark.parametrize(
    "event",
    [
        Event("audio-start", {"rate": "fast", "width": 2, "channels": 1}),
        Event("audio-start", {"rate": 1, "width": 2, "channels": 1}),
        Event("audio-start", {}),
        Event("transcribe", {"language": 7}),
        Event("transcribe", {"transcript_terms": [7]}),
        Event("transcribe", {"transcript_terms": "all"}),
    ],
)
async def test_events_that_lack_something_are_refused_and_the_next_is_served(event: Event) -> None:
    async with running(FakeListener()) as service, AsyncTcpClient("127.0.0.1", service.port) as client:
        await client.write_event(event)
        assert (await client.read_event()).type == "error"  # type: ignore[union-attr]
        found = await ask(client, Transcribe(), *audio(LOUD), until_="transcript-stop")
        assert [one.data["text"] for one in found if one.type == "transcript"] == [f"heard {SECOND} bytes"]


@pytest.mark.parametrize(
    "event",
    [
        Event("synthesize", {}),
        Event("synthesize", {"text": 7}),
        Event("synthesize", {"text": "one", "voice": "fake"}),
        Event("synthesize", {"text": "one", "voice": {"name": []}}),
        Event("synthesize-start", {"voice": {"name": 7}}),
        Event("synthesize-start", {"voice": [1]}),
    ],
)
async def test_texts_that_lack_something_are_refused_and_the_next_is_spoken(event: Event) -> None:
    async with running(FakeSpeaker()) as service, AsyncTcpClient("127.0.0.1", service.port) as client:
        await client.write_event(event)
        assert (await client.read_event()).type == "error"  # type: ignore[union-attr]
        assert len(await ask(client, Synthesize(text="one"), until_="audio-stop")) == 3


async def test_who_goes_away_frees_the_engine() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine) as service:
        async with AsyncTcpClient("127.0.0.1", service.port) as client:
            for event in audio(LOUD)[:-1]:
                await client.write_event(event.event())
            await until(lambda: bool(engine.streams and engine.streams[0].size))
        await until(lambda: service.calls.open == 0 and engine.streams[0].closed)


async def test_an_engine_that_hangs_or_breaks_is_told() -> None:
    for engine, text in (
        (FakeListener(hangs=True), "The engine did not answer in time."),
        (FakeListener("it", fails_after=10), "it broke."),
    ):
        async with (
            running(engine, answer_seconds=0.2) as service,
            AsyncTcpClient("127.0.0.1", service.port) as client,
        ):
            found = await ask(client, *audio(LOUD), until_="transcript")
            assert found[-1].data["text"] == text
            await until(lambda: service.calls.open == 0)


async def test_who_reads_nothing_is_let_go_and_the_engine_waits() -> None:
    engine = FakeSpeaker(rate=48_000)
    async with running(engine, idle_seconds=0.4) as service:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        text = json.dumps({"text": "word " * 3_900}).encode()
        writer.write(b'{"type": "synthesize", "data_length": %d}\n%b' % (len(text), text))
        await until(lambda: engine.running == 1)
        await until(lambda: engine.running == 0 and service.calls.open == 0)
        assert len(engine.spoken) < 3_900
        writer.close()


async def test_who_sends_nothing_is_let_go() -> None:
    async with running(FakeListener(), idle_seconds=0.1) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


async def test_connections_that_ask_for_nothing_make_room_for_who_does() -> None:
    """Two hundred clients that send nothing, or half an event, keep nobody out, and end no call."""
    engine = FakeListener(says=["one"])
    async with running(engine, calls=4) as service, AsyncTcpClient("127.0.0.1", service.port) as talking:
        await talking.write_event(audio(LOUD)[0].event())
        await until(lambda: service.calls.open == 1)
        idle = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(200)]
        for _, writer in idle[::2]:
            with suppress(ConnectionError):
                writer.write(b'{"type": "describe", "data_length": 20}\n{')
        for _ in range(3):
            async with AsyncTcpClient("127.0.0.1", service.port) as client:
                await ask(client, Describe(), until_="info")
        found = await ask(talking, *audio(LOUD)[1:], until_="transcript-stop")
        assert [event.data["text"] for event in found if event.type == "transcript"] == ["one"]
        for _, writer in idle:
            writer.close()


async def test_too_many_calls_are_refused_until_one_ends() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine, calls=1) as service:
        async with AsyncTcpClient("127.0.0.1", service.port) as first:
            await first.write_event(audio(LOUD)[0].event())
            await until(lambda: service.calls.open == 1)
            async with AsyncTcpClient("127.0.0.1", service.port) as second:
                assert (await ask(second, *audio(LOUD)[:1], until_="error"))[0].data["code"] == "too_many_requests"
        await until(lambda: service.calls.open == 0)


async def test_the_engine_wyoming_is_a_client_of_the_server() -> None:
    listener, speaker = FakeListener(says=["one", "two"]), FakeSpeaker(rate=16_000)
    async with running(listener) as stt_service, running(speaker) as tts_service:
        stt = wyoming_stt.ENGINE.make(wyoming_stt.Config(address=f"127.0.0.1:{stt_service.port}"), AROUND)
        await stt.load()
        assert (await stt.status()).state is EngineState.READY
        async with aclosing(stt.stream()) as recognition:
            for _ in range(2):
                recognition.push(LOUD)
                recognition.end_utterance()
            finals: list[str] = []
            async for transcript in recognition:
                if transcript.final:
                    finals.append(transcript.text)
                if len(finals) == 2:
                    break
        assert finals == ["one", "two"]
        assert (await stt.recognize(LOUD)).text == f"heard {SECOND} bytes"
        assert (await stt.recognize(SILENCE * 130 + LOUD)).text.startswith("heard")
        with pytest.raises(SpeechError, match="offers nothing that listens"):
            await wyoming_stt.ENGINE.make(wyoming_stt.Config(address=f"127.0.0.1:{tts_service.port}"), AROUND).load()

        speech = wyoming_tts.ENGINE.make(wyoming_tts.Config(address=f"127.0.0.1:{tts_service.port}"), AROUND)
        chunks = [chunk async for chunk in speech.synthesize("one two three")]
        assert seconds(chunks, speech.sample_rate) == pytest.approx(0.3, abs=0.01)
        assert speaker.voices_used == ["fake-voice"]
        speaking: Any = speech.synthesize("word " * 3_000)
        assert (await anext(speaking)).pcm
        await speaking.aclose()
        await until(lambda: tts_service.calls.open == 0 and speaker.running == 0)


async def test_the_engine_wyoming_serves_others_when_one_caller_wants_what_its_server_does_not_know() -> None:
    served = ListeningChain([Link(FakeListener(says=["yes"]), "fake", frozenset({"en"}))], language="en")
    async with (
        running(SpeakingChain([Link(FakeSpeaker(refuses=("anna",)), "fake")], language="en")) as tts_service,
        running(served) as stt_service,
    ):
        await serves_others_when_it_refuses_anna(_speaks(tts_service.port))
        await serves_others_when_it_refuses_german(_listens(stt_service.port))


def _speaks(port: int) -> TextToSpeech:
    return wyoming_tts.ENGINE.make(wyoming_tts.Config(address=f"127.0.0.1:{port}"), AROUND)


def _listens(port: int) -> SpeechToText:
    return wyoming_stt.ENGINE.make(wyoming_stt.Config(address=f"127.0.0.1:{port}"), AROUND)


@asynccontextmanager
async def _answering(answer: Event | None) -> AsyncIterator[int]:
    """A server of others, with an English model and an English voice: it gives one answer, or hangs up; its port."""
    about: dict[str, Any] = {"attribution": {"name": "", "url": ""}, "installed": True}
    english = about | {"languages": ["en-US"], "description": "", "version": "1"}
    program = about | {"name": "theirs", "description": "", "version": "1"}
    models = program | {"models": [english | {"name": "small"}]}
    voices = program | {"voices": [english | {"name": "amy"}]}
    offer = Event("info", {"asr": [models], "tts": [voices]})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            event = await async_read_event(reader)
            reply = offer if event is not None and Describe.is_type(event.type) else answer
            if reply is not None:
                await async_write_event(reply, writer)
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.sleep(0.01)  # connections of clients are closed by then


@pytest.mark.parametrize(
    ("answer", "asked", "problem"),
    [
        (Error(text="Voice not found: bob", code="VoiceNotFoundError"), "amy", InvalidInput),
        (Error(text="'bob'", code="KeyError"), "bob", InvalidInput),
        (Error(text="out of memory", code="RuntimeError"), "amy", SpeechError),
        (Error(text="later", code="speech_busy"), "amy", SpeechBusy),
        (None, "bob", InvalidInput),
        (None, "amy", SpeechError),
    ],
)
async def test_whose_mistake_it_is_shows_by_what_a_server_of_others_offers(
    answer: Error | None, asked: str, problem: type[Exception]
) -> None:
    """They name errors as they like, or hang up."""
    languages = {"amy": "en", "bob": "de"}
    async with _answering(answer.event() if answer else None) as port:
        with pytest.raises(Exception, match="The Wyoming server at") as spoken:
            _ = [chunk async for chunk in _speaks(port).synthesize("Hello.", voice=asked)]
        with pytest.raises(Exception, match="The Wyoming server at") as heard:
            await _listens(port).recognize(LOUD, language=languages[asked])
    for caught in (spoken.value, heard.value):
        assert isinstance(caught, problem)
        assert isinstance(caught, SpeechBusy) == (problem is SpeechBusy)


async def test_the_engine_wyoming_says_what_is_wrong_with_its_server() -> None:
    gone = asyncio.Event()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        gone.set()

    async with running(FakeListener("it", fails_after=10)) as service:
        engine = wyoming_stt.ENGINE.make(wyoming_stt.Config(address=f"127.0.0.1:{service.port}"), AROUND)
        with pytest.raises(SpeechError, match="failed: it broke"):
            await engine.recognize(LOUD)
    with pytest.raises(SpeechError, match="No Wyoming server answers"):
        await engine.recognize(LOUD)
    assert (await engine.status()).state is EngineState.BROKEN
    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        engine = wyoming_stt.ENGINE.make(wyoming_stt.Config(address=f"127.0.0.1:{port}"), AROUND)
        with pytest.raises(SpeechError, match="does not speak Wyoming"):
            await engine.recognize(LOUD)
        await gone.wait()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("192.168.7.9", True),
        ("::ffff:192.168.7.9", True),
        ("10.1.2.3", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", False),
        ("192.168.7.10", False),
        ("11.1.2.3", False),
    ],
)
def test_which_addresses_are_allowed(peer: str, allowed: bool) -> None:
    settings = SpeechServiceSettings(wyoming_allow=("192.168.7.9", "10.0.0.0/8"))
    server = WyomingServer(settings, Calls("stt", 1), port=0, port_key="port", stt=FakeListener())
    assert server.allows(peer) is allowed


async def test_an_address_that_is_not_allowed_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WyomingServer, "allows", lambda self, peer: False)
    async with running(FakeListener()) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        with suppress(ConnectionError):
            writer.write(b'{"type": "describe"}\n')
            async with asyncio.timeout(5):
                assert await reader.read() == b""
        writer.close()
