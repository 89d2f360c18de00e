"""Which commits wait for the disk: everything but leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.store.db import Tx
    from antiphon.store.stores import Stores

WAITING = {"on": True, "off": False, 2: True, 1: False}


def waits(tx: Tx) -> bool:
    """What the engine itself says of the transaction in progress."""
    return WAITING[tx.value("SHOW synchronous_commit" if tx.postgres else "PRAGMA synchronous")]


async def test_only_leases_do_not_wait_for_the_disk(stores: Stores) -> None:
    answers = []
    for _ in range(2):
        answers.append(await stores.database.run(waits))
        answers.append(await stores.database.run_unsynced(waits))
    answers.append(await stores.database.run(waits))
    assert answers == [True, False, True, False, True]
