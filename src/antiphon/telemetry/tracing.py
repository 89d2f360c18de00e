"""Traces: one from the message to its reply, when an OTLP endpoint is set; nothing at all when not.

The steps of a task run in several processes and outlive them, so the trace is not handed on: its ids follow from the
task's number. The span that accepts the message is the root; whoever works on the task later, anywhere, continues it.
What people say is no part of a span unless `telemetry.content` is set.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_REMEDY = "install the extra: pip install 'antiphon[tracing]', or leave the endpoint out"
_next_ids: ContextVar[tuple[int, int] | None] = ContextVar("next_ids", default=None)


class _Tracing:
    """What is switched on in this process. Off: `tracer` is None, and every function here returns at once."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self.provider: TracerProvider | None = None
        self.content = False
        self.seed = ""


_tracing = _Tracing()


def start_tracing(settings: Settings) -> None:
    """Send spans to `telemetry.otlp_endpoint`, if one is set. Raises `ConfigError` when the exporter is missing."""
    endpoint = settings.telemetry.otlp_endpoint
    if not endpoint or _tracing.tracer is not None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
    except ImportError as error:
        raise ConfigError(
            source=settings.origin("telemetry.otlp_endpoint"),
            key="telemetry.otlp_endpoint",
            problem="OpenTelemetry is not installed",
            remedy=_REMEDY,
        ) from error

    class TaskIds(IdGenerator):
        """Random ids, but for the root span of a task."""

        def __init__(self) -> None:
            self._random = RandomIdGenerator()

        def generate_trace_id(self) -> int:
            ids = _next_ids.get()
            return ids[0] if ids else self._random.generate_trace_id()

        def generate_span_id(self) -> int:
            ids = _next_ids.get()
            return ids[1] if ids else self._random.generate_span_id()

    provider = TracerProvider(resource=Resource.create({"service.name": "antiphon"}), id_generator=TaskIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    database = settings.database_url.get_secret_value()
    _tracing.seed = database or f"{socket.gethostname()}:{settings.data_dir.absolute()}"
    _tracing.provider, _tracing.content = provider, settings.telemetry.content
    _tracing.tracer = provider.get_tracer("antiphon")


def stop_tracing() -> None:
    """Send what is left (for two seconds at most) and switch off."""
    provider, _tracing.tracer, _tracing.provider = _tracing.provider, None, None
    if provider is not None:
        provider.force_flush(2000)
        provider.shutdown()


def tracing_of_models() -> tuple[Any, bool] | None:
    """The provider for a model library's own spans and whether they may hold content; None when off."""
    return None if _tracing.provider is None else (_tracing.provider, _tracing.content)


def accepted(task: int, began: datetime, **attributes: str | int) -> None:
    """The root span of a task: its message was accepted. `began` is when it came in."""
    if _tracing.tracer is None:
        return
    token = _next_ids.set(_ids(task))
    try:
        from opentelemetry.context import Context

        span = _tracing.tracer.start_span(
            "inbox", context=Context(), start_time=_nanoseconds(began), attributes={"antiphon.task": task, **attributes}
        )
    finally:
        _next_ids.reset(token)
    span.end()


def waited(task: int, since: datetime | None) -> None:
    """The span from the acceptance of a message to its claim."""
    if _tracing.tracer is not None and since is not None:
        _tracing.tracer.start_span("claim", context=_context(task), start_time=_nanoseconds(since)).end()


@contextmanager
def of_task(name: str, task: int, **attributes: str | int) -> Generator[None]:
    """A span of a task's trace, in whichever process; spans inside of it become its children."""
    if _tracing.tracer is None:
        yield
        return
    with _tracing.tracer.start_as_current_span(
        name, context=_context(task), attributes={"antiphon.task": task, **attributes}, record_exception=False
    ):
        yield


@contextmanager
def span(name: str, **attributes: str | int) -> Generator[None]:
    """A step inside of what is under way."""
    if _tracing.tracer is None:
        yield
        return
    with _tracing.tracer.start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


def _ids(task: int) -> tuple[int, int]:
    digest = hashlib.sha256(f"{_tracing.seed}:{task}".encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def _context(task: int) -> Any:
    from opentelemetry import trace

    trace_id, span_id = _ids(task)
    parent = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(1))
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000_000)
