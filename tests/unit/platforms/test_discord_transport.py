"""With a simulated Discord nothing outside of this machine can be reached, by no name and by no number."""

from __future__ import annotations

import aiohttp
import pytest

from antiphon.config.discord import DiscordSettings
from antiphon.platforms.discord.transport import open_connector


@pytest.mark.parametrize("url", ["https://192.0.2.1/", "http://[2001:db8::1]/", "https://discord.com.example.org/"])
async def test_nothing_outside_is_reached(url: str) -> None:
    async with aiohttp.ClientSession(connector=open_connector(DiscordSettings(loopback=9))) as http:
        with pytest.raises(aiohttp.ClientConnectorError, match=r"outside of this machine|no.* address of Discord"):
            await http.get(url)
