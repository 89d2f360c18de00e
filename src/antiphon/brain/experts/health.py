"""Whether the experts can be reached, for people; and which model servers run on this machine, to offer them.

`run.wiring` shows `parts` and keeps `watch` running in a worker. A check only lists a server's models, which costs
nothing. A local server is never used unless a person sets it.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog

from antiphon.brain.experts.breaker import BreakerState
from antiphon.brain.experts.registry import Expert, Experts
from antiphon.config.experts import DEFAULT_EXPERT
from antiphon.config.providers import PROVIDERS, Provider
from antiphon.domain.health import PartHealth, PartState

log = structlog.stdlib.get_logger(__name__)

_CHECK_SECONDS = 5.0
_LOOK_SECONDS = 0.3
_LOOKED_FOR = 30.0
"""Seconds a look around this machine counts."""
_MOST_BYTES = 1_000_000
_CONNECT = (
    "for a real assistant set ANTIPHON_MODEL=openai:gpt-4o-mini and OPENAI_API_KEY, "
    "or ANTIPHON_MODEL_URL for a local server"
)


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server found on loopback."""

    provider: str
    url: str
    models: tuple[str, ...]

    @property
    def how_to_use(self) -> str:
        """The settings that make it answer."""
        model = f"ANTIPHON_MODEL={self.provider}:{self.models[0] if self.models else 'NAME'}"
        usual = PROVIDERS[self.provider].base_url == self.url
        return model if usual else f"{model} and ANTIPHON_MODEL_URL={self.url}"


class ExpertHealth:
    """One per process. `own_port` is ours, and not looked at."""

    def __init__(self, experts: Experts, *, every: float, own_port: int) -> None:
        self._experts = experts
        self._every = every
        self._own_port = own_port
        self._found: tuple[float, Sequence[LocalServer]] | None = None

    async def parts(self) -> list[PartHealth]:
        """A part for each expert, or one that says how to get one."""
        if self._experts:
            return [self._part(expert) for expert in self._experts.all.values()]
        found = await self.local_servers()
        if not found:
            return [PartHealth("model", PartState.OFF, "the offline model answers", _CONNECT)]
        there = "; ".join(_described(server) for server in found)
        return [
            PartHealth(
                "model",
                PartState.OFF,
                f"the offline model answers. On this machine, not used: {there}",
                f"to use it set {found[0].how_to_use} and start again",
            )
        ]

    def _part(self, expert: Expert) -> PartHealth:
        name = "model" if expert.name == DEFAULT_EXPERT else f"model {expert.name}"
        then = ", then ".join([*(other.name for other in self._experts.chain(expert)[1:]), "the offline model"])
        if expert.failure is not None:
            words = f"{expert.label}: {expert.failure.reason}"
            if expert.breaker.state is BreakerState.OPEN:
                words += f"; left alone for {expert.breaker.seconds_left:.0f} s"
            return PartHealth(name, PartState.DEGRADED, f"{words}; meanwhile {then}", expert.failure.remedy)
        asked = "" if expert.answered else " (not asked yet)"
        return PartHealth(name, PartState.OK, f"{expert.label}{asked}, then {then}")

    async def watch(self, stop: asyncio.Event) -> None:
        """Check those that did not answer lately, until `stop` is set."""
        if not self._experts or not self._every:
            return
        while not stop.is_set():
            await asyncio.gather(*(self._check(expert) for expert in self._experts.all.values()))
            try:
                async with asyncio.timeout(self._every):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _check(self, expert: Expert) -> None:
        """One expert. What answers turns needs no check; what is left alone is tried again once it is back."""
        if expert.answered and expert.failure is None:
            return
        from antiphon.brain.experts.failures import Failure, Kind  # late: a second of imports
        from antiphon.brain.experts.probe import list_models

        found = await list_models(expert.choice, _CHECK_SECONDS)
        if isinstance(found, Failure):
            # Anything else than these two only says that it lists no models, which it need not.
            if found.kind in (Kind.KEY, Kind.UNREACHABLE) and expert.breaker.state is BreakerState.CLOSED:
                expert.failed(found)
                log.warning("expert.unwell", expert=expert.name, model=expert.label, reason=found.reason)
        elif expert.failure is None:
            expert.answered = True
        elif expert.failure.kind in (Kind.KEY, Kind.UNREACHABLE, Kind.FIRST_TOKEN, Kind.STALLED):
            expert.breaker.reachable_again()

    async def local_servers(self) -> Sequence[LocalServer]:
        """The model servers on loopback, looked for at most every half minute."""
        if self._found is None or time.monotonic() - self._found[0] > _LOOKED_FOR:
            looked = [provider for provider in PROVIDERS.values() if provider.port not in (0, self._own_port)]
            found = await asyncio.gather(*(asyncio.to_thread(_look, provider) for provider in looked))
            self._found = time.monotonic(), [server for server in found if server is not None]
        return self._found[1]


def _look(provider: Provider) -> LocalServer | None:
    url = f"http://127.0.0.1:{provider.port}/v1"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/models", timeout=_LOOK_SECONDS) as answer:
            body: object = json.loads(answer.read(_MOST_BYTES))
    except (OSError, ValueError):
        return None
    rows = cast("dict[str, Any]", body).get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        return None
    names = [
        str(cast("dict[str, Any]", row)["id"])[:200]
        for row in cast("list[object]", rows)
        if isinstance(row, dict) and "id" in row
    ]
    return LocalServer(provider.name, url, tuple(names))


def _described(server: LocalServer) -> str:
    shown = ", ".join(server.models[:3]) + (" and more" if len(server.models) > 3 else "")
    return f"{server.provider} at {server.url}" + (f" with {shown}" if shown else ", without models")
