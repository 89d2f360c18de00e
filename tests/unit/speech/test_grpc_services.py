"""The gRPC services over engines made of nothing: what they do for callers, and for those who misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import SpeechChunk, SpeechToText, TextToSpeech, Transcript
from antiphon.speech.calls import Calls
from antiphon.speech.chain import Link
from antiphon.speech.engine import Surroundings
from antiphon.speech.grpc_server import GrpcOptions, GrpcServer
from antiphon.speech.grpc_stt import RecognitionService
from antiphon.speech.grpc_tts import SynthesisService
from antiphon.speech.listening import ListeningChain
from antiphon.speech.riva import (
    RECOGNIZE,
    STREAMING_RECOGNIZE,
    SYNTHESIZE,
    SYNTHESIZE_ONLINE,
    Encoding,
    Method,
    asr,
    tts,
)
from antiphon.speech.speaking import SpeakingChain
from antiphon.speech.stt import riva as riva_stt
from antiphon.speech.tts import riva as riva_tts
from tests.fakes.speech import FakeListener, FakeSpeaker, seconds

SECOND = 32_000
LOUD = b"\x00\x20\x00\xe0" * (SECOND // 4)
"""A second that even a detector by loudness takes for speech."""
SILENCE = bytes(SECOND)
AROUND = Surroundings(models=Path("models"))


async def until(true: Callable[[], bool]) -> None:
    """Wait for something, for three seconds at most."""
    async with asyncio.timeout(3):
        while not true():  # noqa: ASYNC110 - it happens in a server, which has no event for it
            await asyncio.sleep(0.01)


@dataclass
class Running:
    """A service with a plain channel to it."""

    channel: Any
    port: int
    calls: Calls

    def method(self, method: Method) -> Any:
        make = self.channel.stream_stream if method.streams else self.channel.unary_unary
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    async def freed(self) -> None:
        """Wait until no call is under way."""
        await until(lambda: not self.calls.open)


@asynccontextmanager
async def running(engine: SpeechToText | TextToSpeech, *, token: str = "", **settings: Any) -> AsyncIterator[Running]:
    services = SpeechServiceSettings(**settings)
    if isinstance(engine, FakeListener | ListeningChain):
        calls = Calls("stt", services.calls)
        served = RecognitionService(engine, services, calls, "en")
    else:
        assert isinstance(engine, FakeSpeaker | SpeakingChain)
        calls = Calls("tts", services.calls)
        served = SynthesisService(engine, services, calls, "en")
    options = GrpcOptions(host="127.0.0.1", port=0, port_key="port", token=token, message_bytes=services.message_bytes)
    server = GrpcServer(options, served.methods())
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Running(channel, port, calls)
        finally:
            await server.stop()


@pytest.fixture(autouse=True)
def _by_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' audio is no speech."""
    from antiphon.speech import utterances

    monkeypatch.setattr(utterances, "_detector", utterances.Loudness)


def config(**more: Any) -> asr.RecognitionConfig:
    return asr.RecognitionConfig(**{"sample_rate_hertz": 16_000, "language_code": "en-US", **more})


async def stream(
    service: Running, *messages: bytes, interim: bool = False, **more: Any
) -> list[asr.StreamingRecognitionResult]:
    async def requests() -> AsyncIterator[asr.StreamingRecognizeRequest]:
        yield asr.StreamingRecognizeRequest(
            streaming_config=asr.StreamingRecognitionConfig(config=config(**more), interim_results=interim)
        )
        for message in messages:
            yield asr.StreamingRecognizeRequest(audio_content=message)

    call = service.method(STREAMING_RECOGNIZE)(requests(), timeout=10)
    return [result async for response in call for result in response.results]


