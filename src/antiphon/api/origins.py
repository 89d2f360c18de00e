"""Which host names are ours and which browser origins may act with a session's cookie.

The Host check stops DNS rebinding (a page of somebody else's name that resolves to this machine); the Origin check
stops other pages from opening WebSockets or posting with the visitor's cookie. Addresses written as numbers cannot be
rebound, so a public bind accepts them.
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


def local_path(target: str | None) -> str:
    """A redirect target when it is a path of this site, else "/". For `next` after signing in."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if "\\" in target or any(ord(character) < 0x21 or ord(character) == 0x7F for character in target):
        return "/"
    return target
