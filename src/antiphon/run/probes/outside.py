"""Asking one JSON document of a server a person named. The only HTTP client of the probes.

The address comes from a setting or a form, so: the name is looked up once, those very addresses are connected to (a
second look-up could answer differently), link-local addresses (where clouds keep their credentials) are refused,
redirects are not followed, proxies of the environment are not used, and only the first part of an answer is read.
Addresses of this machine and its network are allowed: models and LiveKit often run there.

`refusal` is the same rule for what is asked by clients of its own (models, Redis), which look names up themselves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx2

SECONDS = 5.0
REFUSED = "Addresses of this kind are not asked."
MOST_BYTES = 256 * 1024
_CLOUDS = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
"""Where clouds keep credentials outside of the link-local range."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer: the status (0: none came, `why` says it) and the JSON object in it, empty when there is none."""

    status: int
    document: Mapping[str, object]
    why: str = ""


async def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: object = None, seconds: float = SECONDS
) -> Asked:
    """Ask `url`. Never raises; an answer that is a list is given as {"items": list}."""
    host = host_of(url)
    if not host or not url.startswith(("http://", "https://")):
        return Asked(0, {}, "That is no address.")
    try:
        async with asyncio.timeout(seconds):
            return await _ask(method, url, host, dict(headers or {}), body)
    except TimeoutError:
        return Asked(0, {}, f"It did not answer within {seconds:g} seconds.")
    except PermissionError:
        return Asked(0, {}, REFUSED)
    except socket.gaierror:
        return Asked(0, {}, "Its name cannot be found.")
    except httpx2.ConnectError as error:
        secure = "certificate" in str(error).lower()
        return Asked(0, {}, "Its certificate is not trusted." if secure else "Nothing answers there.")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        return Asked(0, {}, "It does not answer as expected.")


async def refusal(url: str) -> str:
    """Why the host of `url` may not be asked, in words, or "". A name that is not found is left to who asks it."""
    try:
        async with asyncio.timeout(SECONDS):
            await _addresses(host_of(url), None)
    except PermissionError:
        return REFUSED
    except (OSError, ValueError, TimeoutError):  # whoever asks it meets the same and says so better
        return ""
    return ""


async def _ask(method: str, url: str, host: str, headers: dict[str, str], body: object) -> Asked:
    addresses = await _addresses(host, urlsplit(url).port or (443 if url.startswith("https") else 80))
    target = httpx2.URL(url)
    headers["Host"] = target.netloc.decode("ascii").rpartition("@")[2]
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS) as client:
        for address in addresses:
            pinned = target.copy_with(host=address)
            request = client.build_request(
                method, pinned, headers=headers, json=body, extensions={"sni_hostname": host}
            )
            try:
                answer = await client.send(request, stream=True)
            except httpx2.ConnectError:
                if address == addresses[-1]:
                    raise
                continue  # "localhost" has two addresses, and many servers listen on one of them
            try:
                return await _read(answer)
            finally:
                await answer.aclose()
    raise OSError("no address")


async def _read(answer: httpx2.Response) -> Asked:
    raw = bytearray()
    async for chunk in answer.aiter_bytes():
        raw += chunk
        if len(raw) > MOST_BYTES:
            return Asked(answer.status_code, {}, "Its answer is too long.")
    return Asked(answer.status_code, _document(bytes(raw)))


async def _addresses(host: str, port: int | None) -> list[str]:
    """Where a host is, each address once. Raises `PermissionError` when one of them is not asked."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        if _is_refused(ipaddress.ip_address(text.partition("%")[0])):
            raise PermissionError(text)
    return addresses


def _is_refused(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (_last(ip) if ip in _NAT64 else None)
        if inner is not None:
            return _is_refused(inner)
    if ip.is_loopback:
        return False  # before `is_reserved`, which counts ::1
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip in _CLOUDS


def _last(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)


def _document(raw: bytes) -> Mapping[str, object]:
    try:
        document: object = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list):
        return {"items": cast("list[object]", document)}
    return cast("Mapping[str, object]", document) if isinstance(document, dict) else {}


def host_of(url: str) -> str:
    """The host in an address, or "" when it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def name_of(value: object) -> str:
    """A name the other side gave, short and printable."""
    return "".join(char for char in str(value or "") if char.isprintable())[:80]
