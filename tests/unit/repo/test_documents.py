"""The documents are true where a program can tell: links lead somewhere, commands and tests they name exist."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.run import cli

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_every_requirement_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for file, function in named:
        assert (ROOT / file).is_file(), f"{file} does not exist"
        if function:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^\s*(?:async )?(?:def|class) {function}\b", source, re.MULTILINE), f"{file}::{function}"


def test_every_requirement_has_a_test_or_stands_among_the_open_ones() -> None:
    text = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
    proven = text.partition("\n## Not proven yet")[0]
    rows = [
        row for row in re.findall(r"^\| (.*) \|$", proven, re.MULTILINE) if not row.startswith(("---", "requirement"))
    ]
    assert rows
    for row in rows:
        assert "`tests/" in row or "`make " in row, f"no proof: {row}"


def commands(parser: argparse.ArgumentParser, name: str = "antiphon") -> Iterator[tuple[str, set[str]]]:
    """Each command with its own options."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in nested:
        for short, sub in action.choices.items():
            yield from commands(sub, f"{name} {short}")
    if not nested:
        yield (
            name,
            {option for action in parser._actions for option in action.option_strings if option.startswith("--")},
        )


def test_every_command_and_option_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (antiphon [a-z ]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    real = dict(commands(cli._parser()))
    assert sorted(sections) == sorted(real)
    for name, options in real.items():
        for option in options - {"--help"}:
            assert f"`{option}" in sections[name] or f"[{option}" in sections[name], f"{name} {option}"
