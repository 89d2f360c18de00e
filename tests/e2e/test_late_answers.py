"""Answers overtake each other, or come when the person is elsewhere: the chat keeps what is newer, in its place."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import BrowserContext, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.held import Held
from tests.e2e.server import Server

MESSAGES = re.compile(r"/api/channels/[^/]+/messages$")
READ_MESSAGES = re.compile(r"/api/channels/[^/]+/messages\?")
CHANNELS = re.compile(r"/api/channels$")


def look_again(chat: Chat) -> None:
    """The person comes back to the page, which reads everything anew."""
    chat.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def another(chat: Chat) -> str:
    """Leave for a new conversation; returns the key of the one that was left."""
    before = chat.key
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.page.locator("#empty")).to_be_visible()
    chat.page.wait_for_url(lambda url: not url.endswith(before))
    chat.key = chat.page.url.rsplit("/c/", 1)[1]
    return before


def go(chat: Chat, key: str) -> None:
    chat.page.locator(f"#list a[href='/c/{key}']").click()
    expect(chat.page.locator(f"#list a[href='/c/{key}']")).to_have_attribute("aria-current", "true")
    chat.key = key


def test_a_first_message_names_its_own_conversation_though_another_is_open_by_then(chat: Chat) -> None:
    chat.ask("hello")
    first = another(chat)
    second = chat.key
    accepted = Held(chat.page, MESSAGES, "POST")
    chat.say("what is 2 plus 2")
    accepted.wait()
    go(chat, first)
    with chat.page.expect_response(lambda answer: answer.request.method == "PATCH") as named:
        accepted.let_go()
    assert named.value.url.endswith(second.replace(":", "%3A"))
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("hello")


def test_a_message_that_is_refused_late_goes_back_into_the_field_of_its_conversation(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 413")
    chat.ask("hello")
    first = another(chat)
    chat.ask("what is 1 plus 2")
    second = chat.key
    refused = Held(chat.page, MESSAGES, "POST", most=1)
    chat.say("what is 2 plus 2")
    refused.wait()
    go(chat, first)
    chat.field.fill("something else")
    refused.let_go(status=413)
    expect(chat.page.locator("#notice")).to_contain_text("back in the field of “what is 1 plus 2”")
    expect(chat.field).to_have_value("something else")
    go(chat, second)
    expect(chat.field).to_have_value("what is 2 plus 2")


def test_a_file_that_arrives_late_waits_in_its_own_conversation(chat: Chat) -> None:
    chat.ask("hello")
    first = chat.key
    rows = chat.page.locator("#files li")
    late = Held(chat.page, "**/attachments?*", "POST", most=1)
    chat.page.locator("#pick").set_input_files({"name": "late.txt", "mimeType": "text/plain", "buffer": b"late"})
    expect(rows).to_contain_text("uploading")
    late.wait()
    another(chat)
    expect(rows).to_have_count(0)
    late.let_go()
    expect(rows).to_have_count(0)
    go(chat, first)
    expect(rows).to_contain_text("4 bytes")
    chat.say("here it is")
    expect(chat.calls.last.locator(".files")).to_contain_text("late.txt")


def test_files_that_come_back_leave_alone_what_is_on_its_way(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 413")
    chat.ask("hello")
    rows, picker = chat.page.locator("#files li"), chat.page.locator("#pick")
    picker.set_input_files({"name": "one.txt", "mimeType": "text/plain", "buffer": b"one"})
    expect(rows).to_contain_text("3 bytes")
    refused = Held(chat.page, MESSAGES, "POST", most=1)
    chat.say("with one file")
    refused.wait()
    late = Held(chat.page, "**/attachments?*", "POST", most=1)
    picker.set_input_files({"name": "second.txt", "mimeType": "text/plain", "buffer": b"second"})
    late.wait()
    refused.let_go(status=413)
    expect(rows).to_have_text([re.compile("one.txt"), re.compile("second.txt.*uploading")])
    late.let_go()
    expect(rows.last).to_contain_text("6 bytes")


def test_an_older_list_does_not_undo_a_new_name(chat: Chat) -> None:
    chat.ask("hello")
    title = chat.page.get_by_role("heading", level=1)
    expect(title).to_have_text("hello")
    older = Held(chat.page, CHANNELS, most=1)
    look_again(chat)
    older.wait()
    chat.page.get_by_role("button", name="Name and persona of this conversation").click()
    chat.page.get_by_label("Name", exact=True).fill("Herons")
    chat.page.get_by_role("button", name="Save", exact=True).click()
    expect(title).to_have_text("Herons")
    listed = chat.page.locator("#list a[aria-current] b")
    expect(listed).to_have_text("Herons")
    older.let_go()
    expect(listed).to_have_text("Herons")


def test_an_opinion_is_not_undone_by_an_older_reading(chat: Chat) -> None:
    chat.ask("what is 1 plus 1")
    older = Held(chat.page, "**/api/feedback*", most=1)
    chat.page.reload()
    good = chat.page.get_by_role("button", name="Good answer")
    older.wait()
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    older.let_go()
    expect(good).to_have_attribute("aria-pressed", "true")


def test_of_two_opinions_the_later_one_counts(chat: Chat) -> None:
    chat.ask("what is 1 plus 1")
    good, poor = (chat.page.get_by_role("button", name=f"{word} answer") for word in ("Good", "Poor"))
    slow = Held(chat.page, re.compile(r"/feedback$"), "POST", most=1)
    good.click()
    slow.wait()
    poor.click()
    chat.page.wait_for_timeout(300)  # the second would be answered by now, if it did not wait for the first
    slow.let_go()
    expect(poor).to_have_attribute("aria-pressed", "true")
    expect(good).to_have_attribute("aria-pressed", "false")


def test_an_answered_question_is_not_asked_again_by_an_older_reading(chat: Chat) -> None:
    chat.ask("remember that I like apricots")
    chat.say("forget everything you know about me")
    question = chat.page.locator(".card.ask")
    expect(question).to_contain_text("memory.forget_all")
    older = Held(chat.page, re.compile(r"/api/approvals$"), most=2)
    look_again(chat)
    older.wait()
    chat.page.get_by_role("button", name="Refuse").click()
    expect(chat.page.get_by_text(re.compile("^Refused"))).to_be_visible()
    expect(chat.replies).to_have_count(3)  # and the question in words, and what came of it
    older.let_go()
    expect(question).to_have_count(0)


def test_a_stop_that_did_not_arrive_can_be_tried_again(chat: Chat, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    chat.say("forget everything you know about me")
    expect(chat.page.locator(".card.ask")).to_be_visible()
    chat.page.route("**/cancel", lambda route: route.abort(), times=1)
    stop = chat.page.get_by_role("button", name="Stop")
    stop.click()
    expect(chat.page.locator(".toast")).to_contain_text("does not answer")
    stop.click()
    expect(chat.page.get_by_text("You stopped this one.")).to_be_visible()


def test_a_proposal_stays_until_it_is_decided_and_in_its_conversation(chat: Chat, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    chat.ask("hello")
    chat.server.propose(chat.key, "you like herons")
    chat.page.reload()
    card = chat.page.locator("#proposals .card")
    expect(card).to_have_count(1)
    chat.page.route("**/accept", lambda route: route.abort(), times=1)
    card.get_by_role("button", name="Remember it").click()
    expect(chat.page.locator(".toast")).to_contain_text("does not answer")
    expect(card).to_have_count(1)
    others = Held(chat.page, "**/api/proposals?*", most=1)
    first = another(chat)
    others.wait()
    expect(card).to_have_count(0)
    others.let_go()
    go(chat, first)
    card.get_by_role("button", name="Remember it").click()
    expect(chat.page.locator(".toast", has_text="Remembered")).to_be_visible()
    expect(card).to_have_count(0)


def test_a_dialog_that_was_asked_for_twice_keeps_what_is_typed(chat: Chat) -> None:
    chat.ask("hello")
    asked = Held(chat.page, "**/settings", most=2)
    chat.page.get_by_role("button", name="Name and persona of this conversation").dblclick()
    asked.wait(2)
    asked.let_go()
    name = chat.page.get_by_label("Name", exact=True)
    name.fill("Herons")
    asked.let_go()
    expect(name).to_have_value("Herons")
    chat.page.get_by_role("button", name="Save", exact=True).click()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("Herons")


def test_settings_that_come_late_do_not_open_over_another_conversation(chat: Chat) -> None:
    chat.ask("hello")
    late = Held(chat.page, "**/settings", most=1)
    chat.page.get_by_role("button", name="Name and persona of this conversation").click()
    late.wait()
    another(chat)
    late.let_go()
    expect(chat.page.locator("#dialog")).to_be_hidden()


def test_what_is_pressed_before_a_conversation_is_open_does_no_harm(
    context: BrowserContext, server: Server, signed_in: StorageState
) -> None:
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    held = Held(page, CHANNELS, most=1)
    page.goto(server.url)
    held.wait()
    page.get_by_role("button", name="Export this conversation").click()
    expect(page.locator(".toast")).to_contain_text("nothing to export")
    page.get_by_role("button", name="Name and persona of this conversation").click()
    expect(page.locator(".toast", has_text="Say something first")).to_be_visible()
    held.let_go()
    expect(page.locator("#log .msg, #empty").first).to_be_visible()


def test_a_conversation_exists_though_an_older_reading_did_not_find_it(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 404")
    watch.allow("status of 503")
    broken = {"error": {"code": "store_unavailable", "message": "Not now."}}
    older = Held(chat.page, READ_MESSAGES, most=1)  # of the second reading: the first one fails
    chat.page.route(READ_MESSAGES, lambda route: route.fulfill(status=503, json=broken), times=1)
    chat.page.goto(f"{chat.server.url}/c/web:slow-{uuid.uuid4()}")
    older.wait()
    chat.say("what is 5 plus 7")
    expect(chat.page.locator("[data-pending]")).to_have_count(0)
    expect(chat.calls).to_have_count(1)
    older.let_go()
    expect(chat.replies).to_have_count(1)
    chat.page.get_by_role("button", name="Export this conversation").click()
    expect(chat.page.locator("#dialog")).to_be_visible()


def test_a_message_that_is_just_on_its_way_cannot_be_taken_back(chat: Chat, watch: Watch) -> None:
    """Else it would be said, and said once more from the field."""
    watch.allow("ERR_FAILED")
    accepted = Held(chat.page, MESSAGES, "POST", most=1)
    chat.page.route(MESSAGES, lambda route: route.abort(), times=1)  # nothing is read from this address
    chat.say("what is 5 plus 8")
    back = chat.page.get_by_role("button", name="Take it back")
    expect(back).to_be_visible()
    accepted.wait()
    back.click()
    expect(chat.page.locator(".toast")).to_contain_text("on its way")
    accepted.let_go()
    expect(chat.replies).to_have_count(1)
    expect(chat.calls).to_have_count(1)
    expect(chat.field).to_have_value("")


def test_that_one_is_signed_out_stays_said(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 401")
    chat.ask("hello")
    first = another(chat)
    chat.page.context.clear_cookies()
    look_again(chat)
    card = chat.page.get_by_role("heading", name="You are signed out")
    expect(card).to_be_visible()
    go(chat, first)
    expect(card).to_be_visible()