async def refused(awaitable: Any) -> tuple[str, str]:
    """The status with which a call ends, and its words."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value.code().name, str(caught.value.details())


async def test_a_stream_is_cut_into_utterances_at_pauses() -> None:
    engine = FakeListener(says=["one", "two"])
    async with running(engine) as service:
        found = await stream(service, SILENCE, LOUD, SILENCE * 2, LOUD, interim=True)
        finals = [result for result in found if result.is_final]
        assert [final.alternatives[0].transcript for final in finals] == ["one", "two"]
        assert finals[0].audio_processed < finals[1].audio_processed <= 5.1
        assert any(not result.is_final for result in found)
        await service.freed()
    assert [recognition.closed for recognition in engine.streams] == [True]


@pytest.mark.parametrize(
    ("encoding", "rate", "channels", "audio"),
    [
        (1, 16_000, 1, LOUD),
        (0, 8_000, 1, LOUD[: SECOND // 2]),
        (1, 48_000, 2, b"".join(LOUD[at : at + 2] * 6 for at in range(0, SECOND, 2))),
        (3, 16_000, 1, b"\x20\xa0" * 8_000),
        (20, 16_000, 1, b"\x05\x85" * 8_000),
        (1, 16_000, 1, b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(20) + b"data\x00\x00\x00\x00" + LOUD),
    ],
)
async def test_audio_of_every_kind_is_heard_as_a_second_of_sound(
    encoding: int, rate: int, channels: int, audio: bytes
) -> None:
    engine = FakeListener()
    pieces = [audio[at : at + 999] for at in range(0, len(audio), 999)]  # odd on purpose
    async with running(engine) as service:
        (result,) = await stream(
            service, *pieces, encoding=encoding, sample_rate_hertz=rate, audio_channel_count=channels
        )
    heard = int(result.alternatives[0].transcript.split()[1])
    assert heard == pytest.approx(SECOND, rel=0.06)


async def test_a_short_word_the_detector_misses_is_heard_all_the_same() -> None:
    async with running(FakeListener()) as service:
        (result,) = await stream(service, SILENCE)
    assert result.alternatives[0].transcript == f"heard {SECOND} bytes"


async def test_an_utterance_without_end_is_cut_so_that_its_text_can_leave() -> None:
    async with running(FakeListener(), utterance_seconds=2) as service:
        found = await stream(service, LOUD * 5)
    assert len(found) == 3


async def test_a_caller_who_goes_away_frees_the_decoder() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine) as service:
        call = service.method(STREAMING_RECOGNIZE)()
        await call.write(
            asr.StreamingRecognizeRequest(streaming_config=asr.StreamingRecognitionConfig(config=config()))
        )
        await call.write(asr.StreamingRecognizeRequest(audio_content=LOUD))
        await until(lambda: bool(engine.streams and engine.streams[0].size))
        assert service.calls.open == 1
        call.cancel()
        await service.freed()
    assert [recognition.closed for recognition in engine.streams] == [True]


async def test_the_deadline_of_a_caller_frees_the_decoder() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine) as service:
        request = asr.RecognizeRequest(config=config(), audio=LOUD)
        assert (await refused(service.method(RECOGNIZE)(request, timeout=0.3)))[0] == "DEADLINE_EXCEEDED"
        await service.freed()


async def test_an_engine_that_hangs_does_not_hold_its_callers() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine, answer_seconds=0.2) as service:
        code, details = await refused(stream(service, LOUD))
        assert (code, details) == ("UNAVAILABLE", "The engine did not answer in time.")
        await service.freed()
    async with running(FakeSpeaker(fails_after=1, hangs=True), answer_seconds=0.2) as service:
        code, details = await refused(service.method(SYNTHESIZE)(tts.SynthesizeSpeechRequest(text="one two")))
        assert (code, details) == ("UNAVAILABLE", "The engine did not speak in time.")
        await service.freed()


async def test_an_engine_that_breaks_says_so() -> None:
    async with running(FakeListener("it", fails_after=SECOND // 2)) as service:
        assert await refused(stream(service, LOUD)) == ("UNAVAILABLE", "it broke.")
        request = asr.RecognizeRequest(config=config(), audio=LOUD)
        assert await refused(service.method(RECOGNIZE)(request)) == ("UNAVAILABLE", "it broke.")
        await service.freed()


async def test_an_engine_that_has_too_much_to_do_is_no_broken_one() -> None:
    engine = FakeListener("it")
    engine.busy = True
    async with running(engine) as service:
        assert await refused(stream(service, LOUD)) == ("RESOURCE_EXHAUSTED", "it is busy.")
        request = asr.RecognizeRequest(config=config(), audio=LOUD)
        assert await refused(service.method(RECOGNIZE)(request)) == ("RESOURCE_EXHAUSTED", "it is busy.")
        client = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{service.port}"), AROUND)
        with pytest.raises(SpeechBusy, match="it is busy"):
            await client.recognize(LOUD)
        await client.aclose()
        await service.freed()


async def test_whoever_sends_nothing_is_cut_off() -> None:
    async with running(FakeListener(), idle_seconds=0.2) as service:
        for begins in (False, True):
            call = service.method(STREAMING_RECOGNIZE)()
            if begins:
                first = asr.StreamingRecognitionConfig(config=config())
                await call.write(asr.StreamingRecognizeRequest(streaming_config=first))
            assert (await refused(call.read()))[0] == "DEADLINE_EXCEEDED"
        await service.freed()


async def test_whoever_reads_nothing_is_cut_off_and_the_engine_waits() -> None:
    """A hundred seconds of audio at most are made for a caller who does not take them."""
    engine = FakeSpeaker(rate=48_000)
    async with running(engine, idle_seconds=0.4) as service:
        call = service.method(SYNTHESIZE_ONLINE)()
        await call.write(tts.SynthesizeSpeechRequest(text="word " * 4_000))
        await asyncio.sleep(0.2)
        assert len(engine.spoken) < 1_000
        await service.freed()
        assert engine.running == 0
        call.cancel()


async def test_audio_is_not_read_faster_than_the_engine_hears_it() -> None:
    """Finals that are owed stop the reading; what is sent meanwhile waits at the caller."""
    engine = FakeListener(hangs=True)
    async with running(engine, utterance_seconds=2) as service:
        call = service.method(STREAMING_RECOGNIZE)()
        await call.write(
            asr.StreamingRecognizeRequest(streaming_config=asr.StreamingRecognitionConfig(config=config()))
        )
        sent = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await call.write(asr.StreamingRecognizeRequest(audio_content=LOUD))
                    sent += 1
        assert sent < 1_000
        assert engine.heard <= 2 * 2 * SECOND
        call.cancel()
        await service.freed()


async def test_too_many_calls_are_refused_until_one_ends() -> None:
    engine = FakeListener(hangs=True)
    async with running(engine, calls=1) as service:
        first = service.method(STREAMING_RECOGNIZE)()
        await first.write(
            asr.StreamingRecognizeRequest(streaming_config=asr.StreamingRecognitionConfig(config=config()))
        )
        await until(lambda: service.calls.open > 0)
        second = service.method(STREAMING_RECOGNIZE)()
        assert (await refused(second.read()))[0] == "RESOURCE_EXHAUSTED"
        first.cancel()
        await service.freed()
        engine.hangs = False
        assert len(await stream(service, LOUD)) == 1


@pytest.mark.parametrize(
    ("make", "details"),
    [
        (lambda: asr.StreamingRecognizeRequest(audio_content=b"12"), "The first message must be the streaming_config."),
        (
            lambda: asr.StreamingRecognizeRequest(
                streaming_config=asr.StreamingRecognitionConfig(config=config(sample_rate_hertz=1))
            ),
            "A sample rate of 1 is not taken; use 4000 to 192000.",
        ),
        (
            lambda: asr.StreamingRecognizeRequest(
                streaming_config=asr.StreamingRecognitionConfig(config=config(encoding=2))
            ),
            "A stream takes LINEAR_PCM, MULAW or ALAW; send files to Recognize.",
        ),
    ],
)
async def test_a_stream_that_is_none_is_refused(make: Callable[[], Any], details: str) -> None:
    async with running(FakeListener()) as service:
        call = service.method(STREAMING_RECOGNIZE)()
        await call.write(make())
        assert await refused(call.read()) == ("INVALID_ARGUMENT", details)
        await service.freed()


async def test_garbage_and_giants_are_refused_and_harm_nobody() -> None:
    async with running(FakeListener(), message_bytes=65_536, audio_seconds=1) as service:
        raw = service.channel.unary_unary(RECOGNIZE.path)
        assert (await refused(raw(b"\xff\xff\xff garbage")))[0] == "INVALID_ARGUMENT"
        call = service.channel.stream_stream(STREAMING_RECOGNIZE.path)()
        await call.write(b"\x0a\xff\xff")
        assert (await refused(call.read()))[0] == "INVALID_ARGUMENT"
        assert (await refused(raw(bytes(65_537))))[0] == "RESOURCE_EXHAUSTED"
        recognize = service.method(RECOGNIZE)
        for audio in (LOUD + b"more", b"RIFF\0\0\0\0WAVE" + bytes(100), b"OggS" + bytes(100), b"fLaC"):
            request = asr.RecognizeRequest(config=config(), audio=audio)
            assert (await refused(recognize(request)))[0] == "INVALID_ARGUMENT"
        found = await recognize(asr.RecognizeRequest(config=config(), audio=LOUD))
        assert found.results[0].alternatives[0].transcript == f"heard {SECOND} bytes"


@pytest.mark.parametrize(
    ("request_", "details"),
    [
        (tts.SynthesizeSpeechRequest(text=" "), "There is no text."),
        (tts.SynthesizeSpeechRequest(text="x" * 11), "The text is longer than 10 characters."),
        (tts.SynthesizeSpeechRequest(text="x", encoding=Encoding.OGGOPUS), "Audio is given as LINEAR_PCM only."),
        (
            tts.SynthesizeSpeechRequest(text="x", sample_rate_hz=1),
            "A sample rate of 1 is not given; use 8000 to 48000.",
        ),
    ],
)
async def test_a_text_that_cannot_be_spoken_is_refused(request_: tts.SynthesizeSpeechRequest, details: str) -> None:
    async with running(FakeSpeaker(), text_chars=10) as service:
        assert await refused(service.method(SYNTHESIZE)(request_)) == ("INVALID_ARGUMENT", details)


async def test_a_voice_or_a_language_that_nobody_knows_is_the_callers_mistake() -> None:
    async with running(SpeakingChain([Link(FakeSpeaker(refuses=("anna",)), "fake")], language="en")) as service:
        speak = service.method(SYNTHESIZE)
        request = tts.SynthesizeSpeechRequest(text="one", voice_name="anna")
        assert await refused(speak(request)) == ("INVALID_ARGUMENT", "There is no voice anna.")
        assert (await speak(tts.SynthesizeSpeechRequest(text="one"))).audio
    chain = ListeningChain([Link(FakeListener(), "fake", frozenset({"en"}))], language="en")
    async with running(chain) as service:
        for code in ("de-DE", "x" * 50_000):
            request = asr.RecognizeRequest(config=config(language_code=code), audio=LOUD)
            status, details = await refused(service.method(RECOGNIZE)(request))
            assert (status, details[:32]) == ("INVALID_ARGUMENT", f"No engine here understands {code[:5]}")


async def test_only_the_token_opens_the_door() -> None:
    token = "0123456789abcdef"
    async with running(FakeSpeaker(), token=token) as service:
        speak = service.method(SYNTHESIZE)
        request = tts.SynthesizeSpeechRequest(text="one")
        for wrong in ("", "Bearer ", f"Bearer {token}x", token, f"Basic {token}", f"Bearer {token[:-1]}"):
            metadata = [("authorization", wrong)] if wrong else []
            assert (await refused(speak(request, metadata=metadata)))[0] == "UNAUTHENTICATED"
        for right in (f"Bearer {token}", f"bearer {token}"):
            assert (await speak(request, metadata=[("authorization", right)])).audio


async def test_the_engine_riva_is_a_client_of_the_services() -> None:
    """Through the ports: interim and final transcripts, words, several utterances, and audio at another rate."""
    listener, speaker = FakeListener(says=["one", "two"]), FakeSpeaker(rate=16_000)
    async with running(listener) as stt_service, running(speaker) as tts_service:
        stt = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{stt_service.port}"), AROUND)
        await stt.load()
        async with aclosing(stt.stream()) as recognition:
            for _ in range(2):
                recognition.push(LOUD)
                recognition.end_utterance()
            heard: list[Transcript] = []
            async for transcript in recognition:
                heard.append(transcript)
                if [one.final for one in heard].count(True) == 2:
                    break
        assert [one.text for one in heard if one.final] == ["one", "two"]
        assert any(not one.final for one in heard)
        assert (await stt.recognize(LOUD, language="de")).text == f"heard {SECOND} bytes"
        assert listener.languages[-1] == "de-DE"
        await stt.aclose()

        speech = riva_tts.ENGINE.make(
            riva_tts.Config(address=f"127.0.0.1:{tts_service.port}", sample_rate=22_050), AROUND
        )
        chunks: list[SpeechChunk] = [chunk async for chunk in speech.synthesize("one two three")]
        assert seconds(chunks, 22_050) == pytest.approx(0.3, abs=0.01)
        assert [(word.start, word.end) for chunk in chunks for word in chunk.words] == [(0, 3), (4, 7), (8, 13)]
        assert [voice.name for voice in await speech.voices()] == ["fake-voice"]
        await speech.aclose()
        await stt_service.freed()
        await tts_service.freed()


async def test_closing_the_engine_riva_frees_the_server() -> None:
    listener, speaker = FakeListener(hangs=True), FakeSpeaker(rate=48_000)
    async with running(listener) as stt_service, running(speaker) as tts_service:
        stt = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{stt_service.port}"), AROUND)
        recognition = stt.stream()
        recognition.push(LOUD)
        listening = asyncio.create_task(_all(recognition))
        await until(lambda: bool(listener.streams and listener.streams[0].size))
        await recognition.aclose()
        async with asyncio.timeout(3):
            await listening
            await stt_service.freed()
        speech = riva_tts.ENGINE.make(riva_tts.Config(address=f"127.0.0.1:{tts_service.port}"), AROUND)
        speaking: Any = speech.synthesize("word " * 3_000)
        assert (await anext(speaking)).pcm
        await speaking.aclose()
        await tts_service.freed()
        assert speaker.running == 0
        await stt.aclose()
        await speech.aclose()


async def _all(recognition: Any) -> list[Transcript]:
    return [transcript async for transcript in recognition]


async def test_the_engine_riva_serves_others_when_one_caller_wants_what_its_server_does_not_know() -> None:
    """Whoever asked is told, or helped by the next engine; the engine does not rest."""
    served = ListeningChain([Link(FakeListener(says=["yes"]), "fake", frozenset({"en"}))], language="en")
    async with (
        running(SpeakingChain([Link(FakeSpeaker(refuses=("anna",)), "fake")], language="en")) as tts_service,
        running(served) as stt_service,
    ):
        speech = riva_tts.ENGINE.make(riva_tts.Config(address=f"127.0.0.1:{tts_service.port}"), AROUND)
        await serves_others_when_it_refuses_anna(speech)
        await speech.aclose()
        stt = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{stt_service.port}"), AROUND)
        await serves_others_when_it_refuses_german(stt)
        await stt.aclose()


async def serves_others_when_it_refuses_anna(engine: TextToSpeech) -> None:
    """An engine that speaks, alone and in a chain."""
    with pytest.raises(InvalidInput, match="no voice anna"):
        _ = [chunk async for chunk in SpeakingChain([Link(engine, "it")], language="en").synthesize("a", voice="anna")]
    next_one = FakeSpeaker("next")
    chain = SpeakingChain([Link(engine, "it"), Link(next_one, "next")], language="en")
    for text, voice in (("helped", "anna"), ("served", "")):
        assert [chunk async for chunk in chain.synthesize(text, voice=voice)]
    assert next_one.spoken == ["helped"]


async def serves_others_when_it_refuses_german(engine: SpeechToText) -> None:
    """An engine that listens and says "yes", alone and in a chain: to recordings and to streams."""
    for alone in (ListeningChain([Link(engine, "it")], language="en"), engine):
        with pytest.raises(InvalidInput, match="understand"):
            await alone.recognize(LOUD, language="de")
        with pytest.raises(InvalidInput, match="understand"):
            await _first_final(alone, "de")
    next_one = FakeListener("next", says=["ja", "ja"])
    chain = ListeningChain([Link(engine, "it"), Link(next_one, "next")], language="en")
    assert (await chain.recognize(LOUD, language="de")).text == "ja"
    assert await _first_final(chain, "de") == "ja"
    assert await _first_final(chain, "en") == "yes"
    assert next_one.languages == ["de", "de"]


async def _first_final(engine: SpeechToText, language: str) -> str:
    async with aclosing(engine.stream(language=language)) as recognition:
        recognition.push(LOUD)
        recognition.end_utterance()
        return [transcript.text async for transcript in _until_final(recognition)][-1]


async def _until_final(recognition: Any) -> AsyncIterator[Transcript]:
    async for transcript in recognition:
        yield transcript
        if transcript.final:
            return


async def test_the_engine_riva_says_what_is_wrong_with_its_server() -> None:
    async with running(FakeListener(), token="0123456789abcdef") as service:
        engine = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{service.port}"), AROUND)
        with pytest.raises(SpeechError, match="refuses the token"):
            await engine.load()
        await engine.aclose()
        gone = service.port
    engine = riva_stt.ENGINE.make(riva_stt.Config(address=f"127.0.0.1:{gone}"), AROUND)
    with pytest.raises(SpeechError, match="does not answer: is it running"):
        await engine.recognize(LOUD)
    assert (await engine.status()).detail == f"Nothing answers at 127.0.0.1:{gone}."
    await engine.aclose()
