"""Requests to OpenAI, or to a server with its HTTP interface. The engines `openai` share it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from antiphon.config.values import SecretName, WebUrl, is_loopback
from antiphon.domain.errors import AntiphonError, InvalidInput, SpeechError
from antiphon.domain.speech import EngineState, EngineStatus
from antiphon.speech.engine import Surroundings, check_ready

if TYPE_CHECKING:
    import httpx2

_THEIRS = "https://api.openai.com/v1"
_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 60.0


class Service(BaseModel, extra="forbid"):
    """What both engines `openai` are told about their server."""

    url: WebUrl = Field(
        default=_THEIRS, description="Address of the server up to /v1: http://127.0.0.1:8080/v1 for one of your own."
    )
    secret: SecretName = Field(
        default="OPENAI_API_KEY", description="Variable, or file in secrets_dir, with the key. Empty: none is sent."
    )


class OpenAiClient:
    """One pool of connections, made when it is needed."""

    def __init__(self, service: Service, around: Surroundings) -> None:
        self._url = service.url or _THEIRS
        self._secret = service.secret
        self._key = around.secret(service.secret) if service.secret else ""
        self._client: httpx2.AsyncClient | None = None
        self._closed = False

    def status(self) -> EngineStatus:
        """Whether it has what it needs. Nothing is asked: a request may cost."""
        if self._url == _THEIRS and not self._key:
            return EngineStatus(
                "openai",
                EngineState.NEEDS_SETTING,
                "OpenAI wants a key.",
                f"set {self._secret or 'secret in [speech.engines.openai]'}, or url for a server of your own",
            )
        return EngineStatus("openai", EngineState.READY, f"Asks {self._url}.")

    def check(self) -> None:
        """Raise `SpeechError` when it lacks something."""
        check_ready(self.status())

    @asynccontextmanager
    async def post(self, path: str, **what: Any) -> AsyncGenerator[httpx2.Response, None]:
        """A request, and its answer as it comes. Raises `SpeechError` for what is no success, `InvalidInput` for a
        request that the server understands and refuses.
        """
        import httpx2

        self.check()
        if self._closed:
            raise SpeechError("The engine openai is closed.")
        if self._client is None:
            self._client = httpx2.AsyncClient(
                trust_env=not is_loopback(httpx2.URL(self._url).host),
                follow_redirects=False,  # the key goes nowhere else
                timeout=httpx2.Timeout(_SILENT_SECONDS, connect=_CONNECT_SECONDS),
            )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with self._client.stream("POST", f"{self._url}{path}", headers=headers, **what) as response:
                if response.status_code != 200:
                    raise self._refused(response.status_code)
                yield response
        except httpx2.TimeoutException as error:
            raise SpeechError(f"The server at {self._url} did not answer in time.") from error
        except httpx2.HTTPError as error:
            raise SpeechError(f"The server at {self._url} does not answer, or broke off.") from error

    def _refused(self, status: int) -> AntiphonError:
        if status in (401, 403):
            return SpeechError(f"The server at {self._url} refuses the key ({status}).")
        if status == 404:
            return SpeechError(f"The server at {self._url} has no such model, or its address lacks /v1 (404).")
        if status == 429:
            return SpeechError(f"The server at {self._url} has had too many requests, or no credit is left (429).")
        if status in (400, 413, 422):
            return InvalidInput(
                f"The server at {self._url} refuses the request ({status}): it may not know the voice or the language, "
                "or what was sent is too long or too short for it."
            )
        return SpeechError(f"The server at {self._url} failed ({status}).")

    async def aclose(self) -> None:
        """Close the connections. Twice is once."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


async def read_within(response: httpx2.Response, most: int) -> bytes:
    """A whole answer, which may not be larger than `most` bytes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise SpeechError("The answer of the server is too large.")
    return b"".join(pieces)
