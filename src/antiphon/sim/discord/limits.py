"""The numbers a deployment of Discord is set to, gathered so that a test can make them small.

Discord publishes few of them ("rate limits should not be hard coded", docs, Rate Limits); the per-route ones are those
that its headers have been seen to announce.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1024 * 1024

_ROUTES: dict[str, tuple[int, float]] = {
    "POST /channels/{}/messages": (5, 5.0),
    "PATCH /channels/{}/messages/{}": (5, 5.0),
    "DELETE /channels/{}/messages/{}": (5, 1.0),
    "GET /channels/{}/messages": (5, 5.0),
    "POST /channels/{}/messages/bulk-delete": (1, 3.0),
    "POST /channels/{}/typing": (5, 5.0),
    "PUT /channels/{}/messages/{}/reactions/{}/{}": (1, 0.25),
    "DELETE /channels/{}/messages/{}/reactions/{}/{}": (1, 0.25),
    "POST /channels/{}/threads": (10, 10.0),
    "POST /channels/{}/messages/{}/threads": (10, 10.0),
    "PUT /applications/{}/commands": (10, 20.0),
    "PUT /applications/{}/guilds/{}/commands": (10, 20.0),
    "PATCH /channels/{}": (10, 15.0),
    "PATCH /users/@me": (2, 3600.0),
    "POST /webhooks/{}/{}": (5, 2.0),
}


@dataclass(slots=True)
class Limits:
    """What the simulated Discord allows."""

    routes: dict[str, tuple[int, float]] = field(default_factory=lambda: dict(_ROUTES))
    """Requests and seconds per bucket, by method and path with `{}` for each id."""
    other_routes: tuple[int, float] = (50, 10.0)
    global_per_second: int = 50
    """Source: docs, Rate Limits, "Global Rate Limit"."""
    invalid_requests: int = 10_000
    """Answers 401, 403 and 429 per 10 minutes. Source: docs, Rate Limits, "Invalid Request Limit"."""
    invalid_window: float = 600.0
    gateway_sends: int = 120
    """Per 60 seconds and connection. Source: docs, Gateway, "Rate Limiting"."""
    gateway_payload: int = 4096
    """Bytes of one payload to the gateway. Source: docs, Gateway, "Sending Events"."""
    heartbeat_interval: float = 41.25
    """Seconds. Source: docs, Gateway, "Hello Event" (the example's value)."""
    identify_every: float = 5.0
    """Source: docs, Gateway, "Rate Limiting" (`max_concurrency` identifies per 5 seconds)."""
    max_concurrency: int = 1
    session_starts: int = 1000
    """Per 24 hours. Source: docs, Gateway, "Session Start Limit Object"."""
    shard_guilds: int = 2500
    """Guilds that one shard may hold. Source: docs, Gateway, "Sharding"."""
    session_kept: float = 120.0
    """Seconds a session can be resumed after its connection ended. Discord names no number."""
    session_buffer: int = 10_000
    """Events kept for a resume."""
    nonce_kept: float = 300.0
    """Source: docs, Message, "Create Message": `enforce_nonce` looks back "the past few minutes"."""
    upload: int = 10 * MIB
    """Source: docs, Reference, "Uploading Files" (without boosts)."""
    request: int = 25 * MIB
    acknowledge_within: float = 3.0
    """Source: docs, Receiving and Responding, "Interaction Response": an initial response within 3 seconds."""
    interaction_token: float = 900.0
    """Source: docs, Receiving and Responding, "Followup Messages": tokens are valid for 15 minutes."""

    def route(self, key: str) -> tuple[int, float]:
        return self.routes.get(key, self.other_routes)
