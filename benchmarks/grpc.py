"""CPU of the service that listens for one message of 20 ms, beside a bare grpc.aio service in the same run.

Ours: the server with its token, the conversion of the audio, the detector of voice, the cutting into utterances, and an
engine that does nothing. Theirs: a handler that reads messages of the same kind and answers as often. Each server is a
process of its own; the client, which costs both the same, is this one. Messages are sent as fast as they are taken.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import time
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from benchmarks.figures import Figure

STREAMS, MESSAGES, ANSWERS_EVERY = 20, 1_500, 25
WARM_UP = 100
BOUND = 3.0
"""Times the CPU of the bare service."""
TOKEN = "a-token-of-the-benchmark"


def measure() -> list[Figure]:
    """CPU per message of both, and how many messages a second one core serves."""
    bare, bare_rate = min(_served("bare") for _ in range(2))
    ours, ours_rate = min(_served("ours") for _ in range(2))
    ratio = ours / bare
    return [
        Figure(
            "gRPC listening: server CPU per 20 ms message",
            ours,
            "µs",
            f"<= {BOUND:g}x a bare service",
            f"{bare:.3g} µs bare grpc.aio ({ratio:.2f}x)",
            passed=ratio <= BOUND,
        ),
        Figure("gRPC listening: messages taken, client and server on this machine", ours_rate, "messages/s"),
        Figure("gRPC listening: streams in real time per core, without the engine", 1e6 / ours / 50, "streams"),
        Figure("gRPC bare service: server CPU per 20 ms message", bare, "µs"),
        Figure("gRPC bare service: messages taken", bare_rate, "messages/s"),
    ]


def _served(kind: str) -> tuple[float, float]:
    """Microseconds of CPU per message in the server, and messages a second."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(kind, there))
    process.start()
    try:
        port = here.recv()
        asyncio.run(_call(port, 2, WARM_UP))
        here.send("cpu")
        before = here.recv()
        began = time.perf_counter()
        asyncio.run(_call(port, STREAMS, MESSAGES))
        wall = time.perf_counter() - began
        here.send("cpu")
        used = here.recv() - before
    finally:
        here.send("end")
        process.join(10)
        if process.is_alive():
            process.kill()
    sent = STREAMS * MESSAGES
    return used / sent * 1e6, sent / wall


async def _call(port: int, streams: int, messages: int) -> None:
    import grpc

    from antiphon.speech.riva import STREAMING_RECOGNIZE, asr

    sound = os.urandom(640)  # noise: the detector does its work, and hears nobody

    async def requests() -> AsyncIterator[bytes]:
        config = asr.StreamingRecognitionConfig(config=asr.RecognitionConfig(sample_rate_hertz=16_000))
        yield asr.StreamingRecognizeRequest(streaming_config=config).SerializeToString()
        message = asr.StreamingRecognizeRequest(audio_content=sound).SerializeToString()
        for _ in range(messages):
            yield message

    async def one(channel: Any) -> None:
        call = channel.stream_stream(STREAMING_RECOGNIZE.path)
        async for _ in call(requests(), metadata=(("authorization", f"Bearer {TOKEN}"),)):
            pass

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.gather(*(one(channel) for _ in range(streams)))


def _serve(kind: str, commands: Connection) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_ours(commands) if kind == "ours" else _bare(commands))


async def _obey(commands: Connection) -> None:
    """Tell the CPU that was used until the end is wanted."""
    while await asyncio.to_thread(commands.recv) == "cpu":
        used = resource.getrusage(resource.RUSAGE_SELF)
        commands.send(used.ru_utime + used.ru_stime)


async def _ours(commands: Connection) -> None:
    from antiphon.config.speech_services import SpeechServiceSettings
    from antiphon.speech.calls import Calls
    from antiphon.speech.grpc_server import GrpcOptions, GrpcServer
    from antiphon.speech.grpc_stt import RecognitionService

    settings = SpeechServiceSettings()
    engine: Any = _Nothing()
    service = RecognitionService(engine, settings, Calls("stt", settings.calls), "en")
    options = GrpcOptions(host="127.0.0.1", port=0, port_key="port", token=TOKEN)
    server = GrpcServer(options, service.methods())
    commands.send(await server.start())
    await _obey(commands)
    await server.stop()


async def _bare(commands: Connection) -> None:
    import grpc

    from antiphon.speech.riva import STREAMING_RECOGNIZE, asr

    async def answer(requests: Any, context: Any) -> AsyncIterator[asr.StreamingRecognizeResponse]:
        del context
        number = 0
        async for _ in requests:
            number += 1
            if number % ANSWERS_EVERY == 0:
                heard = asr.SpeechRecognitionAlternative(transcript="x")
                result = asr.StreamingRecognitionResult(alternatives=[heard])
                yield asr.StreamingRecognizeResponse(results=[result])

    handler = grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=asr.StreamingRecognizeRequest.FromString,
        response_serializer=asr.StreamingRecognizeResponse.SerializeToString,
    )
    server = grpc.aio.server()
    method = STREAMING_RECOGNIZE
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(method.service, {method.name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    commands.send(port)
    await _obey(commands)
    await server.stop(0)


class _Nothing:
    """An engine that listens and hears nothing but the end; it answers as often as the bare service does."""

    name = "nothing"
    interim = True

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        return _Stream()


class _Stream:
    def __init__(self) -> None:
        from antiphon.domain.speech import Transcript

        self._heard: asyncio.Queue[Transcript | None] = asyncio.Queue()
        self._final = Transcript("x")

    def push(self, pcm: bytes) -> None:
        del pcm

    def end_utterance(self) -> None:
        self._heard.put_nowait(self._final)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (heard := await self._heard.get()) is not None:
            yield heard

    async def aclose(self) -> None:
        self._heard.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
