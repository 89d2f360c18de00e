"""What can go wrong with a language model, told apart by what helps. Nobody else knows the errors of pydantic-ai.

Used by `failover` (what to do next), `probe` and `health` (what to tell people). The words never hold anything the
model or its server wrote: that may quote keys, or what people said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelTimeoutError,
)

from antiphon.domain.errors import ConfigError


class Kind(StrEnum):
    """The kinds of failures, as they stand in metrics and traces."""

    KEY = "key"
    MODEL = "model"
    RATE = "rate"
    QUOTA = "quota"
    REJECTED = "rejected"
    TOO_LONG = "too_long"
    SERVER = "server"
    UNREACHABLE = "unreachable"
    FIRST_TOKEN = "first_token"  # noqa: S105 - a token of text
    STALLED = "stalled"
    TOTAL = "total"
    BROKEN = "broken"
    GARBAGE = "garbage"
    EMPTY = "empty"
    CALLS = "calls"
    BUSY = "busy"
    SETUP = "setup"


_WORDS = {
    Kind.KEY: ("it refuses the key", "check the key: it may be wrong, revoked or for another service"),
    Kind.MODEL: ("it does not know this model", "check the model's name, or load the model on the server"),
    Kind.RATE: ("it is over its rate limit", "wait, or add another expert as a fallback"),
    Kind.QUOTA: ("its quota or credit is used up", "add credit at the provider, or another expert as a fallback"),
    Kind.REJECTED: ("it refuses the request", "check that the model supports chat with tools at this address"),
    Kind.TOO_LONG: ("the conversation is too long for it", "lower limits.context_tokens, or use another model"),
    Kind.SERVER: ("its server fails", "look at the server's log, or wait until the provider has mended it"),
    Kind.UNREACHABLE: ("it cannot be reached", "check that the server runs and that the address is right"),
    Kind.FIRST_TOKEN: ("it does not begin to answer", "give it more first_token_seconds, or use a faster model"),
    Kind.STALLED: ("it stopped in the middle", "look at the server's log"),
    Kind.TOTAL: ("it took too long", "give it more total_seconds, or use a faster model"),
    Kind.BROKEN: ("it broke off", "look at the server's log, or check the network"),
    Kind.GARBAGE: ("it answers what cannot be read", "check that the address is that of a model's API"),
    Kind.EMPTY: ("it answers nothing", "use another model"),
    Kind.CALLS: ("it does not call tools properly", "use a model that can call tools"),
    Kind.BUSY: ("it has too much to do", "raise parallel, or add another expert"),
    Kind.SETUP: ("it is not set up", "see the log"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of one expert. `retry_after` is what its server asked for, in seconds."""

    kind: Kind
    status: int | None = None
    retry_after: float | None = None
    note: str = ""
    """Our own words instead of the general ones."""

    @property
    def reason(self) -> str:
        """Why, for a person, as the rest of a sentence about the model."""
        words = self.note or _WORDS[self.kind][0]
        return f"{words} (HTTP {self.status})" if self.status else words

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return _WORDS[self.kind][1]

    @property
    def counts(self) -> bool:
        """Whether the expert itself is at fault: a request it may rightly refuse says nothing about the next one."""
        return self.kind not in (Kind.REJECTED, Kind.TOO_LONG, Kind.BUSY, Kind.CALLS)

    @property
    def lasting(self) -> bool:
        """Whether the next request will fail as well, until a person does something."""
        return self.kind in (Kind.KEY, Kind.MODEL, Kind.QUOTA, Kind.SETUP)

    @property
    def passing(self) -> bool:
        """Whether the same request may well succeed a moment later."""
        return self.kind in (Kind.SERVER, Kind.UNREACHABLE, Kind.BROKEN, Kind.RATE, Kind.EMPTY, Kind.GARBAGE)


def failure_of(error: BaseException, *, begun: bool = False) -> Failure:
    """The failure behind an exception of a model. `begun`: it had already said something."""
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    after = error.retry_after if isinstance(error, ModelAPIError) else None
    return Failure(_kind(error, status, begun), status, after, error.problem if isinstance(error, ConfigError) else "")


def _kind(error: BaseException, status: int | None, begun: bool) -> Kind:
    if isinstance(error, ConfigError | ImportError):
        return Kind.SETUP
    if isinstance(error, ModelRequestTimeout | ModelTimeoutError | TimeoutError):
        return Kind.STALLED if begun else Kind.FIRST_TOKEN
    for classes, kind in _BY_CLASS:
        if isinstance(error, classes):
            return Kind.BROKEN if begun and kind is Kind.UNREACHABLE else kind
    if status is not None:
        return _BY_STATUS.get(status, Kind.SERVER if status >= 500 else Kind.REJECTED)
    if isinstance(error, ModelAPIError):
        return Kind.BROKEN if begun else Kind.GARBAGE
    # Errors of the wire that the library did not translate, and answers it could not read.
    wire = type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "anyio", "ssl")
    if wire or isinstance(error, OSError):
        return Kind.BROKEN if begun else Kind.UNREACHABLE
    return Kind.GARBAGE


_BY_CLASS: tuple[tuple[type[BaseException], Kind], ...] = (
    (ModelQuotaExceededError, Kind.QUOTA),
    (ModelRateLimitError, Kind.RATE),
    (ModelAuthenticationError, Kind.KEY),
    (ModelNotFoundError, Kind.MODEL),
    (ModelContextWindowExceededError, Kind.TOO_LONG),
    (ModelRequestRejectedError, Kind.REJECTED),
    (ModelConnectionError, Kind.UNREACHABLE),
)
_BY_STATUS = {401: Kind.KEY, 403: Kind.KEY, 402: Kind.QUOTA, 404: Kind.MODEL, 413: Kind.TOO_LONG, 429: Kind.RATE}
