"""What platforms with servers and gateways keep: positions, settings of servers, events, leases of shards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.conversation import Attachment, ServerRef
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.identity import Sender
from antiphon.domain.platforms import PlatformEvent, SaidLately, ServerDiscord
from antiphon.domain.work import TaskState
from tests.contract.store_work import AT, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

GUILD = ServerRef("discord", "900", "Choir")


async def test_an_account_is_one_person_wherever_it_is_met(stores: Stores) -> None:
    ada = Sender("u1", "Ada")
    person = await stores.platforms.person_of("discord", ada)
    assert await stores.platforms.person_of("discord", replace(ada, name="Ada L.")) == person
    await stores.inbox.receive(discord("m1"))
    assert (await claimed(stores)).requester.person == person
    assert await stores.platforms.person_of("telegram", ada) != person


async def test_settings_of_a_server_are_kept_and_checked(stores: Stores) -> None:
    server = await stores.platforms.server_of(GUILD)
    assert await stores.platforms.server_of(GUILD) == server
    assert await stores.platforms.discord_of("900") == ServerDiscord()
    wanted = ServerDiscord(prefix="?", names=("dex",), channels=("12", "13"), log_channel="logs", threads=True)
    assert await stores.platforms.set_discord(server, wanted) == wanted
    assert await stores.platforms.discord_of("900") == wanted
    assert await stores.platforms.discord_settings(server) == wanted
    with pytest.raises(InvalidInput) as refused:
        await stores.platforms.set_discord(
            server, ServerDiscord(prefix="a b", names=("@everyone",), channels=("general",), log_channel="\n")
        )
    assert set(refused.value.fields) == {"prefix", "names", "channels", "log_channel"}
    assert await stores.platforms.discord_of("900") == wanted
    telegram = await stores.platforms.server_of(ServerRef("telegram", "900"))
    with pytest.raises(NotFound):
        await stores.platforms.set_discord(telegram, wanted)
    with pytest.raises(NotFound):
        await stores.platforms.discord_settings(999_999)


async def test_positions_only_move_forward(stores: Stores) -> None:
    await stores.platforms.advance("discord", "bot", {"discord:1": "90", "discord:2": "7"})
    await stores.platforms.advance("discord", "bot", {"discord:1": "100", "discord:2": "6"})
    await stores.inbox.receive(discord("120", channel="discord:3", cursor="120"))
    assert await stores.platforms.cursors("discord", "bot") == {
        "discord:1": "100",
        "discord:2": "7",
        "discord:3": "120",
    }
    assert await stores.platforms.cursors("discord", "other") == {}


async def test_a_deleted_message_loses_its_words_and_names_its_open_task(stores: Stores) -> None:
    receipt = await stores.inbox.receive(discord("m1", "a secret"))
    assert await stores.platforms.live_tasks("discord:c1", "m1") == [receipt.task]
    assert await stores.platforms.withdraw("discord:c1", "m1", "(deleted)") == [receipt.task]
    work = await claimed(stores)
    assert work.text == "(deleted)"
    await stores.tasks.finish(work.lease, done())
    assert await stores.platforms.withdraw("discord:c1", "m1", "(deleted)") == []
    assert await stores.platforms.withdraw("discord:elsewhere", "m1", "(deleted)") == []


async def test_what_people_said_lately_is_known_with_the_number_of_its_last_edit(stores: Stores) -> None:
    said = stores.platforms.said_since
    await stores.inbox.receive(replace(discord("m1", "one"), server=GUILD))
    await stores.inbox.receive(replace(discord("m1", "two"), server=GUILD, edit=7))
    await stores.inbox.receive(replace(discord("m2", "three"), channel="discord:direct"))
    assert set(await said("discord", AT - timedelta(hours=1), "(deleted)")) == {
        SaidLately("discord:c1", "900", "m1", 7),
        SaidLately("discord:direct", "", "m2", 0),
    }
    assert await said("discord", AT + timedelta(days=900), "(deleted)") == []
    assert await said("telegram", AT - timedelta(hours=1), "(deleted)") == []
    await stores.platforms.withdraw("discord:c1", "m1", "(deleted)")
    assert [one.native_id for one in await said("discord", AT - timedelta(hours=1), "(deleted)")] == ["m2"]


async def test_known_replies_are_told_from_others(stores: Stores) -> None:
    lease = await started(stores)
    await stores.tasks.finish(lease, done())
    await delivered(stores, "discord")
    [known] = [row.native_id for row in await stores.threads.recent("discord:c1", before=None, limit=9)][1:]
    assert known
    assert await stores.platforms.delivered("discord:c1", [known, "other"]) == [known]
    assert await stores.platforms.delivered("discord:c2", [known]) == []


async def test_events_are_kept_once_with_what_is_known_of_them(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", server=GUILD))
    joined = PlatformEvent("discord", "GUILD_MEMBER_ADD", AT, server="900", account="u1", dedupe="join-1")
    nobody = PlatformEvent("discord", "MESSAGE_DELETE", AT, server="901", channel="discord:9", account="u9")
    await stores.platforms.add_events([joined, nobody])
    await stores.platforms.add_events([joined])

    def rows(tx: object) -> list[tuple[object, ...]]:
        return tx.rows(  # type: ignore[attr-defined]
            "SELECT name, server_id IS NULL, account_id IS NULL FROM antiphon_event ORDER BY id"
        )

    found = [
        (name, bool(no_server), bool(no_account)) for name, no_server, no_account in await stores.database.read(rows)
    ]
    assert found == [("GUILD_MEMBER_ADD", False, False), ("MESSAGE_DELETE", True, True)]
    assert await stores.platforms.person_of("discord", Sender("u9", "X")), "an event makes nobody known"


async def test_sound_without_words_is_found(stores: Stores) -> None:
    voice = Attachment("voice-message.ogg", "audio/ogg", 100, "https://cdn.discordapp.com/x.ogg")
    receipt = await stores.inbox.receive(discord("m1", "", attachments=(voice, Attachment("a.png", "image/png", 1))))
    [found] = await stores.platforms.audio_of(receipt.message)
    assert replace(found.attachment, id=0) == voice
    assert await stores.platforms.set_words(receipt.message, found.attachment.id, "hello there") == "hello there"
    assert await stores.platforms.set_words(receipt.message, found.attachment.id, "again") == "hello there"
    assert await stores.platforms.audio_of(receipt.message) == []
    assert (await claimed(stores)).text == "hello there"
    repeat = await stores.inbox.receive(discord("m1", "", attachments=(voice,)))
    assert (repeat.created, repeat.message) == (False, receipt.message)


async def test_a_shard_has_one_holder(stores: Stores, store_clock: FakeClock) -> None:
    leases, names = stores.leases, ["shard 0", "shard 1", "shard 2"]
    assert await leases.hold(names, "a", 2, 10) == ["shard 0", "shard 1"]
    assert await leases.hold(names, "b", 3, 10) == ["shard 2"]
    store_clock.move(seconds=9)
    assert await leases.hold(names, "a", 2, 10) == ["shard 0", "shard 1"]
    store_clock.move(seconds=2)
    assert await leases.hold(names, "c", 3, 10) == ["shard 2"], "b did not renew"
    assert await leases.hold(names, "b", 3, 10) == []
    await leases.release("a")
    assert await leases.hold(names, "b", 3, 10) == ["shard 0", "shard 1"]


async def test_two_that_come_at_once_do_not_both_get_it(stores: Stores) -> None:
    held = await asyncio.gather(*(stores.leases.hold(["shard 0"], f"p{n}", 1, 10) for n in range(20)))
    assert [one for one in held if one] == [["shard 0"]]


async def test_a_draft_does_not_overtake_an_earlier_answer(stores: Stores) -> None:
    first = await started(stores)
    await stores.inbox.receive(discord("m2"))
    await stores.tasks.finish(first, done("one"))
    second = (await claimed(stores)).lease
    assert await stores.outbox.open_draft(second) is None
    await delivered(stores, "discord")
    assert await stores.outbox.open_draft(second) is not None
    assert (await stores.tasks.get(second.task)).state is TaskState.RUNNING
