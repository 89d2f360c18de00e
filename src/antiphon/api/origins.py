"""Which host names are ours, which browser origins may act with a session's cookie, and what other origins are told.

The Host check stops DNS rebinding (a page of somebody else's name that resolves to this machine); the Origin check
stops other pages from opening WebSockets or posting with the visitor's cookie. Addresses written as numbers cannot be
rebound, so a public bind accepts them.

A console that runs on an origin of its own (`http.allowed_origins`, `console.public_url`) is answered with CORS
headers, below /api only; every other origin gets none, so its pages can read nothing.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from antiphon.config import Settings

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

Scope = dict[str, Any]


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request header (`name` in lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port and brackets; "" when it is not a host at all."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Origins:
    """The rules that follow from the `http` settings."""

    def __init__(self, settings: Settings) -> None:
        http = settings.http
        public = urlsplit(http.public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}".lower() if public.netloc else ""
        self._names = set(_LOOPBACK_NAMES)
        if public.hostname:
            self._names.add(public.hostname)
        self._any_address = not http.loopback
        if self._any_address:
            self._names.add(http.host.lower())
        self._consoles = {_canonical(origin) for origin in http.allowed_origins}
        if settings.console.public_url:
            self._consoles.add(_canonical(origin_of(settings.console.public_url)))

    def host_allowed(self, host: str | None) -> bool:
        """Whether a Host header names this server."""
        name = host_name(host or "")
        if name in self._names:
            return True
        return self._any_address and _is_address(name)

    def origin_allowed(self, scope: Scope) -> bool:
        """Whether the request's Origin, where a browser sent one, is this server's own or the public URL's."""
        origin = header(scope, b"origin")
        if origin is None:
            return True
        origin = origin.lower()
        return self._own(origin, scope) or self.other_console(scope) is not None

    def other_console(self, scope: Scope) -> str | None:
        """The request's Origin, as sent, when it is that of a console that runs elsewhere; None for all others."""
        origin = header(scope, b"origin")
        if not self._consoles or origin is None or self._own(origin.lower(), scope):
            return None
        return origin if _canonical(origin) in self._consoles else None

    def _own(self, origin: str, scope: Scope) -> bool:
        if self._public_origin and origin == self._public_origin:
            return True
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        host = (header(scope, b"host") or "").lower()
        return bool(host) and origin == f"{scheme}://{host}"

    def address(self, scope: Scope) -> str:
        """Under which address people reach this server, for links: the public one, else that of this request, whose
        host was checked."""
        if self._public_origin:
            return self._public_origin
        return f"{scope['scheme']}://{header(scope, b'host') or 'localhost'}"


def origin_of(url: str) -> str:
    """The origin of an address: scheme and host, with the port where one is written."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _canonical(origin: str) -> str:
    """An origin in one spelling. The names of this machine itself count as one: a person types any of them."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ""
    host = "localhost" if parts.hostname in _LOOPBACK_NAMES else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether an IP address given as text is this machine's own."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
