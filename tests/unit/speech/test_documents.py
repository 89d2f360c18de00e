"""docs/reference/speech.md says what the engines' tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference" / "speech.md"


def test_the_reference_of_the_engines_is_what_the_script_writes(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import write_settings_docs as docs;"
        "sys.stdout.write('\\n'.join(docs.engines()) + '\\n')"
    )
    written = subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "scripts")], capture_output=True, text=True, check=True, timeout=60
    )
    assert REFERENCE.read_text(encoding="utf-8") == written.stdout
    assert "| `model` (argument) |" in written.stdout
    assert "None" not in written.stdout
