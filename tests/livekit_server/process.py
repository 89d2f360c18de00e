"""The server as tests have it: a process they can kill and start again, or the real one that the environment names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from livekit.api import AccessToken, VideoGrants

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 30
ANYWAY = r"rtc/v1|v1 RTC path|data channel .* closed unexpectedly|connection state mismatch .*numFailures: 1\b"
"""What livekit-client says on the console though all is well: of a server that does not speak its newest protocol, as
ours does not; and where it looks after its connection, every four seconds, just while it leaves the room."""


@dataclass(frozen=True)
class LiveKit:
    """Where a LiveKit server is, and what opens it."""

    url: str
    key: str
    secret: str

    def token(self, room: str, identity: str, **grants: Any) -> str:
        """A token for one room, with the rights of a participant unless `grants` says otherwise."""
        video = VideoGrants(room=room, **{"room_join": True, **grants})
        token = AccessToken(self.key, self.secret).with_identity(identity).with_grants(video)
        return token.with_ttl(timedelta(minutes=5)).to_jwt()

    @property
    def settings(self) -> Mapping[str, str]:
        """What makes a server of ours use it."""
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": self.key, "LIVEKIT_API_SECRET": self.secret}


def real_server() -> LiveKit | None:
    """The server of the environment, when there is one."""
    if not (url := os.environ.get("LIVEKIT_URL")):
        return None
    return LiveKit(url, os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])


class LiveKitProcess:
    """The test server in a process of its own. Its port stays the same when it is started again."""

    KEY, SECRET = "devkey", "a secret of the tests, long enough"

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.livekit = LiveKit("", self.KEY, self.SECRET)

    def start(self) -> LiveKit:
        """Start and wait until it listens."""
        command = [sys.executable, "-m", "tests.livekit_server", "--port", str(self._port)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--key", self.KEY, "--secret", self.SECRET],
                cwd=_ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = _stdout(self._process).readline()
        if not line:
            raise AssertionError(f"the LiveKit test server did not start:\n{self._log.read_text()[-2000:]}")
        url: str = json.loads(line)["url"]
        self._port = urlsplit(url).port or 0
        self.livekit = LiveKit(url, self.KEY, self.SECRET)
        return self.livekit

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL as in a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=15)
            _stdout(process).close()


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout
