"""`antiphon up` as a process that can be killed while it speaks. What its one tool does lands in the receiver's log.

Settings come from the environment as for the product; RECEIVER is the receiver's address.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from antiphon.config import Settings, load_settings
from antiphon.run.roles import ROLES, run_role
from antiphon.run.wiring import Extras
from tests.chaos.worker import LoggedTools


@asynccontextmanager
async def with_dice(settings: Settings) -> AsyncGenerator[tuple[Settings, Extras]]:
    async with httpx.AsyncClient(base_url=os.environ["RECEIVER"], timeout=5) as client:
        yield settings, Extras(tools=(LoggedTools(client),))


if __name__ == "__main__":
    run_role(ROLES["up"], load_settings(), beforehand=with_dice)
