"""From nothing to a working model in the browser; accounts, logins, keys and settings as people use them."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from tests.e2e.accessibility import serious_findings
from tests.e2e.chat import Watch
from tests.e2e.server import Server
from tests.e2e.slow_model import SlowModel

PASSWORD = "larks sing before six"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server on which nothing is set up."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def upstream() -> Iterator[SlowModel]:
    """A model's server that answers with one sentence."""
    model = SlowModel("The upstream answers.")
    yield model
    model.close()


def inside(context: BrowserContext, state: StorageState) -> Page:
    """A page of a signed-in browser."""
    context.add_cookies(state["cookies"])  # type: ignore[typeddict-item, arg-type]
    return context.new_page()


def test_from_nothing_to_a_working_model(
    context: BrowserContext, fresh: Server, upstream: SlowModel, watch: Watch
) -> None:
    watch.allow("status of 422")
    page = context.new_page()
    page.goto(fresh.link())
    expect(page).to_have_url(f"{fresh.url}/setup")
    card = page.locator("#model")
    expect(card.locator(".chip").first).to_have_text("not set up")

    card.get_by_label("Provider").select_option("openai")
    card.get_by_label("Model").fill("gpt-x")
    card.get_by_role("button", name="Save").click()
    expect(card.get_by_role("alert")).to_contain_text("needs a key")  # refused before the next start would be

    card.get_by_label("Provider").select_option("own")
    card.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    card.get_by_role("button", name="Test").click()
    expect(card.locator(".verdict")).to_have_class(re.compile("degraded"))
    expect(card.locator(".outcome")).to_contain_text("What to do")

    card.get_by_label("Address").fill(upstream.settings["ANTIPHON_MODEL_URL"])
    card.get_by_label("Model").fill("slow")
    card.get_by_label("Key").fill("sk-not-for-the-file")
    card.get_by_role("button", name="Test").click()
    expect(card.locator(".verdict")).to_have_class(re.compile("ok"))
    card.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved, in effect now")).to_be_visible()
    expect(card.locator(".chip").first).to_have_text("works")
    overlay = fresh.folder / "data" / "settings.toml"
    assert "slow" in overlay.read_text()
    assert "sk-not-for-the-file" not in overlay.read_text()
    secret = fresh.folder / "data" / "secrets" / "openai_api_key"
    assert secret.read_text().strip() == "sk-not-for-the-file"
    assert oct(secret.stat().st_mode & 0o777) == "0o600"

    page.get_by_role("link", name="Go to the chat").click()
    page.locator("#empty").wait_for(state="visible")
    page.get_by_label("Message", exact=True).fill("are you there?")
    page.keyboard.press("Enter")
    expect(page.locator(".msg.reply .said").last).to_contain_text("The upstream answers.")

    page.goto("about:blank")
    fresh.stop()  # what was written is what the next start reads
    fresh.start()
    page.goto(f"{fresh.url}/setup")
    # A try waits for the library behind models, which is loaded at start.
    expect(page.locator("#model .chip").first).to_have_text("works", timeout=60_000)
    expect(page.locator("#model").get_by_label("Key")).to_have_attribute("placeholder", re.compile("stored"))
    page.locator("#model").get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator("#model .chip").first).to_have_text("not set up")
    assert not secret.exists()


