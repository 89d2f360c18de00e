"""Every figure Antiphon reports, each declared here once and documented in docs/reference/metrics.md.

The part where something happens counts it (`metrics.MESSAGES.labels(platform="web", direction="in").inc()`); `api`
serves `render()` at /metrics. Labels take few values on purpose: no channel, person or id is ever a label.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    exposition,
)

REGISTRY = CollectorRegistry(auto_describe=True)
"""Our own registry, so that a library that registers with the global one adds nothing unasked."""

MESSAGES = Counter(
    "antiphon_messages",
    "Messages taken in (in) and replies handed to a platform (out).",
    ("platform", "direction"),
    registry=REGISTRY,
)
TASKS = Counter("antiphon_tasks", "Tasks that reached a state, by that state.", ("state",), registry=REGISTRY)
START_LATENCY = Histogram(
    "antiphon_start_latency_seconds",
    "Time from the acceptance of a message to the start of its turn.",
    buckets=(0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
TURN_SECONDS = Histogram(
    "antiphon_turn_seconds",
    "Wall time of one turn of the brain, tools included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
    registry=REGISTRY,
)
TOOL_CALLS = Counter(
    "antiphon_tool_calls", "Tool calls that ended, by their status.", ("tool", "status"), registry=REGISTRY
)
REPLIES = Counter(
    "antiphon_replies",
    "Attempts to deliver a reply: sent, retry, dead, and doubtful (may have arrived before a crash).",
    ("platform", "result"),
    registry=REGISTRY,
)
HTTP_REQUESTS = Counter(
    "antiphon_http_requests", "Requests answered, by route pattern and status.", ("route", "status"), registry=REGISTRY
)
LISTENERS = Gauge("antiphon_listeners", "Open event streams (SSE and WebSocket) of this process.", registry=REGISTRY)

VOICE_SESSIONS = Gauge(
    "antiphon_voice_sessions", "Spoken sessions that go on in this process.", ("transport",), registry=REGISTRY
)
VOICE_ENDED = Counter(
    "antiphon_voice_sessions_ended", "Spoken sessions that ended, by the reason.", ("reason",), registry=REGISTRY
)
VOICE_LATENCY = Histogram(
    "antiphon_voice_latency_seconds",
    "Parts of the time a person waited for a spoken answer.",
    ("part",),
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20),
    registry=REGISTRY,
)
VOICE_TURNS = Counter(
    "antiphon_voice_turns",
    "Spoken answers: heard to the end (whole), interrupted, or failed.",
    ("result",),
    registry=REGISTRY,
)

TOKENS = Counter("antiphon_tokens", "Tokens of turns: input and output.", ("direction",), registry=REGISTRY)
COST = Counter("antiphon_cost", "Cost of turns by the price table, in its currency.", registry=REGISTRY)
LIMITS = Counter(
    "antiphon_limits",
    "Turns in which a daily limit was near (soft) or reached (hard), by whose limit it was.",
    ("whose", "kind"),
    registry=REGISTRY,
)
EXPERT_ATTEMPTS = Counter(
    "antiphon_expert_attempts",
    "Requests to an expert that ended: ok, failed, or stopped (a person or a limit ended the turn).",
    ("expert", "result"),
    registry=REGISTRY,
)
EXPERT_FAILURES = Counter(
    "antiphon_expert_failures",
    "Failures of an expert by kind; those of health checks too.",
    ("expert", "kind"),
    registry=REGISTRY,
)
EXPERT_BREAKER = Gauge(
    "antiphon_expert_breaker",
    "Whether an expert is asked: 0 closed (yes), 1 half open (one message tries it), 2 open (no).",
    ("expert",),
    registry=REGISTRY,
)
EXPERT_FIRST_TOKEN = Histogram(
    "antiphon_expert_first_token_seconds",
    "Time from a request to the first sign of its answer.",
    ("expert",),
    buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30, 60),
    registry=REGISTRY,
)
ROUTES = Counter(
    "antiphon_routes",
    "Decisions of the router, by the expert chosen and by what decided.",
    ("expert", "by"),
    registry=REGISTRY,
)

LOG_LINES_LOST = Counter(
    "antiphon_log_lines_lost",
    "Log lines that did not reach a file, a syslog server or an OTLP receiver.",
    ("target",),
    registry=REGISTRY,
)
DASHBOARD_UPDATES = Counter(
    "antiphon_dashboard_updates", "Times a panel was posted or edited on a platform.", ("panel",), registry=REGISTRY
)
SPEECH_FALLBACKS = Counter(
    "antiphon_speech_fallbacks",
    "Times the next speech engine stepped in for one that failed, by which failed.",
    ("kind", "engine"),
    registry=REGISTRY,
)
SPEECH_RESTARTS = Counter(
    "antiphon_speech_restarts",
    "Times the process of a speech engine was started again after it had ended.",
    ("engine",),
    registry=REGISTRY,
)

SPEECH_CALLS = Counter(
    "antiphon_speech_calls",
    "Calls of the speech services that ended: ok, refused (a fault of the caller), full, cancelled, failed.",
    ("service", "protocol", "result"),
    registry=REGISTRY,
)
SPEECH_OPEN = Gauge(
    "antiphon_speech_open",
    "Calls of the speech services under way; each holds a decoder or a voice.",
    ("service", "protocol"),
    registry=REGISTRY,
)
SPEECH_AUDIO = Counter(
    "antiphon_speech_audio_seconds",
    "Seconds of audio the speech services took or gave.",
    ("service",),
    registry=REGISTRY,
)
DISCORD_CALLS = Counter(
    "antiphon_discord_api_calls",
    "Requests to Discord's REST API, by route pattern and status; lost means that no answer came.",
    ("route", "status"),
    registry=REGISTRY,
)
DISCORD_EVENTS = Counter(
    "antiphon_discord_events", "Dispatches of Discord's gateway, by event.", ("event",), registry=REGISTRY
)
COMMANDS = Counter(
    "antiphon_commands",
    "Commands of people that were answered: ok, or failed.",
    ("platform", "name", "result"),
    registry=REGISTRY,
)

PlatformCollector(registry=REGISTRY)
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def render() -> tuple[bytes, str]:
    """The figures of this process as (body, content type), in Prometheus' text format."""
    return exposition.generate_latest(REGISTRY), exposition.CONTENT_TYPE_LATEST
