"""`make dev` starts the program anew when its code changes: the recipe itself, with a small program in its place."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = f"""#!{sys.executable}
import pathlib, signal, sys
def end(*_):
    with open("log", "a") as log: log.write("ended\\n")
    sys.exit(0)
signal.signal(signal.SIGINT, end); signal.signal(signal.SIGTERM, end)
with open("log", "a") as log: log.write("started " + pathlib.Path("src/code.py").read_text() + "\\n")
signal.pause()
"""


def test_a_change_of_the_code_ends_the_program_and_starts_it_again(tmp_path: Path) -> None:
    found = re.search(r"^dev:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    recipe = found[1].strip().lstrip("@").replace("$(BIN)", "bin").replace("$(ARGS)", "")
    (tmp_path / "bin").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("one")
    (tmp_path / "bin" / "watchfiles").symlink_to(Path(sys.executable).parent / "watchfiles")
    (tmp_path / "bin" / "antiphon").write_text(PROGRAM)
    (tmp_path / "bin" / "antiphon").chmod(0o755)
    process = subprocess.Popen(
        ["/bin/sh", "-c", recipe],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # A shell that starts the tests in the background has them, and so their children, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        _until(tmp_path, lambda log: log == ["started one"])

        def started_anew(log: list[str]) -> bool:
            if log == ["started one"]:  # the watcher looks at the folder only after it has started the program
                (tmp_path / "src" / "code.py").write_text("two")
            return log[-1] == "started two"

        _until(tmp_path, started_anew)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log = _until(tmp_path, lambda log: log[-1] == "ended")
        assert log[:2] == ["started one", "ended"]
        assert set(log[2::2]) == {"started two"}
        assert set(log[3::2]) == {"ended"}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def _until(folder: Path, found: Callable[[list[str]], bool]) -> list[str]:
    """Wait until the log is like that."""
    deadline, file = time.monotonic() + 60, folder / "log"
    while not (log := file.read_text().splitlines() if file.exists() else []) or not found(log):
        assert time.monotonic() < deadline, log
        time.sleep(0.1)
    return log
