"""The engines that ask OpenAI or a server with its interface, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import EngineState, Transcript
from antiphon.speech.codec import wav
from antiphon.speech.engine import Surroundings
from antiphon.speech.stt import openai as openai_stt
from antiphon.speech.tts import openai as openai_tts

KEY = "sk-of-the-tests"
AROUND = Surroundings(models=Path("models"), secret=lambda name: KEY if name == "OPENAI_API_KEY" else "")
TEXT = json.dumps({"text": " Hello there. "}).encode()


@dataclass
class Server:
    """Answers every request with the same, and keeps what it was asked."""

    status: str = "200 OK"
    body: bytes = TEXT
    kind: str = "application/json"
    hangs: bool = False
    cut: bool = False
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            size = next(
                int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
            )
            self.bodies.append(await reader.readexactly(size))
            if self.hangs:
                await reader.read()
                return
            length = len(self.body) + (100 if self.cut else 0)
            writer.write(
                f"HTTP/1.1 {self.status}\r\nContent-Type: {self.kind}\r\nContent-Length: {length}\r\n"
                "Connection: close\r\n\r\n".encode()
                + self.body
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(**how: Any) -> AsyncIterator[Server]:
    server = Server(**how)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


async def test_an_utterance_is_one_request_with_the_key() -> None:
    async with serving() as server:
        engine = openai_stt.ENGINE.make(openai_stt.Config(url=server.url, model="whisper-9"), AROUND)
        heard = await engine.recognize(b"\1\0" * 1600, language="de-DE", hints=["Antiphon", "Lisbon"])
        assert heard == Transcript("Hello there.", language="de")
        assert server.heads[0].startswith("POST /v1/audio/transcriptions HTTP/1.1")
        assert f"authorization: bearer {KEY}" in server.heads[0].lower()
        for part in (b'name="model"\r\n\r\nwhisper-9', b'name="language"\r\n\r\nde', b"Antiphon, Lisbon", b"RIFF"):
            assert part in server.bodies[0]
        async with aclosing(engine.stream()) as stream:
            for _ in range(2):
                stream.push(b"\1\0" * 320)
                stream.push(b"\1\0" * 320)
                stream.end_utterance()
            stream.end_utterance()  # nothing was said
            found = [await anext(aiter_) for aiter_ in [aiter(stream)] for _ in range(3)]
        assert [(one.text, one.final) for one in found] == [("Hello there.", True)] * 2 + [("", True)]
        assert len(server.bodies) == 3
        await engine.aclose()


async def test_times_of_words_are_asked_for_where_the_settings_say_so() -> None:
    body = json.dumps({"text": "hi", "words": [{"word": " hi", "start": 0.5, "end": 0.75}]}).encode()
    async with serving(body=body) as server:
        engine = openai_stt.ENGINE.make(openai_stt.Config(url=server.url, words=True), AROUND)
        (word,) = (await engine.recognize(b"\1\0")).words
        assert (word.text, word.start, word.end) == ("hi", 0.5, 0.75)
        assert b"verbose_json" in server.bodies[0]
        await engine.aclose()


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"status": "401 No"}, "refuses the key"),
        ({"status": "404 No"}, "no such model"),
        ({"status": "429 No"}, "too many requests"),
        ({"status": "500 No"}, r"failed \(500\)"),
        ({"status": "302 Found"}, r"failed \(302\)"),
        ({"body": b"<html>"}, "is no transcript"),
        ({"body": b"[1]"}, "is no transcript"),
        ({"body": b'{"text": "x", "words": [1]}'}, "is no transcript"),
        ({"body": b"{" + b" " * 5_000_000}, "too large"),
        ({"cut": True}, "broke off"),
    ],
)
async def test_what_a_server_does_wrong_is_said(how: dict[str, Any], problem: str) -> None:
    async with serving(**how) as server:
        engine = openai_stt.ENGINE.make(openai_stt.Config(url=server.url), AROUND)
        with pytest.raises(SpeechError, match=problem) as caught:
            await engine.recognize(b"\1\0")
        assert KEY not in str(caught.value)
        await engine.aclose()


async def test_a_request_that_a_server_refuses_is_the_callers_mistake() -> None:
    for status in ("400 No", "422 No"):
        async with serving(status=status) as server:
            listens = openai_stt.ENGINE.make(openai_stt.Config(url=server.url), AROUND)
            with pytest.raises(InvalidInput, match="refuses the request"):
                await listens.recognize(b"\1\0", language="tlh")
            await listens.aclose()
            speaks = openai_tts.ENGINE.make(openai_tts.Config(url=server.url), AROUND)
            with pytest.raises(InvalidInput, match="refuses the request"):
                _ = [chunk async for chunk in speaks.synthesize("Hello.", voice="anna")]
            await speaks.aclose()


async def test_closing_a_stream_lets_the_request_go() -> None:
    async with serving(hangs=True) as server:
        engine = openai_stt.ENGINE.make(openai_stt.Config(url=server.url), AROUND)
        stream = engine.stream()
        stream.push(b"\1\0" * 320)
        stream.end_utterance()
        listening = asyncio.create_task(_all(stream))
        async with asyncio.timeout(3):
            while not server.bodies:  # noqa: ASYNC110 - a server's list
                await asyncio.sleep(0.01)
            await stream.aclose()
            assert await listening == []
            while server.open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await engine.aclose()


async def _all(stream: Any) -> list[Transcript]:
    return [transcript async for transcript in stream]


async def test_without_a_key_openai_itself_is_not_asked() -> None:
    keyless = Surroundings(models=Path("models"))
    for engine in (
        openai_stt.ENGINE.make(openai_stt.Config(), keyless),
        openai_tts.ENGINE.make(openai_tts.Config(), keyless),
    ):
        status = await engine.status()
        assert (status.state, status.remedy.split(",")[0]) == (EngineState.NEEDS_SETTING, "set OPENAI_API_KEY")
        with pytest.raises(SpeechError, match="wants a key"):
            await engine.load()
    own = openai_stt.ENGINE.make(openai_stt.Config(url="http://127.0.0.1:9/v1"), keyless)
    assert (await own.status()).state is EngineState.READY


PCM = b"\1\0" * 2400


@pytest.mark.parametrize("body", [PCM, wav(PCM, 24_000), PCM + b"\1"])
async def test_a_text_is_spoken(body: bytes) -> None:
    async with serving(body=body, kind="audio/pcm") as server:
        engine = openai_tts.ENGINE.make(openai_tts.Config(url=server.url), AROUND)
        pcm = b"".join([chunk.pcm async for chunk in engine.synthesize("Hello.", voice="nova")])
        assert pcm == PCM
        assert json.loads(server.bodies[0]) == {
            "model": "tts-1",
            "voice": "nova",
            "input": "Hello.",
            "response_format": "pcm",
        }
        long = "This is a sentence of a long text. " * 200
        assert len(b"".join([chunk.pcm async for chunk in engine.synthesize(long)])) == 2 * len(PCM)
        assert [chunk async for chunk in engine.synthesize("  ")] == []
        await engine.aclose()


async def test_audio_of_another_kind_is_refused_and_of_another_rate_changed() -> None:
    for how in (
        {"kind": "audio/mpeg"},
        {"body": wav(PCM, 24_000).replace(b"\x01\x00\x01\x00", b"\x01\x00\x02\x00", 1)},
    ):
        async with serving(**{"body": PCM, "kind": "audio/pcm", **how}) as server:
            engine = openai_tts.ENGINE.make(openai_tts.Config(url=server.url), AROUND)
            with pytest.raises(SpeechError, match="audio"):
                _ = [chunk async for chunk in engine.synthesize("Hello.")]
            await engine.aclose()
    async with serving(body=wav(PCM, 48_000), kind="audio/wav") as server:
        engine = openai_tts.ENGINE.make(openai_tts.Config(url=server.url), AROUND)
        pcm = b"".join([chunk.pcm async for chunk in engine.synthesize("Hello.")])
        assert len(pcm) == pytest.approx(len(PCM) / 2, rel=0.02)
        await engine.aclose()
