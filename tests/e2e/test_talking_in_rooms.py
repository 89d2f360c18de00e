"""The same conversation through a LiveKit room: the page with the real livekit-client, the agent with the real SDK.

The room is one of the LiveKit server of the tests, or of the real one that LIVEKIT_URL names.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from livekit import api
from playwright.sync_api import Browser, StorageState, expect

from tests.e2e import mouth, talks
from tests.e2e.chat import Watch
from tests.e2e.conftest import sign_in
from tests.e2e.server import Server
from tests.e2e.stage import close, open_stage, transcript
from tests.e2e.utterances import silence, spoken
from tests.fixtures_databases import Migrated
from tests.livekit_server.process import ANYWAY, LiveKit, LiveKitProcess, real_server


@pytest.fixture(scope="module")
def room_server(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated, livekit: LiveKit) -> Iterator[Server]:
    server = Server(migrated(tmp_path_factory.mktemp("rooms")), livekit.settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def room_state(browser: Browser, room_server: Server) -> StorageState:
    return sign_in(browser, room_server)


@pytest.fixture(scope="module")
def client(room_server: Server) -> Iterator[httpx.Client]:
    with room_server.client() as client:
        yield client


def people_in(livekit: LiveKit, room: str) -> set[str]:
    """Who is in a room, as the LiveKit server says. In a thread: Playwright keeps an event loop in this one."""

    async def ask() -> set[str]:
        async with api.LiveKitAPI(livekit.url, livekit.key, livekit.secret) as service:
            found = await service.room.list_participants(api.ListParticipantsRequest(room=room))
            return {person.identity for person in found.participants}

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result(20)


def test_a_question_is_answered_and_interrupted_in_a_room(
    browser_that_says: Callable[..., Browser],
    room_server: Server,
    room_state: StorageState,
    livekit: LiveKit,
    watch: Watch,
    client: httpx.Client,
) -> None:
    watch.allow(ANYWAY)
    browser = browser_that_says(silence(3), spoken(talks.WHAT_CAN_YOU_DO), silence(5))
    stage = open_stage(browser, room_server, room_state, watch)
    stage.choose(room="tower", identity="wren")
    session = stage.begin()
    assert people_in(livekit, "tower") == {"wren", f"agent-{session}"}
    expect(stage.page.locator("#subtitle")).to_contain_text("LiveKit")
    talks.interrupted_answer(stage, client)
    stage.wait("the room to be empty", lambda: not people_in(livekit, "tower"))
    talks.nothing_is_left(stage, client)
    close(stage)


def test_what_is_said_before_the_room_carries_the_microphone_is_heard(
    browser_that_beeps: Browser, room_server: Server, room_state: StorageState, watch: Watch, client: httpx.Client
) -> None:
    watch.allow(ANYWAY)
    stage = open_stage(browser_that_beeps, room_server, room_state, watch, before=mouth.SCRIPT)
    talks.said_before_the_connection(stage, client)
    close(stage)


def test_three_rooms_at_once_hear_only_their_own_answers(
    browser_that_beeps: Browser, room_server: Server, room_state: StorageState, watch: Watch, client: httpx.Client
) -> None:
    watch.allow(ANYWAY)
    talks.three_rooms(
        lambda: open_stage(browser_that_beeps, room_server, room_state, watch, before=mouth.SCRIPT), client
    )


@pytest.mark.skipif(real_server() is not None, reason="a real server is not stopped")
def test_a_livekit_server_that_was_away_is_come_back_to(
    browser_that_beeps: Browser,
    room_server: Server,
    room_state: StorageState,
    livekit_process: LiveKitProcess,
    watch: Watch,
    client: httpx.Client,
) -> None:
    watch.allow(f"{ANYWAY}|livekit-client|/rtc/")  # whatever the library says while its server is away
    stage = open_stage(browser_that_beeps, room_server, room_state, watch, before=mouth.SCRIPT)
    session = stage.begin()
    livekit_process.stop(signal.SIGKILL)
    expect(stage.connection).to_have_text("reconnecting", timeout=20_000)
    livekit_process.start()
    expect(stage.connection).to_have_text("connected", timeout=40_000)
    stage.wait("both to be back", lambda: people_in(livekit_process.livekit, "talk") == {"Owner", f"agent-{session}"})
    stage.page.wait_for_timeout(3000)  # both publish and subscribe anew; what is said until sound flows may be lost
    mouth.say(stage.page, spoken(talks.TIME_IN_TOKYO))
    stage.final(stage.said, "what time is it in tokyo")
    stage.loud(0.8)
    stage.end()
    assert [one["role"] for one in transcript(client, session)] == ["user", "agent"]
    close(stage)


def test_a_livekit_server_that_the_browser_cannot_reach(
    browser_that_beeps: Browser, room_server: Server, room_state: StorageState, watch: Watch, client: httpx.Client
) -> None:
    watch.allow(r"127\.0\.0\.1:9|connection|connect to server|WebSocket")
    with room_server.client(room_server.key("chat", "admin")) as admin:
        change = {"values": {"livekit.public_url": "ws://127.0.0.1:9"}}
        admin.patch("/api/settings", json=change).raise_for_status()
        stage = open_stage(browser_that_beeps, room_server, room_state, watch)
        stage.page.get_by_role("button", name="Start talking").click()
        expect(stage.notice).to_contain_text("The LiveKit server cannot be reached", timeout=30_000)
        admin.patch("/api/settings", json={"values": {"livekit.public_url": ""}}).raise_for_status()
    going_on = [one for one in client.get("/api/voice/sessions").json()["items"] if one["ended_at"] is None]
    assert going_on == []
    close(stage)
