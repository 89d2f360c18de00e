"""Where the scripts of the pages find the API: on the pages' own origin, or elsewhere when the console runs alone; and
where the voice page finds a LiveKit server.

Used by `app` for the content policy and for `data-api` in base.html, which `static/js/server.js` reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """The API as one page reaches it. `url` is "" on the pages' own origin."""

    url: str = ""

    @property
    def sources(self) -> str:
        """What `connect-src` must allow for requests and WebSockets."""
        if not self.url:
            return "'self'"
        return f"'self' {self.url} {self.url.replace('http', 'ws', 1)}"

    @property
    def pictures(self) -> str:
        """What `img-src` must allow for files that the API serves."""
        return f"'self' {self.url}".strip()


def room_sources(url: str) -> str:
    """What `connect-src` must allow for a LiveKit server: its WebSocket, and why it refused one."""
    if not url:
        return ""
    parts = urlsplit(url)
    secure = "s" if parts.scheme in ("https", "wss") else ""
    return f"ws{secure}://{parts.netloc} http{secure}://{parts.netloc}"


def api_for(url: str, host: str) -> ApiAddress:
    """The API at `url` for a page asked for under the Host header `host`.

    This machine has several names, and a browser holds them for different sites: a page opened as localhost could not
    use the session of an API called 127.0.0.1. So where both are this machine, the API goes by the page's name.
    """
    if not url:
        return ApiAddress()
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ApiAddress(origin)
    if parts.hostname in _THIS_MACHINE and name in _THIS_MACHINE and name != parts.hostname:
        shown = f"[{name}]" if ":" in name else name
        origin = f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port else "")
    return ApiAddress(origin)
