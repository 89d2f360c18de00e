"""`antiphon stt` and `antiphon tts` as processes of their own, used by clients that share no code with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize

import antiphon.speech.protos
from antiphon.config import load_settings
from antiphon.speech.engines import open_speech
from antiphon.speech.resampling import Resampler
from tests.integration.program import Program, command
from tests.integration.riva_client import client as riva_client

TOKEN = "a-token-of-the-tests-0123456789"
SENTENCE = "set a timer for five minutes"
SILENCE = bytes(9600)


@dataclass(frozen=True)
class Service:
    """A running service with the addresses it announced."""

    program: Program
    grpc: str
    wyoming: int
    ca: Path

    def metric(self, name: str) -> float:
        text = self.program.http.get("/metrics", timeout=5).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@dataclass(frozen=True)
class Services:
    stt: Service
    tts: Service
    generated: Path

    def client(self, service: Service, action: str, *arguments: str, token: str = TOKEN, ca: bool = True) -> Any:
        """Run the generated client as a program of its own."""
        done = subprocess.run(
            [sys.executable, riva_client.__file__, str(self.generated), service.grpc, action, *arguments],
            env={**os.environ, "TOKEN": token, "CA": str(service.ca) if ca else "", "GRPC_VERBOSITY": "NONE"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def like(text: str) -> bool:
    """Whether most of the sentence was heard: how well engines hear is measured elsewhere."""
    return SequenceMatcher(None, text.split(), SENTENCE.split()).ratio() >= 0.4


def announced(program: Program, pattern: str) -> str:
    """What the program printed about itself."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := re.search(pattern, program.out):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"{pattern} is not in {program.out!r}; {program.log}")


def start(folder: Path, kind: str) -> Service:
    folder.mkdir()
    upper = kind.upper()
    program = Program(
        folder,
        kind,
        ANTIPHON_SPEECH_SERVICES__TOKEN=TOKEN,
        ANTIPHON_SPEECH_SERVICES__TLS="self",
        **{
            f"ANTIPHON_SPEECH_SERVICES__{upper}_PORT": "0",
            f"ANTIPHON_SPEECH_SERVICES__{upper}_WYOMING_PORT": "0",
        },
    ).start()
    port = announced(program, r"gRPC at 127\.0\.0\.1:(\d+) \(TLS, with a token\)")
    wyoming = announced(program, r"Wyoming at tcp://127\.0\.0\.1:(\d+)")
    return Service(program, f"localhost:{port}", int(wyoming), folder / "data" / f"tls-{kind}" / "cert.pem")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    riva_client.generate(Path(antiphon.speech.protos.__file__).parent, folder / "generated")
    running: list[Service] = []
    try:
        running += [start(folder / kind, kind) for kind in ("stt", "tts")]
        yield Services(running[0], running[1], folder / "generated")
    finally:
        for service in running:
            service.program.close()


@pytest.fixture(scope="module")
def spoken(services: Services) -> tuple[Path, Any]:
    """A sentence that the speaking service spoke, and what its client found."""
    file = services.generated / "sentence.pcm"
    return file, services.client(services.tts, "speak", SENTENCE, str(file))


def test_a_generated_client_gets_speech_in_every_way(spoken: tuple[Path, Any]) -> None:
    file, found = spoken
    size = found["bytes"]
    assert file.stat().st_size == size
    assert 0.5 < size / 2 / riva_client.RATE < 4
    assert [word for word, _, _ in found["words"]] == SENTENCE.split()
    assert all(begin < end for _, begin, end in found["words"])
    # Two texts in one stream; one text of an older client, which has no stream to send.
    assert found["online"][0] > 2
    assert found["online"][1] == pytest.approx(2 * size, rel=0.02)
    assert found["older"][1] == pytest.approx(size, rel=0.02)
    assert (found["model"], found["voice"]) == ("espeak", "en-us+f2")


def test_a_generated_client_is_understood(services: Services, spoken: tuple[Path, Any]) -> None:
    file, _ = spoken
    found = services.client(services.stt, "hear", str(file))
    assert like(found["text"])
    assert found["seconds"] == pytest.approx(file.stat().st_size / 2 / riva_client.RATE + 0.6, abs=0.01)
    assert len(found["finals"]) == 2
    assert all(map(like, found["finals"]))
    assert found["interim"] >= 1
    assert found["starts"][0] < 1000 * found["seconds"] < found["starts"][1]
    assert found["model"] == "pocketsphinx"


def test_health_needs_no_token_and_reflection_names_the_services(services: Services) -> None:
    deadline = time.monotonic() + 30
    while (found := services.client(services.stt, "probe"))["health"] == "NOT_SERVING":  # its engine is being loaded
        assert time.monotonic() < deadline
    assert found["health"] == "SERVING"
    assert "nvidia.riva.asr.RivaSpeechRecognition" in found["services"]
    assert "nvidia.riva.tts.RivaSpeechSynthesis" in services.client(services.tts, "probe")["services"]


@pytest.mark.parametrize("token", ["", "another-token-of-the-tests-01234", f"{TOKEN}x"])
def test_a_wrong_token_is_refused(services: Services, spoken: tuple[Path, Any], token: str) -> None:
    file, _ = spoken
    before = services.stt.metric("antiphon_speech_audio_seconds_total")
    assert services.client(services.stt, "hear", str(file), token=token)["code"] == "UNAUTHENTICATED"
    assert services.client(services.stt, "probe", token=token)["code"] == "UNAUTHENTICATED"  # reflection
    assert services.stt.metric("antiphon_speech_audio_seconds_total") == before


def test_without_tls_nobody_gets_in(services: Services, tmp_path: Path) -> None:
    found = services.client(services.tts, "speak", "hello", str(tmp_path / "none.pcm"), ca=False)
    assert found["code"] == "UNAVAILABLE"


def test_a_caller_who_goes_away_frees_the_decoder(services: Services) -> None:
    calls = 'antiphon_speech_calls_total{protocol="grpc",result="cancelled",service="stt"}'
    before = services.stt.metric(calls)
    assert services.client(services.stt, "cancel")["code"] == "CANCELLED"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and services.stt.metric("antiphon_speech_open"):
        time.sleep(0.05)
    assert services.stt.metric("antiphon_speech_open") == 0
    assert services.stt.metric(calls) == before + 1


async def test_a_wyoming_client_of_the_package_is_understood_and_spoken_to(services: Services) -> None:
    async with AsyncTcpClient("127.0.0.1", services.tts.wyoming) as client:
        await client.write_event(Describe().event())
        info = await client.read_event()
        assert info is not None
        assert Info.from_event(info).tts[0].voices[0].name == "en-us+f2"
        await client.write_event(Synthesize(text=SENTENCE).event())
        chunks: list[AudioChunk] = []
        async with asyncio.timeout(20):
            while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
                if AudioChunk.is_type(event.type):
                    chunks.append(AudioChunk.from_event(event))
    assert 0.5 < sum(chunk.seconds for chunk in chunks) < 4

    async with AsyncTcpClient("127.0.0.1", services.stt.wyoming) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(chunks[0].rate, chunks[0].width, chunks[0].channels).event())
        for event in (*chunks, AudioStop()):
            await client.write_event(event.event())
        async with asyncio.timeout(30):
            while (event := await client.read_event()) is not None and not Transcript.is_type(event.type):
                pass
    assert event is not None
    assert like(Transcript.from_event(event).text)


async def test_the_platform_uses_its_own_services(services: Services, tmp_path: Path) -> None:
    """One line for each chain; where the services are and what they want is told to the engine."""
    (tmp_path / "antiphon.toml").write_text(
        f"""
        [speech]
        stt = ["riva"]
        tts = ["riva"]
        [speech.engines.riva]
        tls = true
        secret = "SPEECH_TOKEN"
        [speech.engines.riva.stt]
        address = "{services.stt.grpc}"
        ca = "{services.stt.ca}"
        [speech.engines.riva.tts]
        address = "{services.tts.grpc}"
        ca = "{services.tts.ca}"
        """
    )
    settings = load_settings({"SPEECH_TOKEN": TOKEN}, directory=tmp_path)
    speech = open_speech(settings)
    try:
        await speech.tts.load()
        resampler = Resampler(speech.tts.sample_rate, 16_000)
        pcm = b"".join([resampler.process(chunk.pcm) async for chunk in speech.tts.synthesize(SENTENCE)])
        pcm = SILENCE + pcm + resampler.flush() + SILENCE
        assert like((await speech.stt.recognize(pcm)).text)
        async with aclosing(speech.stt.stream()) as stream:
            for at in range(0, len(pcm), 640):
                stream.push(pcm[at : at + 640])
            stream.end_utterance()
            final = await anext(transcript async for transcript in stream if transcript.final)
        assert like(final.text)
        assert [word.text for word in final.words] == final.text.split()
    finally:
        await speech.aclose()


def test_a_taken_port_is_refused(services: Services, tmp_path: Path) -> None:
    taken = services.stt.grpc.rpartition(":")[2]
    refused = command(tmp_path, "stt", "--port", "0", ANTIPHON_SPEECH_SERVICES__STT_PORT=taken)
    assert refused.returncode == 3
    assert f"speech_services.stt_port: cannot listen on 127.0.0.1:{taken} for gRPC" in refused.stderr


def test_it_stops_within_five_seconds_of_sigterm(services: Services) -> None:
    """The last one: the service is gone then."""
    began = time.monotonic()
    assert services.tts.program.terminate() == 0
    assert time.monotonic() - began < 5
