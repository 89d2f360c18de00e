"""`python -m benchmarks [NAME]`: run all benchmarks, or those whose module is named. Exit 1 when a bound is missed."""

from __future__ import annotations

import importlib
import sys

from benchmarks.figures import Figure, table, write

MODULES = (
    *("durable_path", "turns", "experts", "context", "fanout", "dashboards", "discord", "voice", "page", "startup"),
    *("grpc", "speech"),
)


def main() -> int:
    """Run, print, write."""
    only = [name for name in sys.argv[1:] if name]
    if unknown := set(only) - set(MODULES):
        print(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in MODULES:
        if only and name not in only:
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"benchmarks.{name}").measure()
    write(figures, "make bench" + (f" ONLY={' '.join(only)}" if only else ""))
    print(table(figures))
    return 1 if any(figure.passed is False for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
