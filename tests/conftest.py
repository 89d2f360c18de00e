"""Rules for all tests: where shared fixtures come from, and what a missing program means.

`@pytest.mark.needs("postgresql")` (or "redis", "chromium") marks a test that uses a real program. Where the program is
missing the test is skipped with the reason; under CI=true no test may be skipped at all, whatever skipped it.
`@pytest.mark.extra("gguf", "llama_cpp")` marks one that uses an extra we do not lock, with the modules it brings; it
may be skipped under CI=true too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent

pytest_plugins = [f"tests.{path.stem}" for path in sorted(_HERE.glob("fixtures_*.py"))]

_PROGRAMS = {
    "postgresql": ("postgres",),
    "redis": ("redis-server", "valkey-server"),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "nginx": ("nginx",),
    "caddy": ("caddy",),
    "systemd-analyze": ("systemd-analyze",),
}
_PACKAGES = {
    "postgresql": "postgresql",
    "redis": "redis-server",
    "chromium": "chromium",
    "nginx": "nginx-light",
    "caddy": "caddy",
    "systemd-analyze": "systemd",
}


def _strict() -> bool:
    return os.environ.get("CI", "").lower() == "true"


def _installed(program: str) -> bool:
    if any(shutil.which(name) for name in _PROGRAMS[program]):
        return True
    return program == "postgresql" and any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are not on this machine."""
    for marker in item.iter_markers("extra"):
        extra, *modules = marker.args
        if missing := [name for name in modules if importlib.util.find_spec(name) is None]:
            pytest.skip(f"{', '.join(missing)} is not installed (pip install 'antiphon[{extra}]')")
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if program not in _PROGRAMS:
                pytest.fail(f"needs({program!r}): the programs are {', '.join(_PROGRAMS)}", pytrace=False)
            if not _installed(program):
                pytest.skip(f"{program} is not installed (Debian: apt-get install {_PACKAGES[program]})")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Which worker runs what, when several run at a time."""
    from tests.distribution import Distribution  # late: only where there are workers

    return Distribution(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Under CI=true a skip is a failure: nothing may go untested there without anybody noticing."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    optional = item.get_closest_marker("extra") is not None
    if _strict() and report.skipped and not hasattr(report, "wasxfail") and not optional:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI=true does not allow: {reason}"
    return report  # type: ignore[return-value]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a module that skips itself while it is collected."""
    report: pytest.CollectReport = yield  # type: ignore[assignment]
    if _strict() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, which CI=true does not allow: {report.longrepr}"
    return report  # type: ignore[return-value]
