"""What the pages may use and talk to, as their headers say it."""

from __future__ import annotations

import pytest

from antiphon.console.app import ConsoleConfig, create_console
from antiphon.console.navigation import PAGES


def headers(path: str, livekit: str = "") -> dict[str, str]:
    client = create_console(ConsoleConfig(livekit_url=lambda: livekit)).test_client()
    return dict(client.get(path).headers)


def test_the_voice_page_alone_may_use_the_microphone() -> None:
    for page in PAGES:
        if page.template and "<" not in page.path:
            allowed = "microphone=(self)" in headers(page.path)["Permissions-Policy"]
            assert allowed is (page.path == "/voice"), page.path


@pytest.mark.parametrize(
    ("url", "sources"),
    [
        ("", ""),
        ("wss://voice.example.org", " wss://voice.example.org https://voice.example.org"),
        ("http://127.0.0.1:7880/", " ws://127.0.0.1:7880 http://127.0.0.1:7880"),
    ],
)
def test_the_voice_page_alone_may_talk_to_livekit(url: str, sources: str) -> None:
    assert f"connect-src 'self'{sources};" in headers("/voice", url)["Content-Security-Policy"]
    assert "connect-src 'self';" in headers("/history", url)["Content-Security-Policy"]


def test_no_page_runs_inline_code() -> None:
    for path in ("/voice", "/voice/past", "/voice/past/s1"):
        policy = headers(path)["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert "require-trusted-types-for 'script'" in policy
