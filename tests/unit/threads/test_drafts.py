"""A growing answer is one message that is edited at a bounded pace, whatever restarts."""

from __future__ import annotations

import asyncio

from antiphon.bus.signals import LocalSignals
from antiphon.domain.errors import DeliveryError
from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.work import Lease
from antiphon.threads.drafts import DraftWriter
from tests.fakes.outbox import FakeOutbox
from tests.fakes.platform import FakePlatform
from tests.fakes.virtual_time import LoopClock, run_virtually

LEASE = Lease(task=7, owner="me", attempt=1)


def make(*, reconciles: bool = True) -> tuple[FakeOutbox, FakePlatform]:
    limits = PlatformLimits(text=50, drafts=True, draft_interval=1.5, reconciles=reconciles)
    return FakeOutbox(LoopClock(), LocalSignals()), FakePlatform(limits=limits)


def test_one_message_edited_at_most_once_per_interval() -> None:
    async def main() -> None:
        store, platform = make()
        writer = DraftWriter(store, platform, LEASE)
        for n in range(60):
            writer.update("x" * n)
            await asyncio.sleep(0.1)
        await writer.close()
        assert len(platform.texts("telegram:c")) == 1
        assert [what for what, _, _ in platform.calls].count("edit") <= 4

    run_virtually(main())


def test_nothing_is_sent_for_a_turn_without_text() -> None:
    async def main() -> None:
        store, platform = make()
        await DraftWriter(store, platform, LEASE).close()
        assert platform.calls == []
        assert store.rows == {}

    run_virtually(main())


def test_a_replay_edits_the_same_message() -> None:
    async def main() -> None:
        store, platform = make()
        for text in ("first try", "second try"):
            writer = DraftWriter(store, platform, LEASE)
            writer.update(text)
            await asyncio.sleep(2)
            await writer.close()
        assert platform.texts("telegram:c") == ["second try"]

    run_virtually(main())


def test_a_crash_between_sending_and_storing_finds_the_message_again() -> None:
    async def main() -> None:
        store, platform = make()
        draft = await store.open_draft(LEASE)
        await platform.send(draft)  # and then the process dies before `draft_sent`
        writer = DraftWriter(store, platform, LEASE)
        writer.update("after the crash")
        await asyncio.sleep(2)
        await writer.close()
        assert platform.texts("telegram:c") == ["after the crash"]

    run_virtually(main())


def test_where_nobody_can_look_a_doubtful_draft_is_left_to_the_final_delivery() -> None:
    async def main() -> None:
        store, platform = make(reconciles=False)
        await platform.send(await store.open_draft(LEASE))
        writer = DraftWriter(store, platform, LEASE)
        writer.update("after the crash")
        await asyncio.sleep(2)
        await writer.close()
        assert len(platform.texts("telegram:c")) == 1

    run_virtually(main())


def test_a_refusing_platform_does_not_disturb_the_turn() -> None:
    async def main() -> None:
        store, platform = make()
        platform.fail = lambda _: DeliveryError("no permission")
        writer = DraftWriter(store, platform, LEASE)
        writer.update("x")
        await asyncio.sleep(2)
        await writer.close()

    run_virtually(main())


def test_close_waits_for_the_edit_under_way() -> None:
    async def main() -> None:
        store, platform = make()
        platform.seconds = 3
        writer = DraftWriter(store, platform, LEASE)
        writer.update("slow")
        await asyncio.sleep(1)
        await writer.close()
        assert platform.texts("telegram:c") == ["slow"]
        assert next(iter(store.rows.values())).delivery.native_id == "n1"

    run_virtually(main())
