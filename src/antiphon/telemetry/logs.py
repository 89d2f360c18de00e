"""Logging of the whole process: one line per event, for people or machines, without secrets and personal text.

`run` calls `configure_logging` once, before anything else happens. Everybody logs through
`structlog.stdlib.get_logger(__name__)` with an event name (`task.buried`) and keys; libraries that use the standard
`logging` module go through the same processors. Ids of the request and the task are bound to the context by whoever
begins one (`structlog.contextvars.bound_contextvars`) and stand on every line written inside.

**Personal text.** What people say and how they are called goes under the one key `personal`:
`log.debug("intent.matched", intent="clock.now", personal={"text": text})`. It is dropped unless `log.personal_text`
is set. Keys that usually hold such text are masked if they are used all the same, and the messages of exceptions,
which often quote their input, are logged only for kinds that are known not to.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO, cast
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from antiphon.config import LogSettings, Settings
from antiphon.domain.errors import AntiphonError
from antiphon.telemetry.forwarding import Entry, Forwarder, OtlpLogs, Syslog
from antiphon.telemetry.log_file import LogFile
from antiphon.telemetry.recent import KeepLines, LogLine, Recent
from antiphon.telemetry.redaction import Redactor

PERSONAL = "personal"
"""The key under which a log call passes text of people."""
MASK = "[personal]"
MASKED_KEYS = frozenset(
    {"text", "content", "prompt", "person_name", "author_name", "display_name", "arguments", "result", "transcript"}
)
"""Keys that are masked when somebody forgets to use `personal`."""

_FORWARDING = "antiphon.telemetry.forwarding"
"""What the forwarders have to say is about a target that is away: it is not sent there."""
_PLAIN_ERRORS = (AntiphonError, OSError, ImportError, AttributeError, NameError, TypeError, RecursionError)
"""Errors whose message is public, or made by the system of names and types alone."""
_PLAIN_ERROR_NAMES = frozenset({"OperationalError", "InterfaceError", "ImproperlyConfigured", "AppRegistryNotReady"})
"""The same, for kinds that cannot be imported here: every database driver calls its errors like this (PEP 249)."""
_NOISY = {
    "uvicorn.error": logging.WARNING,  # in spite of its name, mostly that it starts and stops
    "uvicorn.access": logging.WARNING,  # its lines hold whole addresses; the API logs requests by route
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore": logging.WARNING,
    "openai": logging.WARNING,  # its debug lines are whole conversations
    "django.db.backends": logging.INFO,  # its debug lines are statements with their values
    "websockets": logging.INFO,
}


def configure_logging(
    settings: LogSettings,
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    recent: Recent[LogLine] | None = None,
    otlp_endpoint: str = "",
) -> None:
    """Send every log line of the process to `stream` (default: standard error), and wherever the settings say.

    Calling it again replaces the rules. `otlp_endpoint` is where `settings.otlp` sends lines.

    `secrets` are values that must never appear, whatever prints them; see `secrets_of`. `recent` keeps the last lines
    for people who watch.
    """
    output = sys.stderr if stream is None else stream
    terminal = output.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str, sort_keys=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0)
    )
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, _Output):
            old.close()  # before the new one opens the same file
    also = _Elsewhere.of(settings, otlp_endpoint)
    handler = _Output(output, also)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _Exceptions(personal_text=settings.personal_text),
                _Personal(keep=settings.personal_text),
                _Secrets(Redactor(secrets)),
                *([KeepLines(recent)] if recent is not None else []),
                *([also] if also is not None else []),
                renderer,
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a logger that was used before this call must follow it too
    )
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    logging.captureWarnings(True)


def secrets_of(settings: Settings) -> list[str]:
    """Every configured secret, for `configure_logging(secrets=…)` and other edges that redact.

    Of an address with a password the password alone is listed too: errors of drivers quote parts of addresses.
    """
    found = [
        settings.openai_api_key.get_secret_value(),
        settings.discord.token.get_secret_value(),
        settings.telegram.token.get_secret_value(),
        settings.livekit.api_secret.get_secret_value(),
        settings.speech_services.token.get_secret_value(),
        *settings.secrets,
    ]
    for address in (settings.database_url.get_secret_value(), settings.redis_url.get_secret_value()):
        found += [address, unquote(urlsplit(address).password or "")]
    return list(dict.fromkeys(value for value in found if value))


def for_commands(settings: LogSettings) -> LogSettings:
    """The same for a command that runs beside the server: only trouble, and only on standard error."""
    return settings.model_copy(update={"level": "warning", "file": None, "syslog": "", "otlp": False})


class _Output(logging.StreamHandler[TextIO]):
    """The one handler of the process. Closing it closes the file and ends the forwarding."""

    def __init__(self, stream: TextIO, also: _Elsewhere | None) -> None:
        super().__init__(stream)
        self._also = also

    def close(self) -> None:
        if self._also is not None:
            self._also.close()
        super().close()


class _Elsewhere:
    """The step of the chain that hands each line to the file and the forwarders."""

    def __init__(self, file: LogFile | None, forwarders: Sequence[Forwarder]) -> None:
        self._file = file
        self._forwarders = forwarders
        self._render = structlog.processors.JSONRenderer(default=str, sort_keys=False)

    @classmethod
    def of(cls, settings: LogSettings, otlp_endpoint: str) -> _Elsewhere | None:
        """What the settings ask for; None when that is nothing."""
        file = LogFile(settings.file, most=settings.file_bytes, count=settings.file_count) if settings.file else None
        forwarders = [Forwarder(Syslog(settings.syslog))] if settings.syslog else []
        if settings.otlp and otlp_endpoint:
            forwarders.append(Forwarder(OtlpLogs(otlp_endpoint)))
        return cls(file, forwarders) if file or forwarders else None

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        line = str(self._render(logger, name, dict(event)))
        if self._file is not None:
            self._file.write(line)
        if self._forwarders and event.get("logger") != _FORWARDING:
            keys = {key: value for key, value in event.items() if key not in ("timestamp", "level", "logger", "event")}
            entry = Entry(
                at=datetime.now(UTC),
                level=str(event.get("level", "info")),
                logger=str(event.get("logger", "")),
                event=str(event.get("event", "")),
                keys=keys,
                json=line,
            )
            for forwarder in self._forwarders:
                forwarder.put(entry)
        return event

    def close(self) -> None:
        """Close the file, send what waits, end the threads."""
        if self._file is not None:
            self._file.close()
        for forwarder in self._forwarders:
            forwarder.close()


class _Exceptions:
    """Renders `exc_info` as a traceback whose last lines repeat an exception's message only when that is safe."""

    def __init__(self, *, personal_text: bool) -> None:
        self._all = personal_text

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        found: object = event.pop("exc_info", None)
        error: object = found
        if isinstance(found, tuple):
            error = cast("tuple[object, ...]", found)[1]
        elif found is True:
            error = sys.exc_info()[1]
        if isinstance(error, BaseException):
            event["exception"] = "".join(self._lines(error, set())).rstrip("\n")
        return event

    def _lines(self, error: BaseException, seen: set[int]) -> Iterable[str]:
        seen.add(id(error))
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is not None and id(before) not in seen:
            yield from self._lines(before, seen)
            yield "which led to:\n"
        yield from traceback.format_tb(error.__traceback__)
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        safe = self._all or isinstance(error, _PLAIN_ERRORS) or kind.__name__ in _PLAIN_ERROR_NAMES
        message = str(error) if safe else "(message withheld; log.personal_text shows it)"
        yield f"{name}: {message}\n" if message else f"{name}\n"
        if isinstance(error, BaseExceptionGroup):
            for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                if id(inner) not in seen:
                    yield "one of the group:\n"
                    yield from self._lines(inner, seen)


class _Personal:
    """Drops `personal` and masks the keys that should have been in it, unless the operator asked to see them."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        if not self._keep:
            event.pop(PERSONAL, None)
            for key in MASKED_KEYS & event.keys():
                event[key] = MASK
        return event


class _Secrets:
    """Takes secrets out of everything that is about to be written."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if value is None or isinstance(value, bool | int | float):
                continue
            plain = isinstance(value, str | dict | list | tuple)
            event[key] = self._redactor.value(cast("object", value) if plain else str(value))
        return event
