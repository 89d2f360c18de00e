"""Kinds of values several settings share: addresses, paths, names of models and of secrets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class Part(BaseModel):
    """Base of the sub-trees: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def url_check(*schemes: str) -> Callable[[str], str]:
    """A check for texts that are empty or an address with one of `schemes` and a host; drops a last slash."""
    allowed = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"is not an address that begins with {allowed}")
        return value.rstrip("/")

    return check


def networks(values: tuple[str, ...]) -> tuple[str, ...]:
    """Accept IP addresses and networks, and none that is the whole internet."""
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an IP address or network") from None
        if network.prefixlen == 0:
            raise ValueError(f"{value!r} is the whole internet: anybody could then forge their address")
    return values


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`. A name other than localhost counts as public."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def syslog_address(value: str) -> str:
    """Accept udp://host[:port], tcp://host[:port], unix:///path, and the empty text."""
    if value.startswith("unix:"):
        if not urlsplit(value).path.startswith("/"):
            raise ValueError("is not unix:// and an absolute path")
        return value
    try:
        urlsplit(value).port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("has no valid port") from None
    return url_check("udp", "tcp")(value)


def model_name(value: str) -> str:
    """Accept `provider:model`, and the empty text."""
    provider, colon, name = value.partition(":")
    if value and not (provider and colon and name):
        raise ValueError("is not of the form provider:model")
    return value


def _secret_name(value: str) -> str:
    """The message never repeats the value: somebody may have written the secret itself."""
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise ValueError("is not the name of a variable or of a file in secrets_dir (never write the secret itself)")
    return value


UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
WebUrl = Annotated[str, AfterValidator(url_check("http", "https"))]
ModelName = Annotated[str, AfterValidator(model_name)]
SecretName = Annotated[str, AfterValidator(_secret_name)]
