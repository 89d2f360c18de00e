"""The experts of the settings: each with its model, its breaker, and what happened to it lately.

One registry per process, shared by all turns. `failover` asks the experts, `health` shows and checks them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from antiphon.brain.experts.breaker import Breaker, BreakerState
from antiphon.brain.models import ModelChoice, choose, choose_model
from antiphon.config.experts import DEFAULT_EXPERT, ExpertSettings, RoutingSettings
from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError
from antiphon.telemetry import metrics

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from antiphon.brain.experts.failures import Failure

log = structlog.stdlib.get_logger(__name__)

FIRST_TOKEN = 5.0
"""Seconds to the first sign of an answer while another expert can step in."""
FIRST_TOKEN_ALONE = 30.0
"""The same when only the offline model is left: a local server may have to load the model first."""
FIRST_TOKEN_SPOKEN = 1.5
"""The same while a person listens and another expert can step in."""
_STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


@dataclass(frozen=True, slots=True)
class Profile:
    """What the settings say about an expert beside its model."""

    name: str
    description: str = ""
    examples: Sequence[str] = ()
    channels: Sequence[str] = ()
    fallback: Sequence[str] = ()
    first_token_seconds: float = 0.0
    total_seconds: float = 60.0
    max_output_tokens: int = 0
    parallel: int = 0

    @classmethod
    def of(cls, settings: ExpertSettings) -> Profile:
        """The same, out of the settings."""
        return cls(
            name=settings.name,
            description=settings.description,
            examples=settings.examples,
            channels=settings.channels,
            fallback=settings.fallback,
            first_token_seconds=settings.first_token_seconds,
            total_seconds=settings.total_seconds,
            max_output_tokens=settings.max_output_tokens,
            parallel=settings.parallel,
        )


@dataclass(eq=False)
class Expert:
    """One language model that can be asked."""

    profile: Profile
    choice: ModelChoice
    breaker: Breaker
    failure: Failure | None = None
    """What went wrong last; None once it has answered again."""
    answered: bool = False
    """Whether it has ever answered, or been found well, in this process."""
    _model: Model | None = None
    _places: asyncio.Semaphore | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.profile.parallel:
            self._places = asyncio.Semaphore(self.profile.parallel)

    @property
    def name(self) -> str:
        """The word people and other settings use."""
        return self.profile.name

    @property
    def label(self) -> str:
        """The model in people's words."""
        return self.choice.label

    def model(self) -> Model:
        """The model, built with the first use. Raises `ConfigError` when its library or file is missing."""
        if self._model is None:
            self._model = self.choice.build()
        return self._model

    async def close(self) -> None:
        """Close its connections."""
        if self._model is not None:
            from antiphon.brain.experts.clients import close_client

            await close_client(self._model)

    def place(self) -> AbstractAsyncContextManager[object]:
        """One of the requests it may have at the same time; waits until one is free."""
        return self._places or nullcontext()

    def first_token_seconds(self, *, spoken: bool, last: bool) -> float:
        """How long to wait for its first sign. `last`: only the offline model could step in."""
        if self.profile.first_token_seconds:
            return self.profile.first_token_seconds
        if last:
            return FIRST_TOKEN_ALONE
        return FIRST_TOKEN_SPOKEN if spoken else FIRST_TOKEN

    def went_well(self) -> None:
        """It answered, or was found well."""
        if self.failure is not None:
            log.info("expert.well_again", expert=self.name, model=self.label)
        self.failure, self.answered = None, True
        self.breaker.good()
        self._show()

    def failed(self, failure: Failure) -> None:
        """It failed. Not every failure is held against it: see `Failure.counts`."""
        metrics.EXPERT_FAILURES.labels(expert=self.name, kind=failure.kind.value).inc()
        if not failure.counts:
            self.breaker.leave()
            return
        self.failure = failure
        self.breaker.bad(lasting=failure.lasting, retry_after=failure.retry_after)
        self._show()

    def left(self) -> None:
        """The request ended without telling anything about it."""
        self.breaker.leave()

    def _show(self) -> None:
        metrics.EXPERT_BREAKER.labels(expert=self.name).set(_STATES[self.breaker.state])


class Experts:
    """All of them by name, in the order of the settings; empty when only the offline model answers."""

    def __init__(self, experts: Sequence[Expert], default: str = "") -> None:
        self._by_name = {expert.name: expert for expert in experts}
        self.default: Expert | None = self._by_name.get(default) or next(iter(experts), None)
        for expert in experts:
            metrics.EXPERT_BREAKER.labels(expert=expert.name).set(0)

    @classmethod
    def of(cls, settings: Settings, choice: ModelChoice | None = None) -> Experts:
        """The experts of the settings; `choice` stands for the setting `model`. Raises `ConfigError`."""
        routing = settings.routing
        first = choose_model(settings) if choice is None else choice
        found: list[Expert] = []
        if first.configured:
            found.append(_expert(Profile(DEFAULT_EXPERT), first, routing))
        for one in settings.experts:
            key = settings.secret(one.secret) if one.secret else "" if one.base_url else settings.usual_key(one.model)
            where = f"experts.{one.name}."
            chosen = choose(one.model, one.base_url, key, settings.models_path, where=where)
            if not chosen.configured:
                raise ConfigError(
                    source="settings",
                    key=f"{where}model",
                    problem="the offline model is no expert: it is always there",
                    remedy="name a language model",
                )
            found.append(_expert(Profile.of(one), chosen, routing))
        return cls(found, routing.default)

    @property
    def all(self) -> Mapping[str, Expert]:
        """By name."""
        return self._by_name

    def __bool__(self) -> bool:
        return bool(self._by_name)

    async def close(self) -> None:
        """Close all connections."""
        for expert in self._by_name.values():
            await expert.close()

    def chain(self, first: Expert) -> tuple[Expert, ...]:
        """Who is asked, in order: the expert, its fallbacks and theirs; without any, the default and the others."""
        order: dict[Expert, None] = {}

        def add(expert: Expert) -> None:
            if expert not in order:
                order[expert] = None
                for name in expert.profile.fallback:
                    if name in self._by_name:
                        add(self._by_name[name])

        add(first)
        if not first.profile.fallback:
            for other in (self.default, *self._by_name.values()):
                if other is not None:
                    add(other)
        return tuple(order)


def _expert(profile: Profile, choice: ModelChoice, routing: RoutingSettings) -> Expert:
    return Expert(profile, choice, Breaker(routing.breaker_failures, routing.breaker_seconds))
