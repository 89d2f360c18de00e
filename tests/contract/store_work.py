"""What the store's contract tests say and do again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from antiphon.domain.approvals import ApproverRule, PauseRequest
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.identity import Sender
from antiphon.domain.work import Lease, Outcome, Pause, TaskState, Usage, Work

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

AT = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
OWNER = "worker-1"


def discord(native_id: str, text: str = "hello", *, channel: str = "discord:c1", **more: Any) -> InboundMessage:
    """A message somebody wrote in Discord."""
    more.setdefault("sender", Sender(native_id="u1", name="Ada"))
    return InboundMessage(
        platform="discord", receiver="bot", channel=channel, native_id=native_id, text=text, at=AT, **more
    )


def web(native_id: str, person: int, text: str = "hello", *, channel: str = "web:c1", **more: Any) -> InboundMessage:
    """A message a signed-in person wrote in the browser."""
    return InboundMessage(
        platform="web",
        channel=channel,
        native_id=native_id,
        sender=Sender(native_id="", name="Ada"),
        text=text,
        at=AT,
        person=person,
        **more,
    )


def done(text: str = "answer", **more: Any) -> Outcome:
    """A turn that ended well."""
    return Outcome(TaskState.DONE, text, (text,) if text else (), **more)


def asking(*hashes: str, expires: datetime = AT + timedelta(minutes=10), text: str = "") -> Pause:
    """A turn that asks for one approval per given argument hash."""
    return Pause(
        snapshot=b"snapshot",
        requests=tuple(
            PauseRequest(
                call_id=f"call-{number}",
                tool="memory.forget_all",
                arguments={"number": number},
                arguments_hash=digest,
                summary=f"Forget everything ({digest})",
                rule=ApproverRule(),
                expires_at=expires,
            )
            for number, digest in enumerate(hashes)
        ),
        text=text,
        parts=(text,) if text else (),
        usage=Usage(requests=1),
    )


async def claimed(stores: Stores, owner: str = OWNER) -> Work:
    """The one task there is to claim."""
    (work,) = await stores.tasks.claim(owner, 10, 30)
    return work


async def started(stores: Stores, native_id: str = "m1", *, channel: str = "discord:c1") -> Lease:
    """A message was received and its task is running."""
    receipt = await stores.inbox.receive(discord(native_id, channel=channel))
    work = next(work for work in await stores.tasks.claim(OWNER, 10, 30) if work.lease.task == receipt.task)
    return work.lease


async def delivered(stores: Stores, *platforms: str) -> list[str]:
    """Deliver everything that is ready, in the order the outbox gives it; the texts."""
    texts: list[str] = []
    while batch := await stores.outbox.claim("sender", 50, 30, platforms or ("discord", "web")):
        for delivery in batch:
            texts.append(delivery.text)
            await stores.outbox.sent("sender", delivery.reply, f"n{delivery.reply}")
    return texts
