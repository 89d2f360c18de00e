"""The processes `antiphon stt` and `antiphon tts`: the engines of the settings, served to other programs.

They have no database and no bus. Beside gRPC and Wyoming they answer `/health` and `/metrics` on the port of `http`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence

import structlog

from antiphon.config import Settings
from antiphon.config.speech import Kind, engine_name
from antiphon.config.values import is_loopback
from antiphon.domain.errors import AntiphonError, ConfigError
from antiphon.domain.health import PartHealth, PartState
from antiphon.run.probe_routes import build_probes
from antiphon.run.serving import allow_many_connections, new_loop, serve_until, stop_signal
from antiphon.run.tls import service_certificate
from antiphon.speech.addresses import USUAL_PORTS, split_address
from antiphon.speech.engines import Speech, check_engines, open_speech, table_of
from antiphon.telemetry.logs import configure_logging, secrets_of

log = structlog.stdlib.get_logger(__name__)

_TRY_AGAIN_SECONDS = 30.0
_LANGUAGES = (
    "ar bg ca cs da de el en es et fa fi fr gl he hi hr hu id is it ja ko lt lv mk ms nl no pl pt ro ru sk sl sr sv "
    "sw ta th tl tr uk ur vi zh"
)
"""What is offered of an engine that says of no language that it does not know it."""


def run_speech_service(kind: Kind, settings: Settings, *, announce: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigError` when it cannot start.

    `announce` is given a text with the addresses once they answer.
    """
    configure_logging(settings.log, secrets=secrets_of(settings), otlp_endpoint=settings.telemetry.otlp_endpoint)
    allow_many_connections()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(kind, settings, announce))


async def _serve(kind: Kind, settings: Settings, announce: Callable[[str], None] | None) -> None:
    stop = stop_signal()
    service = SpeechService(kind, settings)
    try:
        await service.start()

        async def announcement(address: str) -> str:
            return service.announcement(address)

        await serve_until(
            stop,
            settings,
            build_probes(settings, service.parts),
            announce=announce,
            announcement=announcement,
            work=service.work,
        )
    finally:
        await service.close()


