"""Trying a LiveKit server: a token is made with key and secret, and the server is asked for its rooms with it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import jwt

from antiphon.domain.health import PartState, Trial
from antiphon.run.probes.outside import ask, host_of

_VALID_SECONDS = 60


async def try_livekit(url: str, key: str, secret: str) -> Trial:
    """Make a token and list rooms. Nothing is changed on the server."""
    if not (url and key and secret):
        return Trial(PartState.OFF, "Address, key and secret are needed together.", "fill in what is missing")
    if not host_of(url):
        return Trial(PartState.DEGRADED, "That is no address.", "it begins with ws://, wss://, http:// or https://")
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    asked = await ask(
        "POST",
        f"{base}/twirp/livekit.RoomService/ListRooms",
        headers={"Authorization": f"Bearer {mint(key, secret)}"},
        body={},
    )
    facts = (("Token", "made and signed"), ("Asked", f"{parts.hostname}"))
    if asked.status == 200:
        return Trial(PartState.OK, "The server answers and accepts the key.", facts=facts)
    if asked.status in (401, 403):
        return Trial(PartState.DEGRADED, "The server refuses key or secret.", "compare them with livekit.yaml", facts)
    detail = asked.why or f"The server answered HTTP {asked.status}; it may not be LiveKit."
    return Trial(PartState.DEGRADED, detail, "check the address, and that the server runs", facts)


def mint(key: str, secret: str) -> str:
    """An access token that may list rooms for a minute."""
    now = int(time.time())
    claims = {"iss": key, "nbf": now - 10, "exp": now + _VALID_SECONDS, "video": {"roomList": True}}
    return jwt.encode(claims, secret, algorithm="HS256")
