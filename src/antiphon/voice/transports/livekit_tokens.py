"""Tokens of a LiveKit server: what a person's page and the agent each need to enter one room, and nothing more.

A token is a signed text and is made here without asking the server. `api` hands one to a page (`GET /token`),
`livekit` makes its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

MICROPHONE = "microphone"
ENTER_SECONDS = 600
"""A token is good for entering during this time; who is in the room stays in."""
CLOCKS_APART_SECONDS = 10


@dataclass(frozen=True, slots=True)
class LiveKitAccess:
    """Where the server is and what opens it. `secret` never leaves the program."""

    url: str
    key: str
    secret: str

    def person_token(self, room: str, identity: str, name: str = "") -> str:
        """For a person's page: enter this one room, listen, speak through a microphone, and send data beside it."""
        return self._token(room, identity, name, kind="standard")

    def agent_token(self, room: str, identity: str, name: str) -> str:
        """For the agent: the same rights, and the others see that it is no person."""
        return self._token(room, identity, name, kind="agent")

    def service_token(self, room: str) -> str:
        """For us as the server's owner: see who is in this room, and show somebody out."""
        return self._sign({"video": {"roomAdmin": True, "room": room}})

    def _token(self, room: str, identity: str, name: str, *, kind: str) -> str:
        grants = {
            "room": room,
            "roomJoin": True,
            "canSubscribe": True,
            "canPublish": True,
            "canPublishSources": [MICROPHONE],
            "canPublishData": True,
            "canUpdateOwnMetadata": False,
        }
        return self._sign({"sub": identity, "name": name or identity, "kind": kind, "video": grants})

    def _sign(self, claims: dict[str, object]) -> str:
        now = int(time.time())
        valid = {"iss": self.key, "nbf": now - CLOCKS_APART_SECONDS, "exp": now + ENTER_SECONDS}
        return jwt.encode({**valid, **claims}, self.secret, algorithm="HS256")
