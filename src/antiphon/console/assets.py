"""Copies the few front-end packages into `static/vendor`. Called by the Makefile after `npm ci --ignore-scripts`.

The list is explicit, so that nothing else of a package reaches a browser. The target folder is not under version
control: package-lock.json says exactly what belongs there.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

VENDOR = Path(__file__).parent / "static" / "vendor"

COPIES = {
    "@picocss/pico/css/pico.min.css": "pico.css",
    "@picocss/pico/LICENSE.md": "pico.LICENSE",
    "marked/lib/marked.esm.js": "marked.js",
    "marked/LICENSE": "marked.LICENSE",
    "dompurify/dist/purify.es.mjs": "purify.js",
    "dompurify/LICENSE": "purify.LICENSE",
    "uplot/dist/uPlot.esm.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "uplot/LICENSE": "uplot.LICENSE",
    "livekit-client/dist/livekit-client.umd.js": "livekit-client.js",  # loaded by the voice page, when rooms are used
    "livekit-client/LICENSE": "livekit-client.LICENSE",
}
"""npm package file -> name in `static/vendor`."""


def copy_assets(node_modules: Path, target: Path = VENDOR) -> list[Path]:
    """Copy every listed file and return the copies. Raises `FileNotFoundError` naming the first missing package."""
    target.mkdir(parents=True, exist_ok=True)
    copies = [target / name for name in COPIES.values()]
    for source, copy in zip(COPIES, copies, strict=True):
        shutil.copyfile(node_modules / source, copy)
    return copies


def main() -> int:
    """Copy from the node_modules folder given as the argument, or from the one in the working directory."""
    node_modules = Path(sys.argv[1] if len(sys.argv) > 1 else "node_modules")
    try:
        copies = copy_assets(node_modules)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing; run: npm ci --ignore-scripts", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{len(copies)} front-end files are in {VENDOR}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
