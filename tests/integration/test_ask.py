"""`antiphon ask`: one turn with everything that went into it."""

from __future__ import annotations

import asyncio
import json

import pytest

from antiphon.config import Settings
from antiphon.run import cli
from antiphon.run.ask import ask
from antiphon.run.wiring import open_antiphon


async def test_a_turn_is_shown_with_prompt_context_tools_and_times(sqlite_settings: Settings) -> None:
    async with open_antiphon(sqlite_settings, stop=asyncio.Event()) as antiphon:
        person = (await antiphon.stores.users.ensure_owner()).person
        await ask(antiphon, "remember that my desk is blue", person)
        asked = await ask(antiphon, "what colour is my desk?", person)
        assert "blue" in asked.text
        assert any(part["kind"] == "instructions" and "desk is blue" in part["text"] for part in asked.prompt)
        assert any(part["kind"] == "user-prompt" and "what colour" in part["text"] for part in asked.prompt)
        context = asked.trace["context"]
        assert isinstance(context, list)
        assert "memory" in {piece["kind"] for piece in context}
        shown = "\n".join(asked.lines())
        assert "kind memory, id 1" in shown
        assert "model: offline" in shown
        assert json.loads(asked.as_json())["state"] == "done"
        waiting = await ask(antiphon, "forget everything about me", person)
        assert (waiting.state, len(waiting.approvals)) == ("waiting", 1)
        assert len(await antiphon.stores.approvals.pending()) == 1
        rolled = await ask(antiphon, "roll 2d6", person)
        assert [tool["status"] for tool in rolled.tools] == ["started", "ok"]
        assert rolled.first_text is not None
        assert rolled.first_text <= rolled.seconds


def test_somebody_who_is_not_there_cannot_ask(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(sqlite_settings.data_dir))
    assert cli.main(["ask", "hello", "--person", "999"]) == cli.FAILED
    assert "no such person" in capsys.readouterr().err
