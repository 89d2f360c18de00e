"""What keeps a person from talking is said plainly, and nothing is left behind: no microphone, right or connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, WebSocketRoute, expect

from antiphon.domain.identity import Role
from tests.e2e.chat import Watch
from tests.e2e.conftest import sign_in
from tests.e2e.server import Server
from tests.e2e.stage import CLOSING, Stage, load_engines, stage_in


@pytest.fixture(scope="module", autouse=True)
def engines(server: Server) -> None:
    load_engines(server)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server to be killed and started again."""
    server = Server(tmp_path_factory.mktemp("fragile"))
    server.start()
    load_engines(server)
    yield server
    server.stop()


def start(stage: Stage) -> None:
    stage.page.get_by_role("button", name="Start talking").click()


def sessions(server: Server) -> list[object]:
    with server.client() as client:
        found = client.get("/api/voice/sessions").raise_for_status().json()["items"]
    return [one["id"] for one in found if one["ended_at"] is None]


def test_a_device_without_a_microphone(context: BrowserContext, server: Server, signed_in: StorageState) -> None:
    context.grant_permissions(["microphone"])
    stage = stage_in(context, server, signed_in)
    start(stage)
    expect(stage.notice).to_contain_text("No microphone was found")
    expect(stage.page.get_by_role("button", name="Start talking")).to_be_enabled()
    assert sessions(server) == []


def test_a_microphone_that_is_not_allowed(talking: BrowserContext, server: Server, signed_in: StorageState) -> None:
    stage = stage_in(talking, server, signed_in)
    stage.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia ="
        " () => Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    )
    start(stage)
    expect(stage.notice).to_contain_text("The microphone is not allowed")
    expect(stage.notice).to_contain_text("address bar")
    assert sessions(server) == []


def test_a_page_that_needs_https(talking: BrowserContext, server: Server, signed_in: StorageState) -> None:
    talking.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    stage = stage_in(talking, server, signed_in)
    start(stage)
    expect(stage.notice).to_contain_text("HTTPS only")
    expect(stage.notice).to_contain_text('http.tls = "self"')


def test_a_room_of_somebody_else(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow("404")
    server.user("rooms", Role.MEMBER)
    with server.client(server.key("chat", of="rooms")) as client:
        client.get("/token", params={"room": "their-room", "identity": "x"}).raise_for_status()
    stage = stage_in(talking, server, signed_in)
    stage.choose(room="their-room")
    start(stage)
    expect(stage.notice).to_contain_text("The server refused to let you talk here")
    expect(stage.notice).to_contain_text("belongs to somebody else")
    assert sessions(server) == []


def test_a_dropped_connection_comes_back_to_the_same_session(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow(CLOSING)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    talking.route_web_socket(lambda url: "/ws/voice/" in url, through)
    stage = stage_in(talking, server, signed_in)
    session = stage.begin()
    sockets[0].close(code=1012)
    expect(stage.connection).to_have_text("reconnecting")
    expect(stage.connection).to_have_text("connected")
    assert len(sockets) == 2
    assert sessions(server) == [session]
    stage.end()
    assert sessions(server) == []


def test_a_page_that_goes_away_ends_its_session(
    talking: BrowserContext, server: Server, signed_in: StorageState
) -> None:
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    stage.page.goto(f"{server.url}/account")
    stage.wait("the session to end", lambda: sessions(server) == [])


def test_the_microphone_that_is_unplugged(talking: BrowserContext, server: Server, signed_in: StorageState) -> None:
    talking.add_init_script(
        "const devices = navigator.mediaDevices, ask = devices?.getUserMedia;"
        "if (ask) devices.getUserMedia = async (wish) => (globalThis.stream = await ask.call(devices, wish));"
    )
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    stage.page.evaluate("stream.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(stage.notice).to_contain_text("unplugged")
    stage.wait("the session to end", lambda: sessions(server) == [])


NOTICED = """() => { window.noticed = new Set(); const place = document.getElementById("notice");
  new MutationObserver(() => noticed.add(place.textContent)).observe(place, { childList: true, subtree: true }); }"""
"""Keeps every text that the card over the content has had."""
SHELLS = "What you see was read before"
RECOVER_MS = 45_000
AWAY = r"ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|WebSocket connection|Failed to load|status of 503"


def asked_in_vain(page: Page) -> None:
    """The shell asks the server for a sign of life, and there is none."""
    with page.expect_event("requestfailed", lambda request: "/api/approvals" in request.url):
        page.evaluate("dispatchEvent(new Event('online'))")


def test_while_the_server_is_away_the_card_tells_what_becomes_of_the_session(
    talking: BrowserContext, browser: Browser, fragile: Server, watch: Watch
) -> None:
    """Whenever the shell finds the server gone; where nobody talks, the shell's own card tells it."""
    watch.allow(AWAY)
    signed_in = sign_in(browser, fragile)
    stage, silent = stage_in(talking, fragile, signed_in), stage_in(talking, fragile, signed_in)
    stage.page.evaluate(NOTICED)
    session = stage.begin()
    fragile.kill()
    for page in (stage.page, silent.page):
        asked_in_vain(page)
    expect(stage.notice).to_contain_text("the session waits for you")
    expect(silent.notice).to_contain_text(SHELLS)
    asked_in_vain(stage.page)
    expect(stage.notice).to_contain_text("the session waits for you")
    fragile.start()
    expect(stage.notice).to_contain_text("The session has ended", timeout=RECOVER_MS)
    expect(silent.notice).to_be_empty(timeout=RECOVER_MS)
    fragile.kill()
    asked_in_vain(stage.page)
    expect(stage.notice.get_by_role("link", name="read it")).to_have_attribute("href", f"/voice/past/{session}")
    assert not [text for text in stage.page.evaluate("[...noticed]") if SHELLS in text]
