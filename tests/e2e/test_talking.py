"""Spoken conversations in a real browser, over this program alone: a question is heard, answered aloud, interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.e2e import mouth, talks
from tests.e2e.accessibility import serious_findings
from tests.e2e.chat import Watch
from tests.e2e.conftest import sign_in
from tests.e2e.server import Server
from tests.e2e.stage import ANSWER_MS, Stage, close, load_engines, open_stage, transcript
from tests.e2e.utterances import silence, spoken
from tests.fixtures_databases import Migrated


@pytest.fixture(scope="module")
def talking_server(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> Iterator[Server]:
    server = Server(migrated(tmp_path_factory.mktemp("talking")))
    server.start()
    load_engines(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def talking_state(browser: Browser, talking_server: Server) -> StorageState:
    return sign_in(browser, talking_server)


@pytest.fixture(scope="module")
def client(talking_server: Server) -> Iterator[httpx.Client]:
    with talking_server.client() as client:
        yield client


def test_a_question_is_heard_written_down_and_answered_aloud(
    browser_that_says: Callable[..., Browser],
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    # Played from the moment the microphone is open, which is before the session is there.
    browser = browser_that_says(silence(1.5), spoken(talks.TIME_IN_TOKYO), silence(120))
    stage = open_stage(browser, talking_server, talking_state, watch)
    session = stage.begin()
    expect(stage.state).to_have_text("Listening")
    expect(stage.page.locator("#words li[data-interim]").first).to_be_visible()
    stage.final(stage.said, "what time is it in tokyo")
    answer = stage.final(stage.answers, r"\d\d:\d\d|o'clock|Tokyo")
    stage.loud(0.8)
    (first, *_) = stage.heard("out").stretches()
    assert first[1] - first[0] > 800
    expect(stage.page.locator("#latency .lap")).to_have_count(1)
    expect(stage.page.locator("#words .reply small")).to_contain_text("clock.now")
    stored = transcript(client, session)
    assert [one["role"] for one in stored] == ["user", "agent"]
    assert "tokyo" in stored[0]["text"].lower()
    assert stored[1]["text"].replace("*", "") in answer.inner_text()
    (tool,) = client.get(f"/transcripts/{session}").json()["tools"]
    assert (tool["tool"], tool["status"]) == ("clock.now", "done")
    assert stored[0]["at"] < stored[1]["at"] <= tool["at"]
    stage.end()
    assert client.delete(f"/session/{session}").json() == {"stopped": True}
    look_back_and_delete(stage, session)
    assert client.get(f"/transcripts/{session}").status_code == 404
    close(stage)


def look_back_and_delete(stage: Stage, session: str) -> None:
    """The session among those of the past, with its words and times, until it is deleted."""
    page = stage.page
    page.get_by_role("link", name="Past sessions").click()
    page.get_by_role("link", name="what time is it in tokyo").first.click()
    page.wait_for_url(f"**/voice/past/{session}")
    expect(stage.said).to_contain_text("what time is it in tokyo")
    expect(page.locator("#words li")).to_have_count(2)
    expect(page.locator("#words .reply small")).to_contain_text("clock.now")
    expect(page.locator("#latency .lap")).to_have_count(1)
    page.get_by_role("button", name="Delete this session").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/voice/past")
    expect(page.locator(f"a[href$='{session}']")).to_have_count(0)


def test_what_is_said_before_the_connection_is_there_is_heard_unless_a_key_has_to_be_held(
    browser_that_beeps: Browser, talking_server: Server, talking_state: StorageState, watch: Watch, client: httpx.Client
) -> None:
    stage = open_stage(browser_that_beeps, talking_server, talking_state, watch, before=mouth.SCRIPT)
    talks.said_before_the_connection(stage, client)
    stage.page.locator(".mode").get_by_text("Hold to talk").click()
    silent = stage.begin()
    stage.page.wait_for_timeout(1000)
    stage.end()
    assert transcript(client, silent) == []
    close(stage)


def test_who_speaks_interrupts_and_what_was_not_heard_is_not_stored_and_nothing_is_left_behind(
    browser_that_says: Callable[..., Browser],
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    browser = browser_that_says(silence(1.5), spoken(talks.WHAT_CAN_YOU_DO), silence(5))
    stage = open_stage(browser, talking_server, talking_state, watch)
    stage.begin()
    talks.interrupted_answer(stage, client)
    talks.nothing_is_left(stage, client)
    close(stage)


def test_a_question_that_needs_a_word_is_asked_aloud_and_its_card_says_what_became_of_it(
    browser_that_beeps: Browser, talking_server: Server, talking_state: StorageState, watch: Watch
) -> None:
    stage = open_stage(browser_that_beeps, talking_server, talking_state, watch, before=mouth.SCRIPT)
    stage.begin()
    mouth.say(stage.page, spoken("forget everything about me"))
    card = stage.page.locator("#asking .card")
    expect(card).to_contain_text("Forget everything I remember about you", timeout=ANSWER_MS)
    expect(card.get_by_role("button", name="Allow once")).to_be_in_viewport()
    expect(stage.state).to_have_text("Waiting for you", timeout=ANSWER_MS)
    assert serious_findings(stage.page) == []
    mouth.say(stage.page, spoken("no"))
    expect(card).to_contain_text("Refused", timeout=ANSWER_MS)
    expect(card.get_by_role("button")).to_have_count(0)
    stage.end()
    close(stage)


def test_three_rooms_at_once_hear_only_their_own_answers(
    browser_that_beeps: Browser,
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    talks.three_rooms(
        lambda: open_stage(browser_that_beeps, talking_server, talking_state, watch, before=mouth.SCRIPT), client
    )
