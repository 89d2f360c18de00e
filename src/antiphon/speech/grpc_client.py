"""The connection to a server with Riva's services: ours, an NVIDIA Riva or a NIM. The engines `riva` share it.

grpc is imported with the first use.
"""

# grpcio has no types; what it gives is checked where it enters.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from antiphon.config.values import SecretName, UserPath, is_loopback
from antiphon.domain.errors import AntiphonError, InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import EngineState, EngineStatus
from antiphon.speech.addresses import reachable
from antiphon.speech.engine import Surroundings, package_missing

if TYPE_CHECKING:
    from antiphon.speech.riva import Method

_MESSAGE_BYTES = 64 * 1024 * 1024
_CONNECT_SECONDS = 10.0


class Connection(BaseModel, extra="forbid"):
    """What both engines `riva` are told about their server."""

    tls: bool = Field(default=False, description="Whether the server speaks TLS. Needed for one on another machine.")
    ca: UserPath | None = Field(
        default=None,
        description="PEM file with the certificate to trust: that of a self-signed server, or of your own authority.",
    )
    name: str = Field(
        default="", max_length=253, description="Name in the server's certificate, where it is not the address."
    )
    secret: SecretName = Field(
        default="", description="Variable, or file in secrets_dir, with the token that is sent as a bearer."
    )
    metadata: Mapping[str, str] = Field(
        default={}, description="More that is sent with each call: { function-id = '…' } for NVIDIA's own cloud."
    )
    model: str = Field(default="", max_length=200, description="Model of the server. Empty: it chooses by language.")


class RivaClient:
    """One connection, made when it is needed."""

    def __init__(self, engine: str, host: str, port: int, connection: Connection, around: Surroundings) -> None:
        self._engine = engine
        self.host, self.port = host, port
        self._connection = connection
        self._token = around.secret(connection.secret) if connection.secret else ""
        self._channel: Any = None
        self._closed = False

    @property
    def address(self) -> str:
        """For people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        token = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        return (*((name.lower(), value) for name, value in self._connection.metadata.items()), *token)

    def call(self, method: Method) -> Any:
        """The method, to be called with a request, or with nothing for a stream."""
        channel = self._open()
        make = channel.stream_stream if method.streams else channel.unary_unary
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    def _open(self) -> Any:
        if self._closed:
            raise SpeechError(f"The engine {self._engine} is closed.")
        if self._channel is None:
            os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
            os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # processes of engines are started anew, not forked
            import grpc

            connection = self._connection
            options: list[tuple[str, Any]] = [
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MESSAGE_BYTES),
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 5_000),
            ]
            if is_loopback(self.host):
                options.append(("grpc.enable_http_proxy", 0))
            if connection.name:
                options.append(("grpc.ssl_target_name_override", connection.name))
            if connection.tls or connection.ca is not None:
                credentials = grpc.ssl_channel_credentials(_read(connection.ca))
                self._channel = grpc.aio.secure_channel(self.address, credentials, options=options)
            else:
                self._channel = grpc.aio.insecure_channel(self.address, options=options)
        return self._channel

    async def status(self) -> EngineStatus:
        """Whether something listens there. Never raises."""
        if (missing := package_missing(self._engine, "grpc", "services")) is not None:
            return missing
        if not self._token and self._connection.secret:
            return EngineStatus(
                self._engine,
                EngineState.NEEDS_SETTING,
                "Its token is not set.",
                f"set the variable {self._connection.secret}",
            )
        return await reachable(self._engine, self.host, self.port)

    async def load(self, method: Method, request: Any) -> Any:
        """Connect, and see by a small call whether the server knows us; its answer, None where it has no such call."""
        try:
            return await self.call(method)(request, timeout=_CONNECT_SECONDS, metadata=self.metadata())
        except Exception as error:
            import grpc

            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise self.failed(error, asked=False) from error

    def failed(self, error: BaseException, *, asked: bool = True) -> AntiphonError:
        """What to raise for what a call raised. `asked`: it carried what a caller wants, which a server may refuse."""
        import grpc

        if isinstance(error, AntiphonError):
            return error
        if not isinstance(error, grpc.aio.AioRpcError):
            return SpeechError(f"The server of the engine {self._engine} at {self.address} failed.")
        code, where = error.code(), f"The server at {self.address}"
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return SpeechError(f"{where} refuses the token: set `secret` in [speech.engines.riva] to one it knows.")
        if code is grpc.StatusCode.UNAVAILABLE and not _said(error):
            return SpeechError(f"{where} does not answer: is it running, and is `tls` as it wants it?")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return SpeechError(f"{where} did not answer in time.")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return SpeechBusy(f"{where} has too much to do now: {_said(error) or 'it says no more'}")
        if asked and code in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.OUT_OF_RANGE,
        ):
            return InvalidInput(f"{where} refuses the request: {_said(error) or 'it says no more'}")
        return SpeechError(f"{where} failed ({code.name}): {_said(error) or 'it says no more'}")

    async def aclose(self) -> None:
        """Close the connection. Twice is once."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)


def _said(error: Any) -> str:
    """What a server said, in one short line; nothing of what the library says about connections."""
    told = " ".join(str(error.details() or "").split())[:200]
    lowered = told.lower()
    return "" if any(part in lowered for part in ("connect", "handshake", "dns", "socket", "recvmsg")) else told


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpeechError("The file `ca` of [speech.engines.riva] cannot be read.") from error
