"""The data folder and its lock: one server at a time, and no restore under a running one. Taken by `run/roles.py`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from antiphon.domain.errors import ConfigError

LOCK_NAME = "antiphon.lock"


@contextlib.contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Hold the folder while the block runs. Raises `ConfigError` when another process holds it.

    The system drops the lock with the process, however that ends; the file itself stays.
    """
    import fcntl

    make_folder(data_dir)
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                source="settings",
                key="data_dir",
                problem=f"another Antiphon is running on this folder{_holder(descriptor)}",
                remedy="stop it first, or set ANTIPHON_DATA_DIR to another folder",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def make_folder(data_dir: Path) -> None:
    """Make the data folder where it is missing. Raises `ConfigError` when that cannot be."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def _unusable(data_dir: Path, error: OSError) -> ConfigError:
    return ConfigError(
        source="settings",
        key="data_dir",
        problem=f"cannot write in {data_dir} ({error.strerror})",
        remedy="give this account the right to, or set ANTIPHON_DATA_DIR to another folder",
    )


def _holder(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).strip()
    return f" (process {written.decode()})" if written.isdigit() else ""
