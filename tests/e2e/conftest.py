"""Chromium and servers for the browser tests. Everything these tests see is real but the language model."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from tests.e2e import utterances
from tests.e2e.chat import Chat, Watch
from tests.e2e.server import Server, free_port
from tests.e2e.slow_model import SlowModel
from tests.fixtures_databases import Migrated

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FAKE_MICROPHONE = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
"""A microphone that beeps every second; with `--use-file-for-fake-audio-capture` one that plays a file."""
WAIT_MS = 15_000
EXPECT_MS = 20_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All need the browser."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.needs("chromium"))


def chromium_path() -> str | None:
    """Chromium of the system, or None for the one Playwright brought."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the system (`needs("chromium")` on each test says what its absence means)."""
    expect.set_options(timeout=EXPECT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser_that_beeps(browser: Browser) -> Iterator[Browser]:
    """Chromium with a microphone that beeps. Asks for `browser` to share its Playwright."""
    beeping = browser.browser_type.launch(executable_path=chromium_path(), args=[*CHROMIUM_FLAGS, *FAKE_MICROPHONE])
    yield beeping
    beeping.close()


@pytest.fixture(scope="session")
def browser_that_says(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Browser]]:
    """Makes browsers whose microphone plays sound: pieces of `utterances`, again and again."""
    opened: list[Browser] = []

    def launch(*pieces: np.ndarray) -> Browser:
        file = utterances.write(tmp_path_factory.mktemp("sound") / "microphone.wav", pieces)
        flags = [*CHROMIUM_FLAGS, *FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={file}"]
        opened.append(browser.browser_type.launch(executable_path=chromium_path(), args=flags))
        return opened[-1]

    yield launch
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def console_port() -> int:
    """Where a console alone is expected."""
    return free_port()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated, console_port: int) -> Iterator[Server]:
    """A server without key and without internet, shared by all tests."""
    settings = {"ANTIPHON_HTTP__ALLOWED_ORIGINS": f"http://127.0.0.1:{console_port}"}
    server = Server(migrated(tmp_path_factory.mktemp("server")), settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def slow_model() -> Iterator[SlowModel]:
    """A model that takes about two seconds for each answer, or as long as a test wants."""
    model = SlowModel()
    yield model
    model.close()


@pytest.fixture(scope="session")
def slow_server(
    tmp_path_factory: pytest.TempPathFactory, migrated: Migrated, slow_model: SlowModel
) -> Iterator[Server]:
    """A server with that model."""
    server = Server(migrated(tmp_path_factory.mktemp("slow")), slow_model.settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Collects what goes wrong in the pages of a test; at its end there must be nothing but what it allowed."""
    watch = Watch()
    yield watch
    assert watch.problems == []


@pytest.fixture
def talking(browser_that_beeps: Browser, watch: Watch) -> Iterator[BrowserContext]:
    """A browser with a microphone that beeps, and that may use it."""
    context = browser_that_beeps.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", permissions=["microphone"]
    )
    context.set_default_timeout(WAIT_MS)
    context.on("page", watch.page)
    yield context
    context.close()


@pytest.fixture
def context(browser: Browser, watch: Watch) -> Iterator[BrowserContext]:
    """A browser that has never been here."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, timezone_id="Europe/Berlin", locale="en-GB", reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    context.on("page", watch.page)
    yield context
    context.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, server: Server) -> StorageState:
    """The cookies of a signed-in owner of `server`."""
    return sign_in(browser, server)


@pytest.fixture(scope="session")
def slow_signed_in(browser: Browser, slow_server: Server) -> StorageState:
    """The cookies of a signed-in owner of `slow_server`."""
    return sign_in(browser, slow_server)


@pytest.fixture
def chat(context: BrowserContext, server: Server, signed_in: StorageState) -> Chat:
    """A conversation of its own on the shared server."""
    return open_chat(context, server, signed_in)


@pytest.fixture
def slow_chat(context: BrowserContext, slow_server: Server, slow_signed_in: StorageState) -> Chat:
    """A conversation of its own with the slow model."""
    return open_chat(context, slow_server, slow_signed_in)


def sign_in(browser: Browser, server: Server) -> StorageState:
    """Use a link up and return the cookies."""
    context = browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(server.link())
    page.wait_for_url(lambda url: "/welcome/" not in url)
    state = context.storage_state()
    context.close()
    return {"cookies": state.get("cookies", []), "origins": []}


def open_chat(context: BrowserContext, server: Server, state: StorageState) -> Chat:
    """Open a new conversation in a signed-in browser."""
    context.add_cookies(state["cookies"])  # type: ignore[typeddict-item, arg-type]
    page: Page = context.new_page()
    chat = Chat(page, server, f"web:e2e-{uuid.uuid4()}")
    chat.open_new()
    return chat
