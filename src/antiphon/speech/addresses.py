"""Addresses of speech servers, `host:port`, as engines are told them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from antiphon.domain.speech import EngineState, EngineStatus

_LOOK_SECONDS = 1.0
USUAL_PORTS: Mapping[str, Mapping[str, int]] = {
    "stt": {"riva": 50051, "wyoming": 10300},
    "tts": {"riva": 50052, "wyoming": 10200},
}
"""Where servers listen when an address names no port."""


def split_address(value: str, usual_port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port` or `[host]:port`. Raises `ValueError`."""
    host, colon, port = value.rpartition(":")
    if not colon or value.endswith("]"):
        host, port = value, ""
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or (colon and port and not port.isdigit()) or not 0 < int(port or usual_port) < 65536:
        raise ValueError(f"{value!r} is not of the form host:port")
    return host, int(port or usual_port)


def _address(value: str) -> str:
    split_address(value, 1)
    return value


Address = Annotated[str, AfterValidator(_address)]


async def reachable(engine: str, host: str, port: int) -> EngineStatus:
    """Whether something listens at an address. Never raises."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return EngineStatus(
            engine,
            EngineState.BROKEN,
            f"Nothing answers at {where}.",
            "start that server, or set its address in speech.engines",
        )
    writer.close()
    return EngineStatus(engine, EngineState.READY, f"A server answers at {where}.")
