"""Connecting to addresses that somebody else named: looked up once, judged, and then those very ones are connected to.

A second look-up could answer differently, a redirect could lead anywhere, and one address can be written in many ways.
So `PinnedTransport` does it for each request of a client, and thereby for each hop of a redirect. Used by
`probes/outside` (addresses of settings and forms) and `commands/speech` (a hub of models and where it redirects to).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from urllib.request import getproxies, proxy_bypass

import httpx2

from antiphon.domain.errors import Forbidden

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Judge = Callable[[httpx2.URL, IP | None], str]
"""Why a request is not made to an address, in words, or "". None stands for an address that a proxy looks up."""

_CLOUDS = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
"""Where clouds keep credentials outside of the link-local range."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_forbidden(ip: IP) -> bool:
    """Whether nobody is sent there: link-local addresses (where clouds keep their credentials) and what is no host."""
    ip = _meant(ip)
    if ip.is_loopback:
        return False  # before `is_reserved`, which counts ::1
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip in _CLOUDS


def is_public(ip: IP) -> bool:
    """Whether it lies in the internet, and not in this machine or a network behind it."""
    ip = _meant(ip)
    local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not local and not is_forbidden(ip)


def _meant(ip: IP) -> IP:
    """The IPv4 address that one of version 6 stands for, if it does."""
    if isinstance(ip, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None
        return ip.ipv4_mapped or ip.sixtofour or last or ip
    return ip


async def addresses_of(host: str, port: int | None) -> list[str]:
    """Where a host is, each address once. Raises `socket.gaierror`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def ip_of(text: str) -> IP:
    """An address in numbers. `ValueError`."""
    return ipaddress.ip_address(text.partition("%")[0])


def here_too(url: httpx2.URL, ip: IP | None) -> str:
    """The rule for what people enter: models and servers often run on this machine or in its network."""
    del url
    return "addresses of this kind are not asked" if ip is not None and is_forbidden(ip) else ""


def only_public(own: str) -> Judge:
    """The rule for what others name: https, and the internet. The server `own`, which the settings name, may be reached
    by http and in a network here too."""
    known = _origin(httpx2.URL(own))

    def judge(url: httpx2.URL, ip: IP | None) -> str:
        if _origin(url) == known:
            return here_too(url, ip)
        if url.scheme != "https":
            return f"{url.host} is not asked without https"
        if ip is not None and not is_public(ip):
            return f"{url.host} does not lie in the internet"
        return ""

    return judge


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Sends each request to an address that was judged. Raises `Forbidden` with the reason when it may not.

    With `proxies`, the proxies that the environment names are used; they look names up themselves, so only the address
    itself is judged then, and numbers in it.
    """

    def __init__(self, judge: Judge, *, proxies: bool = False) -> None:
        self._judge = judge
        self._proxies = proxies
        # One connection for each request: two names may share an address, and not what one of them proved.
        self._limits = httpx2.Limits(max_keepalive_connections=0)
        self._direct = httpx2.AsyncHTTPTransport(limits=self._limits)
        self._by_proxy: dict[str, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it. The name stays in the header and in the certificate that is asked for."""
        url = request.url
        host = url.raw_host.decode("ascii")
        if (proxy := self._proxy(url, host)) is not None:
            self._check(url, _number(host))
            return await proxy.handle_async_request(request)
        try:
            addresses = await addresses_of(host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"{host} is not found") from error
        for address in addresses:
            self._check(url, ip_of(address))
        for address in addresses:
            pinned = httpx2.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._direct.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == addresses[-1]:
                    raise
                # "localhost" has two addresses, and many servers listen on one of them
        raise httpx2.ConnectError(f"{host} has no address")

    def _check(self, url: httpx2.URL, ip: IP | None) -> None:
        if why := self._judge(url, ip):
            raise Forbidden(why)

    def _proxy(self, url: httpx2.URL, host: str) -> httpx2.AsyncHTTPTransport | None:
        if not self._proxies or proxy_bypass(host) or not (address := getproxies().get(url.scheme)):
            return None
        if address not in self._by_proxy:
            self._by_proxy[address] = httpx2.AsyncHTTPTransport(proxy=address, limits=self._limits)
        return self._by_proxy[address]

    async def aclose(self) -> None:
        """Close what is open."""
        for transport in (self._direct, *self._by_proxy.values()):
            await transport.aclose()


def _number(host: str) -> IP | None:
    """The address when a host is written in numbers, also in those that only old libraries read."""
    try:
        return ip_of(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
