"""The one error tree.

Every error a caller may meet is an `AntiphonError` with a stable `code`, a public `message` that is safe to show to
anybody, and the facts an edge needs: `http_status` for HTTP, `retryable` for workers. Each edge (API, chat, CLI) maps
the tree once; nothing else builds error answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class AntiphonError(Exception):
    """Base of everything Antiphon raises on purpose.

    `message` is public: it never holds secrets, paths or other people's text. `fields` names the offending inputs
    (field -> what is wrong with it). Private detail belongs into the log, or into `__cause__`.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fields: Mapping[str, str] = dict(fields or {})


class MalformedInput(AntiphonError):
    """The request could not be read at all (broken JSON, broken framing)."""

    code = "malformed"
    http_status = 400


class InvalidInput(AntiphonError):
    """The request was read, and a value in it is not allowed."""

    code = "invalid"
    http_status = 422


class Unauthenticated(AntiphonError):
    """No credential, or one that is wrong, expired or revoked."""

    code = "unauthenticated"
    http_status = 401


class SecondFactorNeeded(Unauthenticated):
    """The password is right; a code of the authenticator app, or a recovery code, must come with it."""

    code = "second_factor"


class Forbidden(AntiphonError):
    """The credential is good, but does not carry the needed scope, role or permission."""

    code = "forbidden"
    http_status = 403


class NotFound(AntiphonError):
    """The object does not exist, or belongs to somebody else: the two look the same on purpose."""

    code = "not_found"
    http_status = 404


class Conflict(AntiphonError):
    """The request contradicts what is already stored (same id with another text, a decision made twice)."""

    code = "conflict"
    http_status = 409


class ChannelBusy(Conflict):
    """A spoken turn wanted a channel in which a task is running."""

    code = "channel_busy"
    retryable = True


class TooLarge(AntiphonError):
    """The input exceeds a size limit; nothing of it was kept."""

    code = "too_large"
    http_status = 413


class TooManyRequests(AntiphonError):
    """A rate or usage limit is reached. `retry_after` is in seconds."""

    code = "too_many_requests"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(AntiphonError):
    """A part we depend on does not answer now; trying again later is right."""

    code = "unavailable"
    http_status = 503
    retryable = True


class StoreUnavailable(Unavailable):
    """The database is locked, full, restarting or gone. Nothing was committed, or the outcome is unknown."""

    code = "store_unavailable"


class LeaseLost(AntiphonError):
    """Somebody else owns this work now, or it was cancelled: drop everything, write nothing."""

    code = "lease_lost"
    http_status = 409


class ConfigError(AntiphonError):
    """The configuration is refused. Printed as `FILE: key: problem; remedy`, exit status 3."""

    code = "config"

    def __init__(self, *, source: str, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{source}: {key}: {problem}; {remedy}")
        self.source = source
        self.key = key
        self.problem = problem
        self.remedy = remedy


class ToolError(AntiphonError):
    """A tool could not do what was asked. The message is shown to the model and to the person."""

    code = "tool_failed"
    http_status = 422


class ModelError(AntiphonError):
    """The language model failed. `retryable` says whether the same turn may be tried again."""

    code = "model_failed"
    http_status = 502
    retryable = True


class SpeechError(AntiphonError):
    """An engine that listens or speaks failed or cannot be used. The message says what is missing, and the remedy."""

    code = "speech_failed"
    http_status = 502
    retryable = True


class SpeechBusy(SpeechError):
    """An engine has so much to do that an answer would come too late. Nothing is wrong with it."""

    code = "speech_busy"
    http_status = 503


class DeliveryError(AntiphonError):
    """A platform refused a reply for good (deleted channel, lost permission)."""

    code = "delivery_refused"
    http_status = 502


class DeliveryUnsettled(AntiphonError):
    """Whether a reply is there already cannot be found out: too much was said since."""

    code = "delivery_unsettled"
    http_status = 502


class DeliveryRetry(AntiphonError):
    """A platform could not take a reply now. `retry_after` is in seconds, or None for our own back-off."""

    code = "delivery_later"
    http_status = 503
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_sent = maybe_sent
        """True when the request may have arrived (a timeout after sending), so a resend could double it."""
