"""What a process holds: tasks, threads, files, child processes and objects. For tests of things that must be freed."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import typing
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Held:
    """What is held at one moment. Counted after everything unreachable was collected."""

    tasks: frozenset[str]
    threads: Counter[str]
    files: int
    children: frozenset[int]
    objects: Counter[str]
    """Objects of the packages that were asked for, by class."""
    blocks: int
    """Blocks of memory that Python has given out."""

    @classmethod
    def now(cls, *packages: str) -> Held:
        """Look. `packages` are those whose objects are counted, with what lies below them."""
        for clear in typing._cleanups:  # type: ignore[attr-defined] - classes that a library makes at run time
            clear()
        for _ in range(3):  # what is freed may free more by its finaliser
            gc.collect()
        blocks = sys.getallocatedblocks()
        return cls(
            tasks=frozenset(_name(task) for task in asyncio.all_tasks() if not task.done()),
            threads=Counter(thread.name.rpartition("_")[0] or thread.name for thread in threading.enumerate()),
            files=len(os.listdir("/proc/self/fd")),
            children=frozenset(_children()),
            objects=Counter(_classes(packages)),
            blocks=blocks,
        )

    def beyond(self, before: Held) -> dict[str, object]:
        """What there is more of than there was before; memory aside. Empty when everything was freed."""
        more: dict[str, object] = {
            "tasks": set(self.tasks - before.tasks),
            "threads": dict(self.threads - before.threads),
            "files": max(0, self.files - before.files),
            "children": set(self.children - before.children),
            "objects": dict(self.objects - before.objects),
        }
        return {name: left for name, left in more.items() if left}


def _name(task: asyncio.Task[object]) -> str:
    """A name that tells tasks apart: those without a name of their own are numbered."""
    return f"{task.get_name()} {task.get_coro()!r}"


def _children() -> Iterable[int]:
    for thread in Path("/proc/self/task").iterdir():
        try:
            yield from map(int, (thread / "children").read_text(encoding="ascii").split())
        except OSError:  # the thread has just ended
            continue


def _classes(packages: Sequence[str]) -> Iterable[str]:
    for one in gc.get_objects():
        kind = type(one)
        module = str(kind.__module__)
        if any(module == package or module.startswith(f"{package}.") for package in packages):
            yield f"{module}.{kind.__qualname__}"
