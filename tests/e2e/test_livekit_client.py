"""The real livekit-client in Chromium joins the LiveKit server of the tests, beside the real Python SDK.

The page is nothing but the library: what these tests hold is that the server is good enough to try the voice page on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.chat import Watch
from tests.livekit_server.client import Someone, in_room, singing, until
from tests.livekit_server.process import ANYWAY, LiveKit

T = TypeVar("T")

_LIBRARY = Path(__file__).parents[2] / "src/antiphon/console/static/vendor/livekit-client.js"
_PAGE = (
    """<!doctype html><title>client</title><link rel="icon" href="data:,"><script src="/livekit-client.js"></script>"""
)
_JOIN = """
async ([url, token]) => {
  const { Room, RoomEvent } = globalThis.LivekitClient;
  const room = new Room();
  Object.assign(globalThis, { room, peak: 0, data: [], lines: [] });
  room.on(RoomEvent.DataReceived, (bytes, from, kind, topic) =>
    data.push([from?.identity ?? "", new TextDecoder().decode(bytes), topic]));
  room.registerTextStreamHandler("lines", async (reader, from) => lines.push([from.identity, await reader.readAll()]));
  room.on(RoomEvent.TrackSubscribed, (track) => {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    track.attach();
    context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      peak = Math.max(peak, ...samples.map(Math.abs));
    }, 50);
  });
  await room.connect(url, token);
  await room.localParticipant.setMicrophoneEnabled(true);
}
"""


class Elsewhere:
    """An event loop in a thread of its own: Playwright keeps one in the thread of the test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    loop = Elsewhere()
    yield loop
    loop.close()


class _Files(BaseHTTPRequestHandler):
    """The page and the library. Not by Playwright's routes: browsers keep such pages away from this machine."""

    def do_GET(self) -> None:
        script = self.path.endswith(".js")
        body = _LIBRARY.read_bytes() if script else _PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Where the page is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def open_client(context: BrowserContext, address: str, livekit: LiveKit, room: str) -> Page:
    page = context.new_page()
    page.goto(address)
    page.evaluate(_JOIN, [livekit.url, livekit.token(room, "page")])
    return page


def test_a_page_and_the_python_sdk_exchange_audio_data_and_text(
    talking: BrowserContext, address: str, livekit: LiveKit, elsewhere: Elsewhere, watch: Watch
) -> None:
    watch.allow(ANYWAY)
    entered = in_room(livekit, "with-a-page", "ada")
    ada = elsewhere.run(entered.__aenter__())
    tone = singing(ada, 440)
    elsewhere.run(tone.__aenter__())
    try:
        page = open_client(talking, address, livekit, "with-a-page")
        elsewhere.run(until(lambda: loudest(ada, "page") > 1000, "the microphone of the page"))
        page.wait_for_function("peak > 0.2")
        elsewhere.run(ada.room.local_participant.publish_data(b"from ada", topic="t"))
        elsewhere.run(_send_text(ada, "a line"))
        page.wait_for_function("data.length && lines.length")
        assert page.evaluate("[data, lines]") == [[["ada", "from ada", "t"]], [["ada", "a line"]]]
        page.evaluate("room.localParticipant.publishData(new TextEncoder().encode('back'), { topic: 't' })")
        elsewhere.run(until(lambda: ada.data == [("t", b"back", "page")], "the data of the page"))
        page.evaluate("room.disconnect()")
        elsewhere.run(until(lambda: not ada.room.remote_participants, "the page to be gone"))
    finally:
        elsewhere.run(tone.__aexit__(None, None, None))
        elsewhere.run(entered.__aexit__(None, None, None))


async def _send_text(who: Someone, text: str) -> None:
    await who.room.local_participant.send_text(text, topic="lines")


def loudest(who: Someone, of: str) -> float:
    return max((float(abs(piece).max()) for piece in who.audio.get(of, [])), default=0.0)
