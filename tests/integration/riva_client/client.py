"""A client generated from the public interface, run as a program of its own: it must not share modules with ours.

    python client.py GENERATED ADDRESS ACTION [ARGUMENT…]     # prints one JSON object

`generate` makes the modules it imports. The certificate and the token come from the environment (CA, TOKEN).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RATE = 16_000


def generate(protos: Path, into: Path) -> None:
    """The modules of messages and stubs, in a package named as Riva's own."""
    package = into / "riva" / "proto"
    package.mkdir(parents=True)
    for path in protos.glob("*.proto"):
        text = path.read_text(encoding="utf-8").replace("antiphon/speech/protos/", "riva/proto/")
        (package / path.name).write_text(text, encoding="utf-8")
    files = [f"riva/proto/{path.name}" for path in package.glob("*.proto")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", *files],
        cwd=into,
        check=True,
        timeout=60,
    )


class Client:
    """Stubs, and the metadata of the token."""

    def __init__(self, address: str) -> None:
        import grpc
        from riva.proto import riva_asr_pb2_grpc, riva_tts_pb2_grpc

        self.grpc = grpc
        ca = os.environ.get("CA")
        self.channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(Path(ca).read_bytes()))
            if ca
            else grpc.insecure_channel(address)
        )
        token = os.environ.get("TOKEN")
        self.how: dict[str, Any] = {"timeout": 60, "metadata": [("authorization", f"Bearer {token}")] if token else []}
        self.asr = riva_asr_pb2_grpc.RivaSpeechRecognitionStub(self.channel)
        self.tts = riva_tts_pb2_grpc.RivaSpeechSynthesisStub(self.channel)

    def speak(self, text: str, file: str) -> dict[str, Any]:
        """All three ways, the audio of the first into a file."""
        from riva.proto import riva_tts_pb2 as tts

        request = tts.SynthesizeSpeechRequest(
            text=text, language_code="en-US", encoding=1, sample_rate_hz=RATE, enable_word_time_offsets=True
        )
        whole = self.tts.Synthesize(request, **self.how)
        Path(file).write_bytes(whole.audio)
        new = [part.audio for part in self.tts.SynthesizeOnline(iter([request, request]), **self.how)]
        older = self.channel.unary_stream(
            "/nvidia.riva.tts.RivaSpeechSynthesis/SynthesizeOnline",
            request_serializer=tts.SynthesizeSpeechRequest.SerializeToString,
            response_deserializer=tts.SynthesizeSpeechResponse.FromString,
        )
        old = [part.audio for part in older(request, **self.how)]
        models = self.tts.GetRivaSynthesisConfig(tts.RivaSynthesisConfigRequest(), **self.how).model_config
        return {
            "bytes": len(whole.audio),
            "words": [[word.word, word.start_time, word.end_time] for word in whole.meta.words],
            "online": [len(new), sum(map(len, new))],
            "older": [len(old), sum(map(len, old))],
            "model": models[0].model_name,
            "voice": models[0].parameters["voice_name"],
        }

    def hear(self, file: str) -> dict[str, Any]:
        """A whole recording, then two in one stream with a pause between them, at the pace of speech."""
        import time

        from riva.proto import riva_asr_pb2 as asr

        silence = bytes(2 * RATE * 3 // 10)
        pcm = silence + Path(file).read_bytes() + silence
        config = asr.RecognitionConfig(
            encoding=1, sample_rate_hertz=RATE, language_code="en-US", enable_word_time_offsets=True
        )
        whole = self.asr.Recognize(asr.RecognizeRequest(config=config, audio=pcm), **self.how)

        def requests() -> Iterator[Any]:
            yield asr.StreamingRecognizeRequest(
                streaming_config=asr.StreamingRecognitionConfig(config=config, interim_results=True)
            )
            audio = pcm + bytes(2 * RATE * 9 // 10) + pcm
            for at in range(0, len(audio), 3200):
                time.sleep(0.05)  # twice as fast as it is spoken
                yield asr.StreamingRecognizeRequest(audio_content=audio[at : at + 3200])

        found = [
            result for response in self.asr.StreamingRecognize(requests(), **self.how) for result in response.results
        ]
        finals = [result for result in found if result.is_final]
        models = self.asr.GetRivaSpeechRecognitionConfig(asr.RivaSpeechRecognitionConfigRequest(), **self.how)
        return {
            "text": whole.results[0].alternatives[0].transcript,
            "seconds": whole.results[0].audio_processed,
            "interim": sum(not result.is_final for result in found),
            "finals": [result.alternatives[0].transcript for result in finals],
            "starts": [result.alternatives[0].words[0].start_time for result in finals],
            "model": models.model_config[0].model_name,
        }

    def cancel(self) -> dict[str, Any]:
        """Begin a stream, send some audio, and go away in the middle of it."""
        from riva.proto import riva_asr_pb2 as asr

        config = asr.RecognitionConfig(encoding=1, sample_rate_hertz=RATE, language_code="en-US")
        sent = []

        def requests() -> Iterator[Any]:
            yield asr.StreamingRecognizeRequest(streaming_config=asr.StreamingRecognitionConfig(config=config))
            while True:
                sent.append(1)
                if len(sent) == 20:
                    call.cancel()
                yield asr.StreamingRecognizeRequest(audio_content=os.urandom(6400))

        call = self.asr.StreamingRecognize(requests(), **self.how)
        try:
            return {"answers": len(list(call))}
        except self.grpc.RpcError as error:
            return {"code": error.code().name, "sent": len(sent)}

    def probe(self) -> dict[str, Any]:
        """Health without a token, reflection with one."""
        from grpc_health.v1 import health_pb2, health_pb2_grpc
        from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

        health = health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        ask = reflection_pb2.ServerReflectionRequest(list_services="*")
        reflected = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        answers = list(reflected.ServerReflectionInfo(iter([ask]), **self.how))
        names = [service.name for answer in answers for service in answer.list_services_response.service]
        return {"health": health_pb2.HealthCheckResponse.ServingStatus.Name(health.status), "services": names}


def main() -> None:
    """Print what an action found, or with which status it was refused."""
    generated, address, action, *arguments = sys.argv[1:]
    sys.path.insert(0, generated)
    client = Client(address)
    try:
        found: dict[str, Any] = getattr(client, action)(*arguments)
    except client.grpc.RpcError as error:
        found = {"code": error.code().name, "details": error.details()}  # type: ignore[attr-defined]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
