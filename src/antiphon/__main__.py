"""`python -m antiphon`: the same as the `antiphon` command."""

from antiphon.run.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
