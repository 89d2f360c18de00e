"""Asking one JSON document of a server a person named. The only HTTP client of the probes.

The address comes from a setting or a form, so: it is connected to as `run.addresses` says, redirects are not followed,
proxies of the environment are not used, and only the first part of an answer is read. Addresses of this machine and its
network are allowed: models and LiveKit often run there.

`refusal` is the same rule for what is asked by clients of its own (models, Redis), which look names up themselves.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx2

from antiphon.domain.errors import Forbidden
from antiphon.run.addresses import PinnedTransport, addresses_of, here_too, ip_of, is_forbidden

SECONDS = 5.0
REFUSED = "Addresses of this kind are not asked."
MOST_BYTES = 256 * 1024


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
            return await _ask(method, url, dict(headers or {}), body)
    except TimeoutError:
        return Asked(0, {}, f"It did not answer within {seconds:g} seconds.")
    except Forbidden:
        return Asked(0, {}, REFUSED)
    except httpx2.ConnectError as error:
        if isinstance(error.__cause__, socket.gaierror):
            return Asked(0, {}, "Its name cannot be found.")
        secure = "certificate" in str(error).lower()
        return Asked(0, {}, "Its certificate is not trusted." if secure else "Nothing answers there.")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        return Asked(0, {}, "It does not answer as expected.")


async def refusal(url: str) -> str:
    """Why the host of `url` may not be asked, in words, or "". A name that is not found is left to who asks it."""
    try:
        async with asyncio.timeout(SECONDS):
            addresses = await addresses_of(host_of(url), None)
        return REFUSED if any(is_forbidden(ip_of(address)) for address in addresses) else ""
    except (OSError, ValueError, TimeoutError):  # whoever asks it meets the same and says so better
        return ""


async def _ask(method: str, url: str, headers: dict[str, str], body: object) -> Asked:
    async with (
        httpx2.AsyncClient(transport=PinnedTransport(here_too), trust_env=False, timeout=SECONDS) as client,
        client.stream(method, url, headers=headers, json=body) as answer,
    ):
        return await _read(answer)


async def _read(answer: httpx2.Response) -> Asked:
    raw = bytearray()
    async for chunk in answer.aiter_bytes():
        raw += chunk
        if len(raw) > MOST_BYTES:
            return Asked(answer.status_code, {}, "Its answer is too long.")
    return Asked(answer.status_code, _document(bytes(raw)))


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
