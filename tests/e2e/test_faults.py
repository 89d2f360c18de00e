"""What a person sees when something is refused or unwell: what happened, what was kept, what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.chat import Chat, Watch

MESSAGES = re.compile(r"/api/channels/[^/]+/messages$")


def refuse_once(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Callable[[Route], None]:
    """Answer the first POST with an error of ours; let everything else through."""
    left = [1]

    def handle(route: Route) -> None:
        if route.request.method != "POST" or not left:
            route.continue_()
            return
        left.pop()
        body = json.dumps({"error": {"code": code, "message": message}})
        route.fulfill(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})

    return handle


@pytest.mark.parametrize(
    ("status", "code", "headers", "title"),
    [
        (429, "too_many_requests", {"Retry-After": "2"}, "A little too fast"),
        (503, "store_unavailable", {"Retry-After": "1"}, "The server cannot take it now"),
    ],
)
def test_a_passing_refusal_is_retried_by_itself(
    chat: Chat, watch: Watch, status: int, code: str, headers: dict[str, str], title: str
) -> None:
    watch.allow(f"status of {status}")
    chat.page.route(MESSAGES, refuse_once(status, code, "Not now.", headers))
    chat.say("what is 2 plus 2")
    expect(chat.page.get_by_role("heading", name=title)).to_be_visible()
    expect(chat.page.get_by_text(re.compile(r"It goes out by itself in 0:0\d"))).to_be_visible()
    expect(chat.replies).to_have_count(1)
    expect(chat.calls).to_have_count(1)


def test_a_lost_answer_does_not_double_the_message(chat: Chat, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    lost = [1]

    def lose(route: Route) -> None:
        if route.request.method == "POST" and lost:
            lost.pop()
            route.fetch()  # it arrives, but the browser never hears of it
            route.abort()
        else:
            route.continue_()

    chat.page.route(MESSAGES, lose)
    chat.say("what is 2 plus 3")
    expect(chat.replies).to_have_count(1)
    chat.page.reload()
    expect(chat.replies).to_have_count(1)
    assert chat.calls.locator(".said").all_inner_texts() == ["what is 2 plus 3"]


def test_too_long_a_text_stays_in_the_field(chat: Chat, watch: Watch) -> None:
    chat.field.fill("x" * 16_001)
    chat.field.press("Enter")
    expect(chat.page.locator("#say-problem")).to_have_text("1 characters too many.")
    expect(chat.calls).to_have_count(0)

    watch.allow("status of 413")  # the server's own limit may be lower than the page knew
    chat.page.route(MESSAGES, refuse_once(413, "too_large", "At most 10 characters."))
    chat.say("a text of eleven")
    expect(chat.page.get_by_role("heading", name="This message is too long")).to_be_visible()
    expect(chat.field).to_have_value("a text of eleven")
    expect(chat.calls).to_have_count(0)


def test_an_unsent_message_can_be_taken_back(chat: Chat, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    chat.page.route(MESSAGES, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    chat.say("better not")
    chat.page.get_by_role("button", name="Take it back").click()
    expect(chat.field).to_have_value("better not")
    expect(chat.calls).to_have_count(0)


def test_a_higher_attempt_discards_what_an_earlier_one_said(chat: Chat) -> None:
    result = chat.page.evaluate(
        """async (base) => {
          const { Turns } = await import(base + "turns.js");
          const turns = new Turns();
          const tell = (name, attempt, more) => turns.event(name, { task: "7", attempt, ...more });
          tell("turn.started", 1);
          tell("text.delta", 1, { text: "half an ans" });
          tell("turn.started", 2);
          tell("text.delta", 2, { text: "The whole " });
          const late = tell("text.delta", 1, { text: "wer" });
          tell("text.delta", 2, { text: "answer" });
          return [turns.get("7").text, late];
        }""",
        scripts(chat),
    )
    assert result == ["The whole answer", None]


def test_an_older_row_does_not_undo_what_events_said(chat: Chat) -> None:
    states = chat.page.evaluate(
        """async (base) => {
          const { Turns } = await import(base + "turns.js");
          const turns = new Turns();
          const row = (state, attempt) => turns.row({ id: "7", state, attempt, error: null, message: "1" }).state;
          turns.event("turn.started", { task: "7", attempt: 1 });
          const early = row("queued", 0);
          turns.event("reply", { task: "7", attempt: 1, reply: "1", text: "" });
          const late = [early, row("running", 1), row("done", 1), row("queued", 2)];
          turns.event("turn.started", { task: "7", attempt: 3 });
          turns.event("approval.needed", { task: "7", attempt: 3, approval: "1" });
          return [...late, row("running", 3), row("waiting", 3)];
        }""",
        scripts(chat),
    )
    assert states == ["running", "done", "done", "queued", "waiting", "waiting"]


def test_no_server_at_all_is_said_on_the_page(chat: Chat, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    chat.page.route("**/api/session", lambda route: route.abort())
    chat.page.reload()
    expect(chat.page.get_by_role("heading", name="Antiphon does not answer")).to_be_visible()
    chat.page.unroute("**/api/session")
    chat.page.get_by_role("button", name="Try again").click()
    expect(chat.page.locator("#empty")).to_be_visible()


def scripts(chat: Chat) -> str:
    """The address of the folder with the page's own scripts."""
    source = chat.page.locator("script[type=module]").get_attribute("src")
    assert source
    return source.rsplit("/", 1)[0] + "/"
