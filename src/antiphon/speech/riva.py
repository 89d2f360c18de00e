"""The methods of NVIDIA Riva's two services, for our server and our client alike, and what both must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from antiphon.domain.errors import SpeechError

try:
    from antiphon.speech.protos import riva_asr_pb2 as asr
    from antiphon.speech.protos import riva_audio_pb2 as audio
    from antiphon.speech.protos import riva_tts_pb2 as tts
except ImportError as error:
    raise SpeechError(
        "The messages of gRPC are not there: run `make setup` once, or python -m antiphon.speech.protos.make."
    ) from error

ASR = "nvidia.riva.asr.RivaSpeechRecognition"
TTS = "nvidia.riva.tts.RivaSpeechSynthesis"
Encoding = audio.AudioEncoding
"""How the audio of a request is encoded."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service. Both directions are streams, or neither is."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    streams: bool = False

    @property
    def path(self) -> str:
        """What it is called on the wire."""
        return f"/{self.service}/{self.name}"


RECOGNIZE = Method(ASR, "Recognize", asr.RecognizeRequest, asr.RecognizeResponse)
STREAMING_RECOGNIZE = Method(
    ASR, "StreamingRecognize", asr.StreamingRecognizeRequest, asr.StreamingRecognizeResponse, streams=True
)
RECOGNITION_CONFIG = Method(
    ASR,
    "GetRivaSpeechRecognitionConfig",
    asr.RivaSpeechRecognitionConfigRequest,
    asr.RivaSpeechRecognitionConfigResponse,
)
SYNTHESIZE = Method(TTS, "Synthesize", tts.SynthesizeSpeechRequest, tts.SynthesizeSpeechResponse)
SYNTHESIZE_ONLINE = Method(
    TTS, "SynthesizeOnline", tts.SynthesizeSpeechRequest, tts.SynthesizeSpeechResponse, streams=True
)
SYNTHESIS_CONFIG = Method(
    TTS, "GetRivaSynthesisConfig", tts.RivaSynthesisConfigRequest, tts.RivaSynthesisConfigResponse
)
"""A client that asks for one text and no stream sends the same bytes to `SynthesizeOnline`."""

_REGIONS = {"en": "en-US", "zh": "zh-CN", "pt": "pt-BR", "ja": "ja-JP", "ko": "ko-KR", "hi": "hi-IN", "ar": "ar-AR"}


def language_code(language: str) -> str:
    """`de` as `de-DE`: Riva's models are named with a region."""
    if not language or "-" in language:
        return language
    return _REGIONS.get(language, f"{language}-{language.upper()}")


def milliseconds(seconds: float) -> int:
    """A time as the messages have it."""
    return max(0, round(seconds * 1000))


def languages(codes: Sequence[str]) -> str:
    """Several of them as a parameter of a configuration."""
    return ",".join(dict.fromkeys(code for code in codes if code))