def test_a_backup_is_made_from_the_page(context: BrowserContext, server: Server, signed_in: StorageState) -> None:
    page = inside(context, signed_in)
    page.goto(f"{server.url}/setup")
    page.get_by_role("button", name="Make a backup now").click()
    expect(page.get_by_text("Backup written and verified")).to_be_visible()
    expect(page.locator(".backups li").first).to_contain_text(".antiphon-backup")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_password_and_authenticator_from_choosing_to_signing_in(
    browser: Browser, context: BrowserContext, server: Server, watch: Watch
) -> None:
    watch.allow("status of 401")
    watch.allow("status of 422")
    server.user("wren")
    page = context.new_page()
    page.goto(server.link("wren"))
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/account")
    page.get_by_label("New password").fill("password")
    page.get_by_role("button", name="Choose this password").click()
    expect(page.locator("#password-problem")).to_contain_text("too common")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Choose this password").click()
    expect(page.locator("#password-state")).to_have_text("chosen")
    with sqlite3.connect(f"file:{server.folder}/data/antiphon.db?mode=ro", uri=True) as database:
        [(stored,)] = database.execute("SELECT password FROM antiphon_user WHERE name = ?", ("wren",))
    assert re.match(r"argon2\$argon2id\$v=19\$m=102400,t=2,p=8\$", stored)

    page.get_by_role("button", name="Set up an app").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    secret = page.locator("#totp code").inner_text().replace(" ", "")
    code = page.get_by_alt_text("QR code")
    expect(code).to_have_js_property("complete", True)
    expect(code).not_to_have_js_property("naturalWidth", 0)
    page.get_by_label("The code it shows now").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Turn it on").click()
    codes = page.locator(".codes li")
    expect(codes).to_have_count(10)
    recovery = codes.first.inner_text()

    elsewhere = browser.new_context().new_page()
    watch.page(elsewhere)
    elsewhere.goto(f"{server.url}/sign-in")
    elsewhere.get_by_label("Name").fill("wren")
    elsewhere.get_by_label("Password").fill("wrong")
    elsewhere.get_by_role("button", name="Continue").click()
    expect(elsewhere.get_by_role("alert").first).to_contain_text("not right")
    elsewhere.get_by_label("Password").fill(PASSWORD)
    elsewhere.get_by_role("button", name="Continue").click()
    elsewhere.get_by_label("Code of your authenticator").fill(recovery)
    elsewhere.keyboard.press("Enter")
    expect(elsewhere.get_by_label("Message", exact=True)).to_be_visible()

    page.reload()
    expect(page.locator("#sessions tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Sign out everywhere else").click()
    page.get_by_role("button", name="Sign them out").click()
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    elsewhere.goto(f"{server.url}/")
    expect(elsewhere).to_have_url(re.compile("/sign-in"))
    elsewhere.context.close()


def test_somebody_is_invited_locked_out_and_a_key_is_shown_once(
    context: BrowserContext, server: Server, signed_in: StorageState
) -> None:
    page = inside(context, signed_in)
    page.goto(f"{server.url}/users")
    page.locator("#list tbody tr").first.wait_for(state="visible")
    page.get_by_role("button", name="Invite").click()
    page.get_by_label("Name to sign in with").fill("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Make the link").click()
    expect(page.locator("#shown-once input")).to_have_value(re.compile(f"{re.escape(server.url)}/welcome/"))
    expect(page.locator("#list img")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Lock <img")).click()
    page.get_by_role("button", name="Lock them out").click()
    expect(page.get_by_text("locked out", exact=True)).to_be_visible()

    page.goto(f"{server.url}/keys")
    page.locator("#list :is(tbody tr, .empty)").first.wait_for(state="visible")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("What it is for").fill("a dashboard")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#shown-once input")).to_have_value(re.compile("^ant_"))
    page.reload()
    expect(page.get_by_text("a dashboard")).to_be_visible()
    expect(page.locator("#shown-once input")).to_have_count(0)
    page.get_by_role("button", name="Revoke a dashboard").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()


def test_a_setting_is_found_changed_refused_and_set_back(
    context: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow("status of 422")
    page = inside(context, signed_in)
    page.goto(f"{server.url}/settings")
    page.get_by_label("Find a setting").fill("slots")
    row = page.locator("[data-key='threads.slots']")
    field = page.get_by_label("threads.slots", exact=True)
    field.fill("0")
    page.get_by_role("button", name="Save").click()
    expect(row.locator(".problem")).to_contain_text(">= 1")
    field.fill("7")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("waits for a restart")
    page.get_by_label("Find a setting").fill("slots")
    page.get_by_role("button", name="Set threads.slots back").click()
    expect(row).not_to_contain_text("waits for a restart")
    locked = page.locator("[data-key='http.port'] input")  # the environment says it
    expect(locked).to_be_disabled()


def test_the_sign_in_page_is_accessible(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/sign-in")
    assert serious_findings(page) == []


def test_a_member_sees_none_of_it(context: BrowserContext, server: Server) -> None:
    name = f"mara-{uuid.uuid4().hex[:8]}"
    server.user(name)
    page = context.new_page()
    page.goto(server.link(name))
    page.wait_for_url(f"{server.url}/")
    for path in ("/setup", "/settings", "/users", "/keys"):
        answer = page.request.get(f"{server.url}{path}")
        assert answer.status == 404, path
    assert page.request.get(f"{server.url}/account").status == 200
