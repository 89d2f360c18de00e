"""Generates the Python modules of the .proto files, beside them. `scripts/install.sh protos` and the image call it.

Their types (.pyi) are generated too. Nothing of it is under version control: it is made by the locked grpcio-tools,
so that it always fits the locked protobuf.

    python -m antiphon.speech.protos.make [FOLDER]      # FOLDER stands for src
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_SOURCE = _HERE.parents[2]


def main() -> int:
    """Generate all of them; the exit status is protoc's."""
    into = sys.argv[1] if len(sys.argv) > 1 else str(_SOURCE)
    files = sorted(str(path.relative_to(_SOURCE)) for path in _HERE.glob("*.proto"))
    protoc: Any = importlib.import_module("grpc_tools.protoc")
    return protoc.main(["protoc", f"-I{_SOURCE}", f"--python_out={into}", f"--pyi_out={into}", *files])


if __name__ == "__main__":
    sys.exit(main())
