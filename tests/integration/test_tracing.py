"""One trace from the message to its reply, received over OTLP/HTTP; what was said is not in it unless asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest

from antiphon.config import Settings
from antiphon.config.settings import TelemetrySettings
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.identity import Sender
from antiphon.domain.work import Task
from antiphon.run.wiring import open_antiphon
from antiphon.telemetry import tracing

pytest.importorskip("opentelemetry.proto")


@contextmanager
def _receiver() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP/HTTP receiver that keeps what it is sent."""
    bodies: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _talk(settings: Settings, text: str) -> Task:
    """Say one thing and have it answered and delivered."""
    async with open_antiphon(settings, stop=asyncio.Event()) as antiphon:
        person = (await antiphon.stores.users.ensure_owner()).person
        receipt = await antiphon.inbox.receive(
            InboundMessage("web", "web:x", uuid4().hex, Sender("", "Ada"), text, datetime.now(UTC), person=person)
        )
        await antiphon.runner.claim()
        await antiphon.runner.idle()
        for delivery in await antiphon.stores.outbox.claim("tester", 10, 30, ("web",)):
            await antiphon.outbox.deliver(delivery)
        return await antiphon.stores.tasks.get(receipt.task)


async def _traced(settings: Settings, *, content: bool) -> tuple[Task, list, bytes]:  # type: ignore[type-arg]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with _receiver() as (url, bodies):
        telemetry = TelemetrySettings(otlp_endpoint=url, content=content)
        task = await _talk(settings.model_copy(update={"telemetry": telemetry}), "remember that herons are blue")
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return task, spans, b"".join(bodies)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_one_trace_goes_from_the_message_to_its_reply(sqlite_settings: Settings) -> None:
    task, spans, raw = await _traced(sqlite_settings, content=False)
    assert task.reply == "Got it, I'll remember: herons are blue"
    ours = {span.name: span for span in spans if span.name in ("inbox", "claim", "turn", "context", "tool", "outbox")}
    assert set(ours) == {"inbox", "claim", "turn", "context", "tool", "outbox"}
    root = ours["inbox"]
    assert root.parent_span_id == b""
    assert {span.trace_id for span in ours.values()} == {root.trace_id}
    for name in ("claim", "turn", "outbox"):
        assert ours[name].parent_span_id == root.span_id, name
    assert ours["context"].parent_span_id == ours["turn"].span_id
    requests = [span for span in spans if span.name.startswith("chat")]
    assert requests
    assert {span.trace_id for span in requests} == {root.trace_id}
    assert b"heron" not in raw, "what people say is no part of a trace"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_content_is_there_when_it_is_asked_for(sqlite_settings: Settings) -> None:
    _, _, raw = await _traced(sqlite_settings, content=True)
    assert b"heron" in raw


async def test_without_an_endpoint_nothing_is_loaded_or_recorded(sqlite_settings: Settings) -> None:
    assert (await _talk(sqlite_settings, "hello")).reply
    assert tracing.tracing_of_models() is None
    with tracing.span("anything"), tracing.of_task("anything", 1):
        pass
