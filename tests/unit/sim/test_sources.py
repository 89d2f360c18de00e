"""Where the rules of the simulated Discord come from is said where they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

import antiphon.sim.discord

ROOT = Path(antiphon.sim.discord.__file__).parent
RULES = sorted(
    path
    for folder in ("rules", "rest", "gateway", "voice")
    for path in (ROOT / folder).glob("*.py")
    if path.name not in ("__init__.py", "routes.py")
)


@pytest.mark.parametrize("path", RULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_module_of_rules_names_its_public_source(path: Path) -> None:
    assert "Source: " in path.read_text(encoding="utf-8")
