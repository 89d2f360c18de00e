"""What a person does all day: ask, be reminded, be remembered, come back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import expect

from tests.e2e.chat import Chat


def test_the_time_in_tokyo(chat: Chat) -> None:
    answer = chat.ask("what time is it in Tokyo")
    now = datetime.now(ZoneInfo("Asia/Tokyo"))
    right = {(now - timedelta(minutes=minute)).strftime(form) for minute in (0, 1) for form in ("%H:%M", "%-I:%M")}
    assert any(time in answer for time in right), answer
    expect(chat.page.locator(".tool .name").last).to_have_text("clock.now")


def test_a_reminder_comes_by_itself_and_on_time(chat: Chat) -> None:
    chat.ask("remind me in 8 seconds to stretch")
    expect(chat.page.locator("#reminders")).to_contain_text("stretch")
    due = chat.page.locator("#reminders li", has_text="stretch").locator("time").get_attribute("datetime")
    assert due
    expect(chat.replies).to_have_count(2)
    assert "stretch" in chat.last_reply()
    with chat.server.client() as client:
        [said, *_] = client.get(f"/api/channels/{chat.key}/messages").json()["items"]
    late = datetime.fromisoformat(said["at"]) - datetime.fromisoformat(due)
    assert timedelta(0) <= late < timedelta(seconds=3)
    expect(chat.page.locator("#reminders time")).to_have_count(0)


def test_what_it_remembers_is_said_and_shown_and_can_be_forgotten(chat: Chat) -> None:
    chat.ask("remember that my desk is by the window")
    assert "desk is by the window" in chat.ask("what do you know about me")
    memories = chat.page.locator("#memories")
    expect(memories).to_contain_text("desk is by the window")
    memories.get_by_role("button", name=re.compile("Forget: .*window")).first.click()
    chat.page.get_by_role("button", name="Forget it").click()
    expect(memories).not_to_contain_text("desk is by the window")


def test_the_browsers_time_zone_is_taken_over(chat: Chat) -> None:
    me = chat.page.evaluate("fetch('/api/me').then((answer) => answer.json())")
    assert me["timezone"] == "Europe/Berlin"


def test_a_reload_shows_the_same_conversation(chat: Chat) -> None:
    chat.ask("what is 12 * 12")
    chat.ask("flip a coin")
    before = chat.said()
    chat.page.reload()
    expect(chat.replies).to_have_count(2)
    assert chat.said() == before
    assert chat.page.locator(".tool .name").count() >= 1


def test_drafts_survive_a_reload_each_in_its_conversation(chat: Chat) -> None:
    chat.ask("hello")
    chat.field.fill("half a thought")
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.field).to_have_value("")
    chat.field.fill("another half")
    chat.page.reload()
    expect(chat.field).to_have_value("another half")
    chat.page.goto(chat.address)
    expect(chat.field).to_have_value("half a thought")


def test_conversations_are_named_found_and_renamed(chat: Chat) -> None:
    chat.ask("what is 3 plus 4")
    title = chat.page.get_by_role("heading", level=1)
    expect(title).to_have_text("what is 3 plus 4")
    settings = chat.page.get_by_role("button", name="Name and persona of this conversation")
    settings.click()
    chat.page.get_by_label("Name", exact=True).fill("Sums with a zebra")
    chat.page.get_by_role("textbox", name="Persona").fill("You are a zebra")
    chat.page.get_by_role("button", name="Save", exact=True).click()
    expect(title).to_have_text("Sums with a zebra")
    expect(chat.page.locator(".toast")).to_contain_text("Saved, in effect now")
    settings.click()
    expect(chat.page.get_by_role("textbox", name="Persona")).to_have_value("You are a zebra")
    chat.page.get_by_role("button", name="Cancel").click()
    with chat.server.client() as client:
        assert client.get(f"/api/channels/{chat.key}/settings").json()["persona"] == "You are a zebra"
    chat.page.get_by_label("Find a conversation").fill("ZEBRA")
    expect(chat.page.locator("#list a")).to_have_count(1)
    chat.page.get_by_label("Find a conversation").fill("no such word")
    expect(chat.page.locator("#list-note")).to_contain_text("Nothing found")


def test_scrolling_up_reads_older_messages_without_moving_the_view(chat: Chat) -> None:
    chat.ask("hello")
    with chat.server.client() as client:
        for number in range(20):
            path = f"/api/channels/{chat.key}/messages"
            assert client.post(path, json={"text": f"what is {number} plus 1", "id": f"n{number}"}).status_code == 202
    expect(chat.calls.filter(has_text="what is 19 plus 1")).to_be_visible()
    expect(chat.replies).to_have_count(21, timeout=30_000)
    chat.page.reload()
    expect(chat.calls.filter(has_text="what is 19 plus 1")).to_be_visible()
    expect(chat.calls.filter(has_text="hello")).to_have_count(0)
    chat.log.hover()
    chat.page.mouse.wheel(0, -20_000)
    expect(chat.page.locator(".msg.call", has_text="hello")).to_have_count(1)
    expect(chat.calls).to_have_count(21)
    texts = chat.calls.locator(".said").all_inner_texts()
    assert texts == ["hello", *(f"what is {number} plus 1" for number in range(20))]
    chat.page.get_by_role("button", name="Newest").click()
    expect(chat.page.get_by_role("button", name="Newest")).to_be_hidden()


def test_two_tabs_show_the_same_once(chat: Chat) -> None:
    chat.ask("hello")
    other = chat.page.context.new_page()
    second = Chat(other, chat.server, chat.key)
    other.goto(chat.address)
    expect(second.replies).to_have_count(1)
    chat.ask("what is 5 plus 6")
    expect(second.replies).to_have_count(2)
    second.ask("what is 7 plus 8")
    expect(chat.replies).to_have_count(3)
    expect(chat.calls).to_have_count(3)  # what the other tab said is looked up, which takes a moment
    assert chat.said() == second.said()
    assert len(chat.said()) == 6


def test_an_opinion_is_kept(chat: Chat) -> None:
    chat.ask("what is 1 plus 1")
    good = chat.page.get_by_role("button", name="Good answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    chat.page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")


def test_a_dangerous_deed_waits_for_a_word_over_a_reload(chat: Chat) -> None:
    chat.ask("remember that I like apricots")
    chat.say("forget everything you know about me")
    card = chat.page.locator(".card.ask")
    expect(card).to_contain_text("memory.forget_all")
    expect(card).to_contain_text("left, then it is refused")
    expect(chat.state).to_have_text("Waiting for you")
    chat.page.reload()
    expect(card).to_be_visible()
    chat.page.get_by_role("button", name="Allow once").click()
    expect(chat.page.get_by_text(re.compile("Allowed"))).to_be_visible()
    expect(chat.page.locator("#memories")).not_to_contain_text("apricots")
    expect(chat.state).to_have_text("Resting")


def test_a_refused_deed_is_not_done(chat: Chat) -> None:
    chat.ask("remember that I like plums")
    chat.say("forget everything you know about me")
    chat.page.get_by_role("button", name="Refuse").click()
    expect(chat.page.get_by_text(re.compile("^Refused"))).to_be_visible()
    expect(chat.state).to_have_text("Resting")
    expect(chat.page.locator("#memories")).to_contain_text("plums")


def test_times_are_shown_in_the_browsers_zone(chat: Chat) -> None:
    chat.ask("hello")
    shown = chat.page.locator(".msg.reply time").last.inner_text()
    now = datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert shown in {now.strftime("%H:%M"), (now - timedelta(minutes=1)).strftime("%H:%M")}
