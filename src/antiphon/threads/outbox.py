"""Delivering replies: in order per channel, once, with back-off, and never one channel blocking another.

A row is marked `sending` before the platform is called. After a crash in that window the row comes back `doubtful`, and
the outbox looks into the channel, trusts the platform's nonce while it lasts, or follows the `doubtful` setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import platform_of
from antiphon.domain.errors import DeliveryError, DeliveryRetry, DeliveryUnsettled, LeaseLost, StoreUnavailable
from antiphon.domain.platforms import Platform
from antiphon.domain.replies import Delivery, OutboxStore
from antiphon.domain.signals import Signals
from antiphon.telemetry import metrics, tracing

log = structlog.stdlib.get_logger(__name__)

SWEEP_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 300.0
STOP_GRACE_SECONDS = 1.0
WAITING_FACTOR = 20
DOUBTFUL = "It may have been delivered before a crash and cannot be checked here"


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """`slots` sends at once; `doubtful` says what to do with a reply that may or may not have arrived."""

    slots: int = 32
    lease_seconds: float = 30.0
    max_attempts: int = 8
    doubtful: Literal["resend", "dead"] = "dead"


class Outbox:
    """The sender's loop for the platforms this process can reach."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        platforms: Mapping[str, Platform],
        signals: Signals,
        clock: Clock,
        owner: str,
        options: OutboxOptions,
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._signals = signals
        self._clock = clock
        self._owner = owner
        self._options = options
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then let the sends under way end."""
        waker = asyncio.create_task(self._wake_on(stop), name="outbox-stop")
        try:
            while not stop.is_set():
                try:
                    claimed = await self.deliver_ready()
                except StoreUnavailable as error:
                    log.warning("outbox.store_unavailable", error=str(error.__cause__ or error))
                    claimed = 0
                if not claimed:
                    await self._signals.wait("replies", SWEEP_SECONDS)
        finally:
            waker.cancel()
            if self._sending:
                await asyncio.wait(self._sending, timeout=STOP_GRACE_SECONDS)
                for task in list(self._sending):
                    task.cancel()

    async def deliver_ready(self) -> int:
        """Claim what is ready, as far as there are free slots, and start sending it. Returns how many."""
        free = self._options.slots - len(self._sending)
        if free <= 0:
            return 0
        deliveries = await self._store.claim(self._owner, free, self._options.lease_seconds, list(self._platforms))
        for delivery in deliveries:
            task = asyncio.create_task(self.deliver(delivery), name=f"reply-{delivery.reply}")
            self._sending.add(task)
            task.add_done_callback(self._sent)
        return len(deliveries)

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while self._sending:
            await asyncio.wait(self._sending)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._signals.notify("replies")

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._signals.notify("replies")

    async def deliver(self, delivery: Delivery) -> None:
        """Deliver one claimed reply and record how it went."""
        platform = self._platforms[platform_of(delivery.channel)]
        with tracing.of_task("outbox", delivery.task, platform=platform.name):
            try:
                await self._record(delivery, await self._try(platform, delivery))
            except LeaseLost:
                log.info("reply.lease_lost", reply=delivery.reply)
            except StoreUnavailable as error:
                # The row stays `sending`; when its lease ends it comes back as doubtful and is looked for.
                log.warning("reply.left_to_lease", reply=delivery.reply, error=str(error.__cause__ or error))

    async def _try(self, platform: Platform, delivery: Delivery) -> _Result:
        try:
            # Shorter than the lease, so that nobody else sends the same reply meanwhile.
            async with asyncio.timeout(self._options.lease_seconds * 0.8):
                return await self._hand_over(platform, delivery)
        except DeliveryError as error:
            return _Dead(error.message)
        except DeliveryRetry as error:
            return _Later(error.message, error.retry_after, doubtful=error.maybe_sent)
        except TimeoutError:
            return _Later("The platform did not answer in time", None, doubtful=True)
        except Exception as error:
            log.exception("reply.unexpected", reply=delivery.reply, platform=platform.name)
            return _Later(f"Unexpected error ({type(error).__name__})", None, doubtful=True)

    async def _hand_over(self, platform: Platform, delivery: Delivery) -> _Result:
        if delivery.native_id:
            await platform.edit(delivery)
            return _Sent(delivery.native_id)
        if delivery.doubtful:
            try:
                found, settled = await platform.find(delivery), platform.limits.reconciles
            except DeliveryUnsettled as error:
                log.warning("reply.unsettled", reply=delivery.reply, reason=error.message)
                found, settled = None, False
            if found is not None:
                # It is there; an edit makes sure that it says the final words (a draft may have been found).
                if platform.limits.drafts:
                    await platform.edit(replace(delivery, native_id=found))
                return _Sent(found)
            if not settled and not self._nonce_known(platform, delivery):
                metrics.REPLIES.labels(platform=platform.name, result="doubtful").inc()
                if self._options.doubtful == "dead":
                    return _Dead(DOUBTFUL)
        return _Sent(await platform.send(delivery))

    def _nonce_known(self, platform: Platform, delivery: Delivery) -> bool:
        """Whether the platform surely still knows the nonce of this reply, so that a resend cannot double it."""
        if delivery.created_at is None:
            return False
        return self._clock.now() - delivery.created_at < platform.limits.nonce_window

    def _allowed(self, result: _Later) -> int:
        """How often it may be tried: more patiently while a platform that is well only asks to wait."""
        asked_to_wait = result.retry_after is not None and not result.doubtful
        return self._options.max_attempts * (WAITING_FACTOR if asked_to_wait else 1)

    async def _record(self, delivery: Delivery, result: _Result) -> None:
        platform = platform_of(delivery.channel)
        match result:
            case _Sent(native_id=native_id):
                await self._store.sent(self._owner, delivery.reply, native_id)
                metrics.REPLIES.labels(platform=platform, result="sent").inc()
                metrics.MESSAGES.labels(platform=platform, direction="out").inc()
            case _Later(reason=reason) if delivery.attempt < self._allowed(result):
                delay = result.retry_after
                if delay is None:
                    delay = min(2.0 ** (delivery.attempt - 1), MAX_BACKOFF_SECONDS)
                # Whoever could not even look is as much in doubt as before.
                doubtful = result.doubtful or delivery.doubtful
                await self._store.later(self._owner, delivery.reply, delay, reason, doubtful=doubtful)
                metrics.REPLIES.labels(platform=platform, result="retry").inc()
                log.info("reply.later", reply=delivery.reply, platform=platform, reason=reason, retry_in=delay)
            case _Later(reason=reason) | _Dead(reason=reason):
                await self._store.dead(self._owner, delivery.reply, reason)
                metrics.REPLIES.labels(platform=platform, result="dead").inc()
                log.error("reply.dead", reply=delivery.reply, platform=platform, reason=reason)


@dataclass(frozen=True, slots=True)
class _Sent:
    native_id: str


@dataclass(frozen=True, slots=True)
class _Later:
    reason: str
    retry_after: float | None
    doubtful: bool


@dataclass(frozen=True, slots=True)
class _Dead:
    reason: str


_Result = _Sent | _Later | _Dead
