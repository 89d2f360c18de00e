"""The programs of `make check` find what they are for, and the test rules hold under CI=true."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


def script(name: str) -> ModuleType:
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "cd /" + "home/ada/project",
        "see /" + "root/x",
        "/" + "Users/ada/x",
        "--index-url " + "https://packages.example/simple",
        '"resolved": "https://x/y.tgz"',
        "https://mirror.example/simple/requests",
    ],
)
def test_machine_paths_and_registries_are_found(line: str) -> None:
    assert next(iter(script("check_tree").findings("file", f"good\n{line}\n"))).startswith("file:2: ")


@pytest.mark.parametrize(
    "line", ["/home page", "curl /root.txt", "https://example.org/home/ada/x", "~/home/x", "--index-url"]
)
def test_ordinary_lines_are_left_alone(line: str) -> None:
    assert list(script("check_tree").findings("file", line)) == []


def test_a_lock_file_that_does_not_fit_is_found(tmp_path: Path) -> None:
    checks = script("check_locks")
    lock = tmp_path / "x.lock"
    digest = "--hash=sha256:" + "0" * 64
    lock.write_text(f"# head\nalpha==1.0 \\\n    {digest}\nbeta-x==2.0\n-e .\n")
    versions, problems = checks.locked(lock)
    assert versions == {"alpha": {"1.0"}, "beta-x": {"2.0"}}
    assert problems == ["x.lock: beta-x has no hash"]
    found = list(checks.unsatisfied(["alpha>=2", "Beta_X>=1", "gamma"], versions, "x.lock"))
    assert found == ["x.lock: alpha 1.0 does not satisfy >=2", "x.lock: gamma is missing"]


def test_an_extra_that_the_lock_file_does_not_name_is_found(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("pydantic-ai-slim==2.68.0\npsycopg[binary]==3.3.9\ngoogle-genai==2.34.0\ngoogle-auth==2.62.2\n")
    assert list(script("check_locks").extras_not_named(lock)) == [
        "x.lock: google-auth[requests] is not named, which google-genai asks for"
    ]


SKIPPING = """
import pytest

@pytest.mark.needs("postgresql")
def test_program():
    pass

def test_skips_itself():
    pytest.skip("because")

@pytest.mark.xfail(reason="known")
def test_expected():
    assert False
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "2 skipped, 1 xfailed"), ("true", "1 xfailed")])
def test_a_skipped_test_fails_under_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    rules = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert '"/usr/lib/postgresql"' in rules
    (tests / "conftest.py").write_text(rules.replace('"/usr/lib/postgresql"', f'"{tmp_path}"'), encoding="utf-8")
    (tests / "test_x.py").write_text(SKIPPING)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs(*programs): x\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "CI": ci, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome in run.stdout
    assert run.returncode == (1 if ci else 0)
    if ci:
        assert "1 failed" in run.stdout  # the one that skipped itself
        assert "1 error" in run.stdout  # the one that was skipped before it began
        assert "postgresql is not installed (Debian: apt-get install postgresql)" in run.stdout
        assert "which CI=true does not allow: " in run.stdout


SHARING = """
import os, pathlib, pytest

@pytest.fixture(scope="module")
def shared():
    (pathlib.Path(__file__).parent / f"made-{os.getpid()}").touch()

@pytest.mark.parametrize("number", range(12))
def test_shares(shared, number):
    pass
"""


def test_what_a_module_shares_is_made_once_when_tests_run_beside_each_other(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    for name in ("__init__.py", "conftest.py", "distribution.py"):
        shutil.copy(ROOT / "tests" / name, tests / name)
    (tests / "test_x.py").write_text(SHARING)
    (tests / "test_y.py").write_text("import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_y(n): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs(*programs): x\npythonpath = .\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-n", "2", "tests"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "16 passed" in run.stdout, run.stdout + run.stderr
    assert len(list(tests.glob("made-*"))) == 1


def test_what_is_missing_is_said_where_it_cannot_be_installed(tmp_path: Path) -> None:
    for name in ("bash", "id"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    run = subprocess.run(
        [str(ROOT / "scripts" / "system_packages.sh"), "redis", "chromium"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert "Not on this machine: redis chromium." in run.stderr
    assert "apt-get install redis-server chromium" in run.stderr


def test_make_help_names_every_target_of_the_readme() -> None:
    run = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    for target in ("run", "test", "check", "bench", "lock", "clean"):
        assert f"make {target} " in run.stdout
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
