"""Importing a library without a part of it that is large and that hardly anybody needs: it is loaded once it is used.

LiveKit's library imports PyAV, and with it FFmpeg (20 MB), to decode what only some services of others send.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Generator
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module until the first attribute of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def imported_later(*names: str) -> Generator[None]:
    """While it is open, whoever imports one of these modules gets it unloaded. Does nothing for those that are loaded.

    A module inside of another one is named too, after the other one.
    """
    stand_ins = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    for name, stand_in in stand_ins.items():
        parent, _, own = name.rpartition(".")
        if parent in stand_ins:
            setattr(stand_ins[parent], own, stand_in)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
