"""docs/bus.md says what domain/events declares, and nothing is published that is not declared."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.bus.memory import KEEP_EVENTS, KEEP_FOR
from antiphon.bus.redis import PREFIX
from antiphon.domain.events import TOPICS, TopicShape, problems_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "bus.md").read_text(encoding="utf-8")
SECTIONS = {
    html.unescape(name): text
    for name, text in re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
TURN = {"task": "1", "turn": "1.1", "attempt": 1}


def fields(text: str) -> dict[str, str]:
    return dict(re.findall(r"`(\w+)` \(([\w ]+)\)", text))


def test_every_topic_has_its_section_and_no_other() -> None:
    assert list(SECTIONS) == [topic.name for topic in TOPICS]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_page_gives_every_event_with_its_payload(topic: TopicShape) -> None:
    text = SECTIONS[topic.name]
    assert topic.meaning in text
    common = re.search(r"^In every payload: (.*)$", text, re.MULTILINE)
    assert (fields(common[1]) if common else {}) == dict(topic.common)
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) ?\| (.*) \|$", text, re.MULTILINE)
    documented = [(name, fields(columns), meaning) for name, columns, meaning in rows]
    assert documented == [(event.name, dict(event.fields), event.meaning) for event in topic.events]


def test_the_page_gives_the_keys_and_how_long_they_stay() -> None:
    for key in (f"{PREFIX}<topic>", f"{PREFIX}events:<topic>", f"{PREFIX}id:<topic>"):
        assert f"`{key}`" in PAGE
    minutes = int(KEEP_FOR.total_seconds() / 60)
    assert f"the last {KEEP_EVENTS} events, for {minutes} minutes" in PAGE
    assert f"the last id, for {2 * minutes} minutes" in PAGE


def published() -> Iterator[tuple[Path, ast.Call]]:
    """Every call in the sources that publishes on a bus."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "publish":
                yield path, node


def test_what_the_code_publishes_by_name_is_declared() -> None:
    """Names and field names that stand in the code; what is put together at run time is held by the tests of turns."""
    names = {event.name for topic in TOPICS for event in topic.events}
    every_field = {field for topic in TOPICS for event in topic.events for field in (*topic.common, *event.fields)}
    found = 0
    for path, call in published():
        for argument in call.args[1:]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                assert argument.value in names, f"{path}:{call.lineno} publishes {argument.value}"
                found += 1
            if isinstance(argument, ast.Dict):
                for key in argument.keys:
                    if isinstance(key, ast.Constant):
                        assert key.value in every_field, f"{path}:{call.lineno} publishes the field {key.value}"
    assert found >= 3


@pytest.mark.parametrize(
    ("topic", "name", "payload", "problem"),
    [
        ("turn.web:a", "text.delta", {**TURN, "text": "hi"}, None),
        ("turn.web:a", "reset", {}, None),
        ("turn.", "text.delta", {**TURN, "text": "hi"}, "is not declared"),
        ("turns.web:a", "text.delta", {**TURN, "text": "hi"}, "is not declared"),
        ("turn.web:a", "text.deltas", {**TURN, "text": "hi"}, "is not declared"),
        ("turn.web:a", "text.delta", dict(TURN), "text is missing"),
        ("turn.web:a", "text.delta", {**TURN, "text": "hi", "person": "1"}, "person is not declared"),
        ("turn.web:a", "text.delta", {**TURN, "attempt": "1", "text": "hi"}, "attempt is not whole number"),
        ("turn.web:a", "turn.failed", {**TURN, "code": "x", "message": "y", "retrying": 1}, "retrying is not true"),
        ("task.cancel", "cancel", {"task": 7}, "task is not text"),
        ("task.cancel.x", "cancel", {"task": "7"}, "is not declared"),
    ],
)
def test_an_event_that_is_not_as_declared_is_told(
    topic: str, name: str, payload: dict[str, object], problem: str | None
) -> None:
    problems = problems_of(topic, name, payload)
    assert problems == [] if problem is None else any(problem in found for found in problems)
