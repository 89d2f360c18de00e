"""Processes that are killed many times begin at once: each is forked from one that has imported everything.

The process is as real as one that is started: it has an id, memory and connections of its own, and dies of `kill -9`.
What it is spared are two seconds of computing for each of many deaths: importing the product and compiling its
sentences.

`python -m tests.chaos.forking MODULE` imports the module and what it needs, and then obeys lines on its standard
input, with one line of answer each: `fork` begins a process that runs the module's `main()` and gives its id,
`poll ID` gives its exit status, negative for a signal, or nothing as long as it runs. It ends with its input.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from antiphon.config import load_settings

ROOT = Path(__file__).parents[2]


class Forker:
    """Makes processes that run `module`. Their output is appended to `log`."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as file:
            self._template = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.forking", module],
                cwd=ROOT,
                env={
                    **environment,
                    "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
                    "OPENBLAS_NUM_THREADS": "1",  # numpy would start threads when it is imported
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
            )
        self._log = log

    def fork(self) -> Forked:
        """Begin another process; waits until the template has imported everything."""
        return Forked(self, int(self.ask("fork")))

    def ask(self, order: str) -> str:
        assert self._template.stdin is not None
        assert self._template.stdout is not None
        self._template.stdin.write(f"{order}\n".encode())
        self._template.stdin.flush()
        answer = self._template.stdout.readline()
        assert answer, self._log.read_text()[-3000:]
        return answer.decode().strip()

    def close(self) -> None:
        """End the template. Its processes must have ended before."""
        self._template.communicate(timeout=10)


class Forked:
    """One of the processes, with what `subprocess.Popen` would offer."""

    def __init__(self, forker: Forker, pid: int) -> None:
        self._forker = forker
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, once it has ended. Nobody else gets its id before that was seen."""
        if self.returncode is None and (status := self._forker.ask(f"poll {self.pid}")):
            self.returncode = int(status)
        return self.returncode

    def kill(self) -> None:
        """End it with SIGKILL, if it has not ended, and wait for that."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.poll() is None:
            assert time.monotonic() < deadline, "it does not die"
            time.sleep(0.005)


def _serve(module: str) -> None:
    """Be the template."""
    _load()
    main = importlib.import_module(module).main
    assert len(os.listdir("/proc/self/task")) == 1, "what is forked has one thread only"
    gc.collect()
    gc.freeze()  # what is shared stays shared
    for line in sys.stdin:
        match line.split():
            case ["fork"]:
                if (pid := os.fork()) == 0:
                    _become_a_process_of_its_own()
                    asyncio.run(main())
                    return
                print(pid, flush=True)
            case ["poll", number]:
                ended, status = os.waitpid(int(number), os.WNOHANG)
                print(os.waitstatus_to_exitcode(status) if ended else "", flush=True)


def _load() -> None:
    """What a worker imports and builds before its first turn. Nothing is opened: no database, no event loop."""
    from antiphon.store.settings import configure

    configure(load_settings())
    importlib.import_module("antiphon.store.stores")  # needs a configured Django
    importlib.import_module("antiphon.brain.engine")
    from antiphon.brain.offline.understand import Understanding
    from antiphon.tools.builtin import places, units, when

    for part in (Understanding(), places, units, when):
        part.warm_up()


def _become_a_process_of_its_own() -> None:
    """Let go of the template's pipes: what is printed goes to the log."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)


if __name__ == "__main__":
    _serve(sys.argv[1])
