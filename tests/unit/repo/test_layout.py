"""The shape of the source tree: what the documents say about it, and the habits a linter does not know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "antiphon"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "stuff", "tools_misc"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_why_it_exists_and_is_not_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    assert len(text.splitlines()) < 1000
    assert path.stem not in EMPTY_NAMES


def test_the_domain_imports_the_standard_library_only() -> None:
    for path in (PACKAGE / "domain").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: relative import"
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or name.startswith("antiphon.domain"), f"{path} imports {name}"


def test_every_package_has_its_layer_and_its_row_in_the_architecture() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    assert layers["exhaustive"]
    placed = set(re.findall(r"\w+", " ".join(layers["layers"])))
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(PACKAGES) <= placed
    assert set(PACKAGES) == rows


def test_the_type_checker_is_strict_on_the_core() -> None:
    strict = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pyright"]["strict"]
    core = {"domain", "config", "telemetry", "bus", "tools", "brain", "threads"}
    assert core <= {Path(path).name for path in strict}


def test_what_is_not_under_version_control_is_fetched_at_set_up_and_part_of_packages() -> None:
    run = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    patterns = [pattern.removeprefix("/") + ("*" if pattern.endswith("/") else "") for pattern in build["artifacts"]]
    left_out = [
        path
        for path in run.stdout.splitlines()
        if "__pycache__" not in path and not any(fnmatch(path, pattern) for pattern in patterns)
    ]
    assert left_out == []
