"""Logins: the last owner stays, two at once too; sessions without a row get one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.errors import Conflict
from antiphon.domain.identity import Role

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def test_the_last_owner_can_be_neither_demoted_nor_locked_out(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    for change in (stores.users.set_role(owner.id, Role.MEMBER), stores.users.disable(owner.id)):
        with pytest.raises(Conflict):
            await change
    second = await stores.users.create("second", Role.OWNER)
    results = await asyncio.gather(
        stores.users.disable(owner.id), stores.users.set_role(second.id, Role.MEMBER), return_exceptions=True
    )
    assert sorted(type(result).__name__ == "Conflict" for result in results) == [False, True]
    owners = [user for user in await stores.users.all() if user.role is Role.OWNER and user.active]
    assert len(owners) == 1
