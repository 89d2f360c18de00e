"""What people take along, take in, take back and have erased, in the browser."""

from __future__ import annotations

import json
import re
import uuid
import zipfile
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.server import Server


def pick(page: Page, name: str, document: object) -> None:
    """Choose a file to import."""
    expect(page.get_by_role("button", name="Import a thread")).to_be_enabled()
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    page.set_input_files("#pick", {"name": name, "mimeType": "application/json", "buffer": content})


def test_a_thread_is_exported_and_imported(chat: Chat, tmp_path: Path, watch: Watch) -> None:
    watch.allow("422|400")
    word = f"heron{uuid.uuid4().hex[:8]}"
    chat.ask(f"remember that I saw a {word}")
    page = chat.page
    page.goto(f"{chat.server.url}/threads")
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Export the thread: ")).first.click()
    download.value.save_as(tmp_path / "thread.json")
    document = json.loads((tmp_path / "thread.json").read_text())
    assert word in json.dumps(document)
    pick(page, "same.json", document)
    expect(page.locator("#imported")).to_contain_text(re.compile("The thread is here|was here already"))
    page.get_by_role("link", name="Open the conversation").click()
    expect(page.locator("#log")).to_contain_text(word)

    page.goto(f"{chat.server.url}/history/{page.url.rsplit('/c/', 1)[1]}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export this thread").click()
    assert download.value.suggested_filename.startswith("thread-")

    page.goto(f"{chat.server.url}/threads")
    document["messages"][0]["role"] = "owner"
    pick(page, "wrong.json", document)
    card = page.locator("#imported [role=alert]")
    expect(card).to_contain_text("wrong.json was not taken in")
    expect(card.locator("code")).to_have_text("messages[0].role")
    pick(page, "noise.json", b"\x00\x01{")
    expect(card).to_contain_text("noise.json was not taken in")


def test_a_memory_forgotten_by_mistake_comes_back(chat: Chat) -> None:
    word = f"plover{uuid.uuid4().hex[:8]}"
    chat.ask(f"remember that the {word} sings")
    chat.ask("remember that the kettle is new")
    page = chat.page
    page.goto(f"{chat.server.url}/memories")
    rows = page.locator("#list li")
    expect(rows.filter(has_text=word)).to_be_visible()
    # The times beside them change.
    texts = "rows => rows.map((row) => row.querySelector('.grow').firstChild.textContent)"
    before = rows.evaluate_all(texts)
    page.get_by_role("button", name=re.compile(f"Forget: .*{word}")).click()
    expect(rows.filter(has_text=word)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(rows.filter(has_text=word)).to_be_visible()
    assert rows.evaluate_all(texts) == before
    page.reload()
    expect(rows).to_have_count(len(before))
    assert rows.evaluate_all(texts) == before


def test_ones_data_is_taken_along_and_then_erased(
    browser: Browser, context: BrowserContext, server: Server, tmp_path: Path
) -> None:
    name = f"wren-{uuid.uuid4().hex[:8]}"
    server.user(name)
    page = context.new_page()
    page.goto(server.link(name))
    page.wait_for_url(lambda url: "/welcome/" not in url)
    page.goto(f"{server.url}/account")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export my data").click()
    download.value.save_as(tmp_path / "me.zip")
    with zipfile.ZipFile(tmp_path / "me.zip") as archive:
        assert name in archive.read("person.json").decode()

    page.get_by_role("button", name="Erase my data").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("To do it, write").fill("erase it")
    dialog.get_by_role("button", name="Erase it all").click()
    expect(page.locator("#dialog-problem")).to_contain_text("erase everything about me")
    dialog.get_by_label("To do it, write").fill("erase everything about me")
    dialog.get_by_role("button", name="Erase it all").click()
    receipt = page.locator("#receipt")
    expect(receipt).to_contain_text("Everything about you is erased")
    expect(receipt.locator("dl")).to_contain_text("Logins")
    page.get_by_role("link", name="To the sign-in page").click()
    page.goto(f"{server.url}/account")
    page.wait_for_url("**/sign-in?**")