class SpeechService:
    """One engine chain behind its servers."""

    def __init__(self, kind: Kind, settings: Settings) -> None:
        self._kind: Kind = kind
        settings = without_itself(kind, settings)
        self._settings = settings
        self._speech: Speech = open_speech(settings, phrases=_phrases)
        self._problem = ""
        self._closed = False
        self._build()

    def _build(self) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # processes of engines are started anew, not forked
        try:
            from antiphon.speech.calls import Calls
            from antiphon.speech.grpc_server import GrpcOptions, GrpcServer
            from antiphon.speech.grpc_stt import RecognitionService
            from antiphon.speech.grpc_tts import SynthesisService
            from antiphon.speech.wyoming import WyomingServer
        except ImportError as error:
            raise ConfigError(
                source="settings",
                key="speech_services",
                problem=f"`antiphon {self._kind}` needs the package {error.name}, which is not installed",
                remedy="install it: .venv/bin/pip install 'antiphon[services]'",
            ) from error

        services, language = self._settings.speech_services, self._settings.speech.language
        stt = self._kind == "stt"
        calls = Calls(self._kind, services.calls)
        port, wyoming_port = (
            (services.stt_port, services.stt_wyoming_port) if stt else (services.tts_port, services.tts_wyoming_port)
        )
        served = (
            RecognitionService(self._speech.stt, services, calls, language).methods()
            if stt
            else SynthesisService(self._speech.tts, services, calls, language).methods()
        )
        self._grpc = GrpcServer(
            GrpcOptions(
                host=services.host,
                port=port,
                port_key=f"speech_services.{self._kind}_port",
                token=services.token.get_secret_value(),
                certificate=service_certificate(self._settings, self._kind),
                message_bytes=services.message_bytes,
                calls=services.calls,
            ),
            served,
        )
        self._wyoming = None
        if services.wyoming:
            self._wyoming = WyomingServer(
                services,
                calls,
                port=wyoming_port,
                port_key=f"speech_services.{self._kind}_wyoming_port",
                stt=self._speech.stt if stt else None,
                tts=None if stt else self._speech.tts,
                languages=self._languages(),
            )

    def _languages(self) -> Sequence[str]:
        """The languages that are understood, the usual one first."""
        known = [language for link in self._speech.stt.links for language in sorted(link.languages)]
        if any(not link.languages for link in self._speech.stt.links):
            known += _LANGUAGES.split()
        usual = self._settings.speech.language
        return list(dict.fromkeys([*([usual] if usual in known else []), *known]))

    async def start(self) -> None:
        """Listen on every port. Raises `ConfigError` when one is taken."""
        await self._grpc.start()
        if self._wyoming is not None:
            await self._wyoming.start()

    def announcement(self, address: str) -> str:
        """Where it listens, for whoever started it."""
        services = self._settings.speech_services
        guard = ", ".join(
            [
                "TLS" if services.secure else "no TLS",
                "with a token" if services.token.get_secret_value() else "no token",
            ]
        )
        lines = [f"Antiphon {self._kind}: gRPC at {services.host}:{self._grpc.port} ({guard})"]
        if self._wyoming is not None:
            lines.append(f"Wyoming at tcp://{services.wyoming_host}:{self._wyoming.port}")
        return "\n".join([*lines, f"Health and figures at {address}", "Stop with Ctrl+C"])

    async def work(self, stop: asyncio.Event) -> None:
        """Load the engines and say by the health service whether they work, until `stop` is set."""
        loading = asyncio.create_task(self._load(), name="speech loading")
        await stop.wait()
        loading.cancel()
        await asyncio.wait({loading})
        await self.close()

    async def _load(self) -> None:
        engine = self._speech.stt if self._kind == "stt" else self._speech.tts
        while True:
            try:
                await engine.load()
            except Exception as error:
                told = error.message if isinstance(error, AntiphonError) else "The engine cannot be loaded."
                if told != self._problem:
                    log.warning("speech.not_ready", service=self._kind, reason=told)
                self._problem = told
            else:
                self._problem = ""
            await self._grpc.serving(not self._problem)
            await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def parts(self) -> Sequence[PartHealth]:
        """Its own state, for `/health`."""
        state = PartState.DEGRADED if self._problem else PartState.OK
        return [PartHealth(self._kind, state, self._problem)]

    async def close(self) -> None:
        """Let calls under way end for a moment, then end everything. Twice is once."""
        if self._closed:
            return
        self._closed = True
        servers = [self._grpc.stop(), *([self._wyoming.stop()] if self._wyoming is not None else [])]
        await asyncio.gather(*servers, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._speech.aclose()


def without_itself(kind: Kind, settings: Settings) -> Settings:
    """The settings without engines that are this very service, as when it shares a file with those who use it.

    Raises `ConfigError` when no engine is left.
    """
    speech, services = settings.speech, settings.speech_services
    own = {
        "riva": services.stt_port if kind == "stt" else services.tts_port,
        "wyoming": services.stt_wyoming_port if kind == "stt" else services.tts_wyoming_port,
    }

    def itself(choice: str) -> bool:
        name = engine_name(choice)
        if name not in own:
            return False
        host, port = split_address(str(table_of(settings, kind, choice).address), USUAL_PORTS[kind][name])
        return is_loopback(host) and port == own[name]

    check_engines(settings)
    chain = speech.stt if kind == "stt" else speech.tts
    others = tuple(choice for choice in chain if not itself(choice))
    if not others:
        raise ConfigError(
            source=settings.origin(f"speech.{kind}"),
            key=f"speech.{kind}",
            problem=f"`antiphon {kind}` would ask itself: {', '.join(chain)} is this very service",
            remedy=f"name the engine that works, for this process alone: ANTIPHON_SPEECH__{kind.upper()}="
            + ("pocketsphinx" if kind == "stt" else "espeak"),
        )
    return settings.model_copy(update={"speech": speech.model_copy(update={kind: others})})


def _phrases() -> Sequence[str]:
    from antiphon.brain.offline.phrases import spoken_phrases  # late: wanted with the first word that is heard

    return spoken_phrases()
