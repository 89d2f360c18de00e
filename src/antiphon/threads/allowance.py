"""Daily limits, around the brain: the runner and live turns call `MeteredBrain` as they would it.

Sums come from the rows of turns, so they hold across workers and restarts. A turn that began below a limit may end
above it; the next one then finds the limit reached. Near a limit the person is told once a day; when it is reached no
model is called any more, and only what the offline model can do with its tools is still done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from antiphon.config.settings import LimitSettings
from antiphon.domain.clock import Clock
from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.turns import Brain, Final, Paused, TextDelta, ToolFinished, ToolStarted, TurnEvent, TurnRequest
from antiphon.domain.usage import Consumed, Today, UsageStore
from antiphon.domain.work import Usage
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

OFFLINE = "offline"
REACHED = (
    "{whose} for today is used up ({used} of {limit} {unit}), so no language model is asked until midnight UTC, in "
    "{hours}. Your message is kept."
)
NEAR = (
    "(A note: {used} of {limit} {unit} that {whose_may} use today are used. "
    "At the limit only my offline answers go on.)"
)
_WHOSE = {
    "person": ("Your allowance", "you may"),
    "server": ("The allowance of this server", "this server may"),
    "all": ("The allowance of everybody together", "all of us together may"),
}


@dataclass(frozen=True, slots=True)
class _Limit:
    """One daily limit and how much of it is used."""

    whose: str
    unit: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        return self.used / self.limit


class MeteredBrain:
    """Implements `domain.turns.Brain` around another one. `offline` answers when a limit is reached."""

    def __init__(
        self,
        brain: Brain,
        offline: Brain,
        usage: UsageStore,
        clock: Clock,
        limits: LimitSettings,
    ) -> None:
        self._brain = brain
        self._offline = offline
        self._usage = usage
        self._clock = clock
        self._limits = limits
        self._limited = any(limit for _, _, limit in _configured(limits))

    async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """The turn's events."""
        today = await self._today(request) if self._limited else None
        reached = self._highest(today, request) if today is not None else None
        if reached is not None and reached.share >= 1:
            metrics.LIMITS.labels(whose=reached.whose, kind="hard").inc()
            log.warning("limit.reached", whose=reached.whose, unit=reached.unit)
            async with aclosing(self._without_model(request, reached)) as events:
                async for event in events:
                    yield event
            return
        async with aclosing(self._brain.turn(request)) as events:
            async for event in events:
                if isinstance(event, Final):
                    final = event
                    note = self._note(today, request, final.usage)
                    if note:
                        yield TextDelta(f"\n\n{note}")
                        final = replace(final, text=f"{final.text}\n\n{note}", trace={**final.trace, "warned": True})
                    yield final
                else:
                    yield event

    async def _today(self, request: TurnRequest) -> Today | None:
        """None while the database is away: then the turn cannot end either, and is not refused on top."""
        asks = request.requester
        try:
            return await self._usage.today(day_began(self._clock.now()), asks.person, asks.server)
        except StoreUnavailable:
            return None

    def _highest(self, today: Today, request: TurnRequest, more: Consumed | None = None) -> _Limit | None:
        """The limit that is used up the most, counting `more` on top."""
        more = more or Consumed()
        sums = {"person": today.person, "server": today.server, "all": today.all}
        found: list[_Limit] = []
        for whose, unit, limit in _configured(self._limits):
            if limit and (whose != "server" or request.requester.server is not None):
                used = getattr(sums[whose], unit) + getattr(more, unit)
                found.append(_Limit(whose, unit, used, limit))
        return max(found, key=lambda one: one.share, default=None)

    def _note(self, today: Today | None, request: TurnRequest, usage: Usage) -> str:
        """What to say once when this turn came near a limit; "" otherwise."""
        soft = self._limits.soft_share
        if today is None or today.warned or soft >= 1:
            return ""
        more = Consumed(usage.input_tokens + usage.output_tokens, usage.cost, usage.seconds)
        near = self._highest(today, request, more)
        if near is None or near.share < soft:
            return ""
        metrics.LIMITS.labels(whose=near.whose, kind="soft").inc()
        return NEAR.format(
            used=_amount(near.used), limit=_amount(near.limit), unit=near.unit, whose_may=_WHOSE[near.whose][1]
        )

    async def _without_model(self, request: TurnRequest, reached: _Limit) -> AsyncGenerator[TurnEvent, None]:
        """What the offline model can do with a tool is done; everything else is answered with the limit."""
        midnight = day_began(self._clock.now()) + timedelta(days=1)
        left = midnight - self._clock.now()
        words = REACHED.format(
            whose=_WHOSE[reached.whose][0],
            used=_amount(reached.used),
            limit=_amount(reached.limit),
            unit=reached.unit,
            hours=f"{left.seconds // 3600} h {left.seconds % 3600 // 60} min",
        )
        trace: dict[str, object] = {"limit": {"whose": reached.whose, "unit": reached.unit}, "model": OFFLINE}
        useful = request.resume is not None
        held: list[TurnEvent] = []
        async with aclosing(self._offline.turn(request)) as events:
            async for event in events:
                useful = useful or isinstance(event, ToolStarted | ToolFinished | Paused)
                if isinstance(event, Final):
                    break
                if not useful:
                    held.append(event)
                    continue
                for earlier in held:
                    yield earlier
                held.clear()
                yield event
            else:
                return
        if useful:
            note = f"({words})"
            yield TextDelta(f"\n\n{note}")
            yield replace(
                event,
                text=f"{event.text}\n\n{note}",
                usage=replace(event.usage, model=OFFLINE),
                trace={**event.trace, **trace},
            )
            return
        yield TextDelta(words)
        yield Final(words, Usage(model=OFFLINE), trace)


def day_began(now: datetime) -> datetime:
    """Midnight UTC: the day of all limits, wherever people are."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _configured(limits: LimitSettings) -> Sequence[tuple[str, str, float]]:
    """Whose limit, its unit (a field of `Consumed`), and the limit; 0 is none."""
    return (
        ("person", "tokens", limits.person_day_tokens),
        ("person", "cost", limits.person_day_cost),
        ("person", "seconds", limits.person_day_seconds),
        ("server", "tokens", limits.server_day_tokens),
        ("server", "cost", limits.server_day_cost),
        ("server", "seconds", limits.server_day_seconds),
        ("all", "tokens", limits.day_tokens),
        ("all", "cost", limits.day_cost),
        ("all", "seconds", limits.day_seconds),
    )


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
