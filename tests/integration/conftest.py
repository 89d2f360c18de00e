"""Fixtures of the integration tests: the API of `api_world` over a database of its own for each test, and a Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from antiphon.config import Settings
from tests.integration.api_world import World, a_world
from tests.integration.discord_world import roomy

if TYPE_CHECKING:
    from antiphon.sim.discord import DiscordSim


@pytest.fixture
def engine() -> str:
    """The database engine of a test; `both_engines` gives it another."""
    return "sqlite"


@pytest.fixture
def world_settings(engine: str, request: pytest.FixtureRequest) -> Settings:
    """Settings of one test: a database of its own."""
    return request.getfixturevalue(f"{engine}_settings")


@pytest_asyncio.fixture
async def world(world_settings: Settings) -> AsyncIterator[World]:
    """The API over a fresh database."""
    async with a_world(world_settings) as built:
        yield built


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[DiscordSim]:
    """A simulated Discord whose limits only tests of limits meet."""
    from antiphon.sim.discord import DiscordSim

    async with DiscordSim(limits=roomy()) as started:
        yield started
