"""Checks that requirements/*.lock belong to pyproject.toml, by name and version, without asking anybody.

Called by `make check`. It does not resolve: it says when a requirement has no locked version, when the locked version
does not satisfy it, when a package has no hash, when dev.lock would install another version than run.lock, or when an
extra that an installed package asks for is not named (pip then looks for a newer version without a hash, and refuses).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def locked(path: Path) -> tuple[dict[str, set[str]], list[str]]:
    """The versions of each package in a lock file (several, where systems differ), and what is wrong with the file."""
    versions: dict[str, set[str]] = {}
    problems: list[str] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8")):
        entry = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", block)
        if entry is None:
            if not block.lstrip().startswith("#"):
                problems.append(f"{path.name}: {block.splitlines()[0]!r} is not name==version")
            continue
        versions.setdefault(canonicalize_name(entry[1]), set()).add(entry[2])
        if "--hash=sha256:" not in block:
            problems.append(f"{path.name}: {entry[1]} has no hash")
    return versions, problems


def unsatisfied(wanted: Iterable[str], versions: dict[str, set[str]], where: str) -> Iterator[str]:
    """Each requirement that the lock file does not meet."""
    for text in wanted:
        requirement = Requirement(text)
        found = versions.get(canonicalize_name(requirement.name), set())
        if not found:
            yield f"{where}: {requirement.name} is missing"
        wrong = [version for version in found if version not in requirement.specifier]
        # One that holds for some systems only shares the name with what the others get.
        if (found and len(wrong) == len(found)) or (wrong and requirement.marker is None):
            for version in sorted(wrong):
                yield f"{where}: {requirement.name} {version} does not satisfy {requirement.specifier}"


def extras_not_named(path: Path) -> Iterator[str]:
    """Each extra that an installed package asks for without a condition, and that the lock file does not name."""
    named: dict[str, set[str]] = {}
    for name, extras in re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[([^\]]*)\])?==", path.read_text("utf-8"), re.M):
        named.setdefault(canonicalize_name(name), set()).update(part.strip() for part in extras.split(",") if part)
    for package in distributions():
        for text in package.requires or ():
            wanted = Requirement(text)
            if canonicalize_name(package.name) in named and wanted.marker is None:
                for extra in wanted.extras - named.get(canonicalize_name(wanted.name), wanted.extras):
                    yield f"{path.name}: {wanted.name}[{extra}] is not named, which {package.name} asks for"


def problems(project: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the lock files."""
    groups: dict[str, list[str]] = project["dependency-groups"]
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    direct = [*project["project"]["dependencies"], *groups["build"]]
    # What `all` leaves out is not installed by us, and not locked.
    locked_extras = Requirement(extras["all"][0]).extras
    direct += [text for name in locked_extras for text in extras[name]]
    run, found = locked(ROOT / "requirements" / "run.lock")
    dev, more = locked(ROOT / "requirements" / "dev.lock")
    node, again = locked(ROOT / "requirements" / "node.lock")
    places, too = locked(ROOT / "requirements" / "places.lock")
    found += more + again + too
    found += unsatisfied(direct, run, "run.lock")
    found += unsatisfied([*direct, *groups["test"], *groups["check"]], dev, "dev.lock")
    found += unsatisfied(groups["node"], node, "node.lock")
    found += unsatisfied(groups["places"], places, "places.lock")
    found += extras_not_named(ROOT / "requirements" / "dev.lock")
    found += [f"dev.lock: {name} is not the version of run.lock" for name in run if dev.get(name) != run[name]]
    return found


def main() -> int:
    """Print every problem; 1 when there are any."""
    found = problems(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    for problem in found:
        sys.stdout.write(f"{problem}; run: make lock\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
