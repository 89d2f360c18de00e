"""Everybody can use it: by keyboard, on a small phone, in the dark, without motion, over a thin line."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Response, StorageState, expect

from tests.e2e.chat import Chat
from tests.e2e.server import Server

WEIGHT_LIMIT = 150_000
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_a_whole_conversation_by_keyboard(chat: Chat) -> None:
    page = chat.page
    page.goto(chat.server.url)
    expect(chat.field).to_be_focused()
    page.keyboard.type("what is 20 plus 2")
    page.keyboard.press("Shift+Enter")
    expect(chat.field).to_have_value("what is 20 plus 2\n")
    page.keyboard.press("Enter")
    expect(chat.field).to_be_focused()
    expect(page.locator(".msg.reply .said").last).to_contain_text("22")

    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the message field")).to_be_focused()
    page.keyboard.press("Enter")
    expect(chat.field).to_be_focused()

    copy = page.get_by_role("button", name="Copy").last
    expect(copy).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if copy.evaluate("(element) => element === document.activeElement"):
            break
    expect(copy).to_be_focused()
    ring = copy.evaluate("(element) => getComputedStyle(element).outline")
    assert "solid" in ring
    assert "0px" not in ring


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_one_thing_at_a_time(chat: Chat, width: int) -> None:
    page = chat.page
    chat.ask("what is 8 plus 9 and a_very_long_word_that_does_not_end_" + "x" * 80)
    page.set_viewport_size({"width": width, "height": 640})
    assert page.evaluate(OVERFLOW) == 0
    expect(chat.field).to_be_in_viewport()
    expect(page.locator("#list")).to_be_hidden()
    small = page.evaluate(
        """[...document.querySelectorAll("button.btn, a.btn")].filter((button) => button.offsetParent)
          .filter((button) => button.offsetHeight < 38).map((button) => button.outerHTML)"""
    )
    assert small == []
    page.get_by_role("button", name="All conversations").click()
    expect(page.locator("#list")).to_be_visible()
    expect(chat.field).to_be_hidden()
    assert page.evaluate(OVERFLOW) == 0
    page.go_back()
    expect(chat.field).to_be_visible()
    page.get_by_role("button", name="All conversations").click()
    page.locator("#list a").first.click()
    expect(chat.field).to_be_visible()


def test_the_theme_follows_the_system_until_somebody_chooses(chat: Chat) -> None:
    page = chat.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    toggle = page.get_by_role("button", name="Theme").first
    toggle.click()
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light
    toggle.click()
    assert page.evaluate(ground) == dark
    toggle.click()
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light


def test_text_can_be_read_in_both_themes(chat: Chat) -> None:
    chat.ask("what time is it in Tokyo")
    for scheme in ("light", "dark"):
        chat.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert chat.page.evaluate(CONTRAST) == []


def test_reduced_motion_stops_all_motion(chat: Chat) -> None:
    running = "document.getAnimations().filter((animation) => animation.playState === 'running').length"
    assert chat.page.evaluate(running) == 0


def test_the_page_is_light(context: BrowserContext, server: Server, signed_in: StorageState) -> None:
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(server.url)
    page.locator("#log .msg, #empty").first.wait_for(state="visible")
    sizes = {answer.url: answer.request.sizes()["responseBodySize"] for answer in answers}
    print(f"the chat page weighs {sum(sizes.values()) / 1000:.1f} kB in {len(sizes)} files")
    assert sum(sizes.values()) <= WEIGHT_LIMIT, sizes
    static = [answer for answer in answers if "/static/" in answer.url]
    assert static
    assert {answer.headers["cache-control"] for answer in static} == {"public, max-age=31536000, immutable"}
    assert {answer.url.split("/")[2] for answer in answers} == {server.url.split("/")[2]}


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 250) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const unseen = !element.checkVisibility() || element.closest(".sr, .skip, noscript");
    if (unseen || !walker.currentNode.textContent.trim()) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return poor;
}"""
