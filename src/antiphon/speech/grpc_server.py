"""The gRPC server of a speech service: TLS, tokens, health, reflection, limits, and what an error becomes on the wire.

`grpc_stt` and `grpc_tts` hold what is served. grpc is imported only when this module is.
"""

# grpcio has no types; what it gives is checked where it enters.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedBaseClass=false

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from antiphon.domain.errors import (
    AntiphonError,
    ConfigError,
    InvalidInput,
    MalformedInput,
    SpeechBusy,
    SpeechError,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from antiphon.speech.riva import Method

log = structlog.stdlib.get_logger(__name__)

STOP_SECONDS = 2.5
"""How long calls under way may go on when the server stops."""
_PROBES_BESIDE = 64
"""Calls of health and reflection that are served beside those of the service."""
_MOST_DETAILS = 1000
"""Characters of an error: it travels in a header, and quotes what the caller sent."""
_HEALTH = "/grpc.health.v1.Health/"
_CODES: tuple[tuple[type[BaseException], grpc.StatusCode], ...] = (
    (InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (MalformedInput, grpc.StatusCode.INVALID_ARGUMENT),
    (TooLarge, grpc.StatusCode.INVALID_ARGUMENT),
    (TooManyRequests, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (SpeechBusy, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (SpeechError, grpc.StatusCode.UNAVAILABLE),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
)

Unary = Callable[[Any], Awaitable[Any]]
"""Answers one request."""
Streaming = Callable[[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""Serves a call with (read, write); `read` gives None at the end of what the caller sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """Where and for whom it listens. Without a token everybody may call."""

    host: str
    port: int
    port_key: str
    """The setting of the port, for refusals."""
    token: str = ""
    certificate: tuple[Path, Path] | None = None
    """PEM files: certificate chain and private key. None: no TLS."""
    message_bytes: int = 16_777_216
    calls: int = 64


class GrpcServer:
    """One server with one service."""

    def __init__(self, options: GrpcOptions, methods: Mapping[Method, Unary | Streaming]) -> None:
        self._options = options
        self._service = next(iter(methods)).service
        self._health = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue]
        self._server = grpc.aio.server(
            interceptors=[_Bearer(options.token)] if options.token else [],
            options=[
                ("grpc.max_receive_message_length", options.message_bytes),
                ("grpc.max_metadata_size", 16_384),
                ("grpc.so_reuseport", 0),  # a port that is taken is refused, not shared
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ],
            maximum_concurrent_rpcs=options.calls + _PROBES_BESIDE,
        )
        handlers = {method.name: _handler(method, serve) for method, serve in methods.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self._service, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (self._service, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = 0

    async def start(self) -> int:
        """Listen; the port. Raises `ConfigError` when it cannot."""
        options = self._options
        host = f"[{options.host}]" if ":" in options.host else options.host
        try:
            if options.certificate is not None:
                chain, key = (path.read_bytes() for path in options.certificate)
                credentials = grpc.ssl_server_credentials([(key, chain)])
                self.port = self._server.add_secure_port(f"{host}:{options.port}", credentials)
            else:
                self.port = self._server.add_insecure_port(f"{host}:{options.port}")
        except (RuntimeError, OSError) as error:
            raise ConfigError(
                source="settings",
                key=options.port_key,
                problem=f"cannot listen on {options.host}:{options.port} for gRPC",
                remedy="stop the other program, or set a free port; with TLS, see whether its files are PEM",
            ) from error
        await self.serving(False)
        await self._server.start()
        return self.port

    async def serving(self, ready: bool) -> None:
        """What the health service says from now on."""
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if ready else states.NOT_SERVING
        for name in ("", self._service):
            await self._health.set(name, state)

    async def stop(self) -> None:
        """Refuse new calls, let those under way end for a moment, and cancel the rest."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(STOP_SECONDS)


def _handler(method: Method, serve: Unary | Streaming) -> Any:
    async def unary(request: Any, context: Any) -> Any:
        try:
            return await serve(_sound(request))  # pyright: ignore[reportCallIssue] - by what the method is
        except Exception as error:
            await _abort(context, error)

    async def streaming(requests: Any, context: Any) -> None:
        del requests

        end: Any = grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue]

        async def read() -> Any:
            message = await context.read()
            return None if message is end else _sound(message)

        try:
            await serve(read, context.write)  # pyright: ignore[reportCallIssue]
        except Exception as error:
            await _abort(context, error)

    make = grpc.stream_stream_rpc_method_handler if method.streams else grpc.unary_unary_rpc_method_handler
    return make(
        streaming if method.streams else unary,
        request_deserializer=_reader(method),
        response_serializer=method.response.SerializeToString,
    )


def _reader(method: Method) -> Callable[[bytes], Any]:
    """What is no message becomes an error that is answered; grpc itself would only log it."""
    parse = method.request.FromString

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except Exception:
            return _GARBAGE

    return read


_GARBAGE = object()
"""Stands for a message that could not be read."""


def _sound(message: Any) -> Any:
    if message is _GARBAGE:
        raise MalformedInput("The message is not one of this method.")
    return message


async def _abort(context: Any, error: Exception) -> None:
    code, message = _status(error)
    if code is grpc.StatusCode.INTERNAL:
        log.error("speech.call_failed", exc_info=error)
    await context.abort(code, message)


def _status(error: BaseException) -> tuple[grpc.StatusCode, str]:
    for kind, code in _CODES:
        if isinstance(error, kind):
            told = error.message if isinstance(error, AntiphonError) else str(error)
            return code, told[:_MOST_DETAILS] or "It took too long."
    return grpc.StatusCode.INTERNAL, "The service failed; its log says how."


class _Bearer(grpc.aio.ServerInterceptor):
    """Lets calls pass that carry the token; health is for everybody, as the probes of orchestrators carry none."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}".encode()

        async def refuse(requests: Any, context: Any) -> None:
            del requests
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, "Send the token as metadata: authorization: Bearer TOKEN"
            )

        # A stream of both kinds answers every kind of call, without waiting for what the caller sends.
        self._refusal = grpc.stream_stream_rpc_method_handler(refuse)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The real handler, or one that refuses."""
        if str(handler_call_details.method).startswith(_HEALTH) or self._carried(handler_call_details):
            return await continuation(handler_call_details)
        return self._refusal

    def _carried(self, details: Any) -> bool:
        good = False
        for name, value in details.invocation_metadata or ():
            if name == "authorization":
                data = value if isinstance(value, bytes) else str(value).encode()
                good = hmac.compare_digest(data[:7].title() + data[7:], self._wanted) or good
        return good
