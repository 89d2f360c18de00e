"""Settings of the speech services: `antiphon stt` and `antiphon tts`, which serve the engines to other programs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from antiphon.config.values import Part, UserPath, is_loopback, networks


class SpeechServiceSettings(Part):
    """The services of `antiphon stt` and `antiphon tts`: gRPC as NVIDIA Riva speaks it, and Wyoming."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address on which gRPC listens. Anything but loopback also needs TLS and a token.",
    )
    stt_port: int = Field(
        default=50051,
        ge=0,
        le=65535,
        description="Port of gRPC of `antiphon stt`; 0: any free one.",
    )
    tts_port: int = Field(default=50052, ge=0, le=65535, description="Port of gRPC of `antiphon tts`; 0 as above.")
    token: SecretStr = Field(
        default=SecretStr(""),
        description="What callers must send as `authorization: Bearer …`. Empty: nobody is asked, on loopback only.",
    )
    tls_cert: UserPath | None = Field(default=None, description="PEM file with the certificate chain; needs tls_key.")
    tls_key: UserPath | None = Field(default=None, description="PEM file with the private key of tls_cert.")
    tls: Literal["", "self"] = Field(
        default="",
        description="'self' makes a self-signed certificate: cert.pem in tls-stt or tls-tts of data_dir.",
    )
    wyoming: bool = Field(default=True, description="Whether Wyoming, the protocol of Home Assistant, is served too.")
    wyoming_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address on which Wyoming listens. That protocol knows neither TLS nor tokens, so anything but "
        "loopback needs wyoming_allow.",
    )
    stt_wyoming_port: int = Field(
        default=10300, ge=0, le=65535, description="Port of Wyoming of `antiphon stt`; 0 as above."
    )
    tts_wyoming_port: int = Field(
        default=10200, ge=0, le=65535, description="Port of Wyoming of `antiphon tts`; 0 as above."
    )
    wyoming_allow: Annotated[tuple[str, ...], AfterValidator(networks)] = Field(
        default=(),
        description="Addresses or networks that may use Wyoming beside this machine, for example that of Home "
        "Assistant. What is said between them is not encrypted.",
    )
    calls: int = Field(
        default=64, ge=1, le=10_000, description="Calls and connections served at the same time; more are refused."
    )
    message_bytes: int = Field(
        default=16_777_216, ge=65_536, le=1_073_741_824, description="Largest message that is taken, in bytes."
    )
    audio_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="Longest recording that is recognised in one piece, in seconds."
    )
    utterance_seconds: float = Field(
        default=30.0,
        ge=2,
        le=600,
        description="Seconds after which a streamed utterance without a pause is cut, so that its text can leave.",
    )
    pause_seconds: float = Field(
        default=0.8,
        ge=0.1,
        le=10,
        description="Silence that ends an utterance of a stream, unless its caller asks for another.",
    )
    text_chars: int = Field(
        default=20_000, ge=1, le=1_000_000, description="Longest text that is spoken in one piece, in characters."
    )
    idle_seconds: float = Field(
        default=60.0, gt=0, le=86_400, description="Seconds after which a caller who sends or reads nothing is cut off."
    )
    answer_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds an engine may leave a caller without an answer."
    )

    @property
    def secure(self) -> bool:
        """Whether gRPC speaks TLS."""
        return self.tls == "self" or (self.tls_cert is not None and self.tls_key is not None)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach gRPC."""
        return is_loopback(self.host)
