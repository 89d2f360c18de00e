"""Two origins in a real browser: a console apart from its API works, and a page of anybody else gets nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import BrowserContext, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, server: Server, console_port: int) -> Iterator[Server]:
    """`antiphon console` alone, on another port, for the API of `server`. It has no database and no key."""
    settings = {"ANTIPHON_CONSOLE__API_URL": server.url}
    console = Server(tmp_path_factory.mktemp("console"), settings, role="console", port=console_port)
    console.start()
    yield console
    assert not (console.folder / "data").exists()
    console.stop()


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a web site of somebody else, without any policy of its own."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage)
    site.daemon_threads = True
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield site.server_address[1]
    site.shutdown()
    site.server_close()


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>elsewhere</title><link rel=icon href=data:,>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_console_apart_from_its_api(context: BrowserContext, server: Server, console: Server, watch: Watch) -> None:
    """Sign in, talk, hear the answer grow, come back, sign out: under every name of this machine."""
    watch.allow("status of 401")
    for host in ("127.0.0.1", "localhost"):
        base = console.url.replace("127.0.0.1", host)
        page = context.new_page()
        page.goto(base)
        expect(page).to_have_url(re.compile(re.escape(f"{base}/sign-in")))
        page.goto(server.link().replace(server.url, base))
        page.get_by_role("link", name="Go to the chat").click()
        chat = Chat(page, console, "")
        page.locator("#log .msg, #empty").first.wait_for(state="visible")
        page.get_by_role("button", name="New conversation").click()
        expect(page.locator("#empty")).to_be_visible()
        assert "42" in chat.ask("what is 6 times 7")
        expect(page.locator(".tool .name")).to_have_count(1)  # told by the event stream
        page.reload()
        expect(chat.replies).to_have_count(1)
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_text("You have signed out.")).to_be_visible()
        page.close()


def test_the_api_of_a_console_apart_still_refuses_forged_requests(server: Server, console: Server) -> None:
    origin = {"Origin": console.url}
    with httpx.Client(base_url=server.url, headers=origin) as client:
        token = server.link().rsplit("/", 1)[1]
        csrf = client.post("/api/session", json={"token": token}).json()["csrf"]
        assert client.patch("/api/me", json={"name": "Wren"}).status_code == 403  # without its token
        allowed = client.patch("/api/me", json={"name": "Wren"}, headers={"X-CSRFToken": csrf})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == console.url
        for foreign in (f"{console.url}1", "http://evil.invalid", "null", console.url.replace("http", "https")):
            refused = client.patch("/api/me", json={"name": "Eve"}, headers={"X-CSRFToken": csrf, "Origin": foreign})
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers
        for path in ("/health", "/metrics", "/admin/"):  # the console's own business is below /api
            assert "access-control-allow-origin" not in client.get(path).headers


ATTACK = """async ([api, channel]) => {
  const got = {};
  const read = (path, options) => fetch(api + path, options).then((answer) => answer.text());
  const failed = (promise) => promise.then((value) => value || "empty", (error) => error.constructor.name);
  got.read = await failed(read("/api/session", { credentials: "include" }));
  got.opaque = await failed(read("/api/session", { credentials: "include", mode: "no-cors" }));
  got.page = await failed(read("/", { credentials: "include" }));
  got.rename = await failed(read("/api/me", { credentials: "include", method: "PATCH", body: '{"name":"Eve"}',
    headers: { "Content-Type": "application/json" } }));
  const say = { credentials: "include", method: "POST", mode: "no-cors", body: '{"text":"forged","id":"f"}' };
  got.say = await failed(read(`/api/channels/${channel}/messages`, say));
  got.socket = await new Promise((resolve) => {
    const socket = new WebSocket(api.replace("http", "ws") + "/ws/channels/" + channel);
    socket.onopen = () => resolve("open");
    socket.onmessage = () => resolve("heard");
    socket.onclose = ({ code }) => resolve(code);
  });
  got.stream = await new Promise((resolve) => {
    const source = new EventSource(`${api}/api/channels/${channel}/events`, { withCredentials: true });
    source.onopen = () => resolve("open");
    source.onerror = () => { source.close(); resolve("error"); };
  });
  got.script = await new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = api + "/api/me";
    script.onload = () => resolve("ran");
    script.onerror = () => resolve("error");
    document.head.append(script);
  });
  const frame = document.createElement("iframe");
  frame.src = api + "/";
  await new Promise((resolve) => { frame.onload = resolve; document.body.append(frame); });
  try { got.frame = frame.contentDocument ? "readable" : "closed"; } catch { got.frame = "closed"; }
  const opened = window.open(api + "/");
  await new Promise((resolve) => setTimeout(resolve, 500));
  try { got.window = opened.document.title || "empty"; } catch { got.window = "closed"; }
  if (opened.closed) got.window = "closed"; // cut off: its opener policy
  return got;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_reads_nothing_and_opens_no_socket(
    context: BrowserContext, server: Server, signed_in: StorageState, elsewhere: int, watch: Watch, host: str
) -> None:
    """127.0.0.1 is the same site, so the browser sends the session along: only our own checks stand in the way."""
    watch.allow("")
    with server.client() as client:
        channel = f"web:target-{host}"
        client.post(f"/api/channels/{channel}/messages", json={"text": "hello"}).raise_for_status()
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    page.goto(f"http://{host}:{elsewhere}/")
    got = page.evaluate(ATTACK, [server.url, channel])
    assert got == {
        "read": "TypeError",
        "opaque": "TypeError",
        "page": "TypeError",
        "rename": "TypeError",
        "say": "TypeError",
        "socket": 1006,
        "stream": "error",
        "script": "error",
        "frame": "closed",
        "window": "closed",
    }
    with server.client() as client:
        assert client.get("/api/me").json()["name"] != "Eve"
        said = client.get(f"/api/channels/{channel}/messages").json()["items"]
        assert "forged" not in [item["text"] for item in said]
